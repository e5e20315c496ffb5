"""PID 1 inside User-mode Linux: mounts what programs expect, runs one job, powers off. Standard library only, no site."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
POWER_OFF = 0x4321FEDC
TRACKED = ("/proc/sys/net/netfilter/nf_conntrack_max", "262144")  # of all namespaces; its own bound is for a small machine


def mount(source: str, target: str, kind: str, data: str = "") -> None:
    if libc.mount(source.encode(), target.encode(), kind.encode(), 0, data.encode() or None):
        number = ctypes.get_errno()
        if number == errno.EBUSY:
            return  # the kernel itself has mounted it
        raise OSError(number, f"mount {kind} on {target}: {os.strerror(number)}")


def modules() -> None:
    """The kernel's modules, without a trace on the host's disk: its own modprobe looks where Debian put them."""
    release = os.uname().release
    place = Path("/run/modules/lib/modules")
    place.mkdir(parents=True)
    (place / release).symlink_to(f"/usr/lib/uml/modules/{release}")
    tool = next(p for p in ("/usr/sbin/modprobe", "/sbin/modprobe") if os.path.exists(p))
    script = Path("/run/modprobe")
    script.write_text(f'#!/bin/sh\nexec {tool} -d /run/modules "$@"\n')
    script.chmod(0o755)
    Path("/proc/sys/kernel/modprobe").write_text("/run/modprobe")


def main(path: str) -> None:
    with open(path) as f:
        job = json.load(f)
    folder = Path(job["folder"])
    status = 1
    try:
        for kind, target in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")):
            mount(kind, target, kind)
        modules()
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            for name in job["modules"]:
                subprocess.run(["/run/modprobe", name], stdout=err, stderr=err, env=environment)
            if os.path.exists(TRACKED[0]):
                Path(TRACKED[0]).write_text(TRACKED[1])
            process = subprocess.Popen(job["job"], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
            deadline = time.monotonic() + job["timeout"]
            while time.monotonic() < deadline:
                pid, code = os.waitpid(-1, os.WNOHANG)
                if pid == process.pid:
                    status = os.waitstatus_to_exitcode(code)
                    break
                if pid == 0:
                    time.sleep(0.02)
            else:
                err.write(f"the job took longer than {job['timeout']} s\n".encode())
                process.send_signal(signal.SIGKILL)
    except BaseException as e:
        (folder / "err").open("a").write(f"init: {e!r}\n")
    finally:
        (folder / "status").write_text(str(status))
        libc.reboot(POWER_OFF)


main(sys.argv[1])
