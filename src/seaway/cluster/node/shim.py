"""The shim: one process a pod. It holds the pod's network, UTS and IPC namespaces, is the parent of its containers, writes
their logs in CRI form, and keeps their exit codes until an agent asks.

Without threads, without asyncio: fifty of these run beside each other. It speaks JSON packets on `shim.sock` (SEQPACKET):
requests {id, op, ...} with descriptors beside them, answers {id, ...}, and events {event: "exit", ...} to whoever is
connected. Ops: state, network, start, signal, exec, stop. When it dies its containers die with it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from seaway.cluster.fabric import build, linux
from seaway.cluster.node import container

Plan = dict[str, Any]
LOG_LINE, LOG_LIMIT = 16384, 10 << 20
START_FAILED = 128


def stamp(now: float) -> str:
    whole = int(now)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((now - whole) * 1e9):09d}Z"


def apart(run: Callable[..., None], *args: Any) -> None:
    """Calls `run(*args)` in a child that ends with it: what it touches is not ours to keep. Raises OSError with its text."""
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = linux.fork()
    if pid == 0:
        try:
            run(*args)
        except BaseException as e:
            os.write(write, str(e).encode()[:1000] or b"failed")
        finally:
            os._exit(0)
    os.close(write)
    problem = b""
    while data := os.read(read, 1024):
        problem += data
    os.close(read)
    os.waitpid(pid, 0)
    if problem:
        raise OSError(problem.decode("utf-8", "replace"))


def join(addresses: list[str], mac: str) -> None:
    """The pod's end of its leg."""
    import ipaddress

    build.leaf("eth0", tuple(ipaddress.ip_address(a) for a in addresses), mac)


class Log:
    """One stream of one container: bytes in, CRI lines out (`time stream F|P text`)."""

    def __init__(self, fd: int, stream: str, out: LogFile) -> None:
        self.fd, self.stream, self.out, self.rest = fd, stream, out, b""

    def feed(self, data: bytes) -> None:
        now = stamp(time.time()).encode()
        head = now + b" " + self.stream.encode()
        *lines, self.rest = (self.rest + data).split(b"\n")
        text = b"".join(head + b" F " + line + b"\n" for line in lines)
        while len(self.rest) >= LOG_LINE:
            text += head + b" P " + self.rest[:LOG_LINE] + b"\n"
            self.rest = self.rest[LOG_LINE:]
        self.out.write(text)

    def end(self) -> None:
        if self.rest:
            self.out.write(stamp(time.time()).encode() + b" " + self.stream.encode() + b" P " + self.rest + b"\n")
            self.rest = b""


class LogFile:
    """A container's log; at its limit it is moved to `.1`, as the kubelet rotates."""

    def __init__(self, path: str) -> None:
        self.path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.size = os.fstat(self.fd).st_size
        self.users = 0

    def write(self, text: bytes) -> None:
        if not text or self.fd < 0:
            return
        try:
            os.write(self.fd, text)
        except OSError:
            return  # a full disk costs log lines, not the pod
        self.size += len(text)
        if self.size > LOG_LIMIT:
            os.close(self.fd)
            os.replace(self.path, self.path + ".1")
            self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self.size = 0

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Shim:
    def __init__(self, args: Plan) -> None:
        self.folder: str = args["folder"]
        self.state: Plan = {
            "uid": args["uid"],
            "namespace": args["namespace"],
            "name": args["name"],
            "addresses": [],
            "hostNetwork": args["hostNetwork"],
            "containers": {},
        }
        self.pids: dict[int, tuple[str, str]] = {}  # pid -> ("container", name) or ("exec", id)
        self.execs: dict[str, socket.socket] = {}
        self.logs: dict[int, Log] = {}
        self.clients: dict[int, socket.socket] = {}
        flags = linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
        if not args["hostNetwork"]:
            flags |= linux.CLONE_NEWNET
        linux.unshare(flags)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            socket.sethostname(args["hostname"])
        except OSError:
            pass
        if not args["hostNetwork"]:
            apart(
                build.configure_namespace,
                {
                    **build.SYSCTLS,
                    **build.LEAF_SYSCTLS,
                    "net/ipv4/ip_forward": "0",
                    "net/ipv6/conf/all/forwarding": "0",
                },
            )
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.wake = read
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.alive_read, self.alive_write = os.pipe2(os.O_CLOEXEC)  # a child sees its end when we are gone
        path = os.path.join(self.folder, "shim.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        with linux.socket_path(path) as short:
            self.listener.bind(short)
        self.listener.listen(16)
        self.poll = select.poll()
        for fd in (self.wake, self.listener.fileno()):
            self.poll.register(fd, select.POLLIN)
        self.running = True

    # containers

    def start(self, wanted: Plan) -> Plan:
        """Starts a container and waits until it has become its program, or has failed to. `wanted` names it; its whole
        plan is a file, which the child reads."""
        name = wanted["container"]
        known = self.state["containers"].get(name)
        if known and known["status"] == "running":
            return {"error": f"container {name} is running already"}
        try:
            pid, problem, logs = self._spawn(wanted["plan"], wanted["entry"]["log"])
        except OSError as e:
            return {"error": str(e)}
        now = time.time()
        entry = {**wanted["entry"], "started": now}
        if problem:
            for log in logs:
                os.close(log.fd)
            if pid:
                os.waitpid(pid, 0)
            self.state["containers"][name] = {
                **entry,
                "status": "exited",
                "code": START_FAILED,
                "signal": 0,
                "finished": now,
                "reason": "StartError",
                "message": problem,
            }
            return {"error": problem}
        for log in logs:
            self.logs[log.fd] = log
            self.poll.register(log.fd, select.POLLIN)
        self.pids[pid] = ("container", name)
        self.state["containers"][name] = {**entry, "status": "running", "pid": pid}
        return {"pid": pid}

    def _spawn(self, path: str, log: str) -> tuple[int, str, list[Log]]:
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        say_read, say_write = os.pipe2(os.O_CLOEXEC)  # "pid N", then nothing at exec, or "error ..."
        hold_read, hold_write = os.pipe2(os.O_CLOEXEC)  # open until the middle process is gone
        middle = linux.fork()
        if middle == 0:
            try:
                linux.unshare(linux.CLONE_NEWPID | linux.CLONE_NEWNS)
                with open(path) as f:
                    plan = json.load(f)
                container.prepare_root(plan)
                # A component of ours has event loops and locks: Python's hooks are for those.
                child = os.fork() if plan["component"] else linux.fork()
                if child == 0:
                    self._child(plan, out_write, err_write, say_write, hold_read, hold_write)
                os.write(say_write, f"pid {child}\n".encode())
                os._exit(0)
            except BaseException as e:
                os.write(say_write, f"error {e}\n".encode())
                os._exit(1)
        for fd in (out_write, err_write, say_write, hold_read, hold_write):
            os.close(fd)
        os.waitpid(middle, 0)
        text = b""
        while data := os.read(say_read, 4096):
            text += data
        os.close(say_read)
        pid, problem = 0, ""
        for line in text.decode("utf-8", "replace").splitlines():
            word, _, rest = line.partition(" ")
            if word == "pid":
                pid = int(rest)
            elif word == "error":
                problem = rest
        file = LogFile(log)
        file.users = 2
        for fd in (out_read, err_read):
            os.set_blocking(fd, False)
        return pid, problem, [Log(out_read, "stdout", file), Log(err_read, "stderr", file)]

    def _child(self, plan: Plan, out: int, err: int, say: int, hold_read: int, hold_write: int) -> None:
        """In the container's PID namespace, as its PID 1. Never returns."""
        try:
            os.close(hold_write)
            os.read(hold_read, 1)  # until our parent is the shim
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            container.enter_root(plan)
            null = os.open("/dev/null", os.O_RDWR)
            for source, target in ((null, 0), (out, 1), (err, 2)):
                os.dup2(source, target)
            container.take_identity(plan)
            linux.die_with_parent()
            os.close(self.alive_write)
            if select.select([self.alive_read], [], [], 0)[0]:
                os._exit(137)
            if plan.get("target"):
                os.close(say)  # started: from here on the log is where it speaks
                keep = {0, 1, 2}
                for fd in [int(n) for n in os.listdir("/proc/self/fd")]:
                    if fd not in keep:
                        try:
                            os.close(fd)
                        except OSError:
                            pass
            container.become(plan)
        except BaseException as e:
            text = str(e).replace("\n", " ")
            try:
                os.write(say, f"error {text}\n".encode())
            except OSError:
                os.write(2, f"{text}\n".encode())
            os._exit(START_FAILED)

    # exec

    def execute(self, request: Plan, fds: list[int], client: socket.socket) -> Plan:
        """Runs a command in a container with the descriptors given (stdin, stdout, stderr); its end is an event."""
        entry = self.state["containers"].get(request["container"])
        if not entry or entry["status"] != "running":
            return {"error": f"container {request['container']} is not running"}
        plan = request["plan"]
        pid = linux.fork()
        if pid == 0:
            code = 126
            try:
                signal.set_wakeup_fd(-1)
                for name, kind in (
                    ("ipc", linux.CLONE_NEWIPC),
                    ("pid", linux.CLONE_NEWPID),
                    ("mnt", linux.CLONE_NEWNS),
                ):
                    linux.enter(f"/proc/{entry['pid']}/ns/{name}", kind)
                child = linux.fork()
                if child == 0:
                    self._executed(plan, fds)
                for fd in fds:
                    os.close(fd)
                _, status = os.waitpid(child, 0)
                code = os.waitstatus_to_exitcode(status)
                code = 128 - code if code < 0 else code
            except BaseException as e:
                try:
                    os.write(fds[2], f"exec failed: {e}\n".encode())
                except OSError:
                    pass
            finally:
                os._exit(code)
        for fd in fds:
            os.close(fd)
        self.pids[pid] = ("exec", request["exec"])
        self.execs[request["exec"]] = client
        return {"pid": pid}

    def _executed(self, plan: Plan, fds: list[int]) -> None:
        try:
            os.setsid()
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
            if plan.get("tty"):
                import fcntl
                import termios

                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            os.closerange(3, 256)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            container.take_identity(plan)
            container.become(plan)
        except BaseException as e:
            os.write(2, f"OCI runtime exec failed: {str(e).split('] ', 1)[-1]}\n".encode())
            os._exit(127 if isinstance(e, FileNotFoundError) else 126)

    # the loop

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            kind, name = self.pids.pop(pid, ("", ""))
            code = os.waitstatus_to_exitcode(status)
            number = -code if code < 0 else 0
            code = 128 + number if number else code
            if kind == "container":
                self.drain(self.state["containers"][name]["log"])
                entry = self.state["containers"][name]
                entry.update(status="exited", code=code, signal=number, finished=time.time())
                entry.pop("pid", None)
                self.tell({"event": "exit", "container": name, "code": code})
            elif kind == "exec":
                client = self.execs.pop(name, None)
                if client:
                    self.send(client, {"event": "exec", "exec": name, "code": code})

    def drain(self, path: str) -> None:
        """What the container wrote before it ended goes to the log before its end is told."""
        for log in [entry for entry in self.logs.values() if entry.out.path == path]:
            self.read_log(log)

    def read_log(self, log: Log) -> None:
        while True:
            try:
                data = os.read(log.fd, 65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                break
            log.feed(data)
        log.end()
        self.poll.unregister(log.fd)
        del self.logs[log.fd]
        os.close(log.fd)
        log.out.users -= 1
        if not log.out.users:
            log.out.close()

    def send(self, client: socket.socket, message: Plan) -> None:
        try:
            client.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)
        except OSError as e:
            if e.errno not in (errno.EAGAIN, errno.EMSGSIZE):
                self.drop(client)

    def tell(self, message: Plan) -> None:
        for client in list(self.clients.values()):
            self.send(client, message)

    def drop(self, client: socket.socket) -> None:
        if client.fileno() in self.clients:
            del self.clients[client.fileno()]
            self.poll.unregister(client.fileno())
            for name in [n for n, c in self.execs.items() if c is client]:
                del self.execs[name]
            client.close()

    def answer(self, client: socket.socket) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(client, 1 << 18, 4)
        except OSError:
            data, fds = b"", []
        if not data:
            self.drop(client)
            return
        for fd in fds:
            os.set_inheritable(fd, False)
        try:
            request = json.loads(data)
            result = self.do(request, list(fds), client)
        except Exception as e:
            request, result = locals().get("request") or {}, {"error": f"{type(e).__name__}: {e}"}
        self.send(client, {"id": request.get("id"), **result})

    def do(self, request: Plan, fds: list[int], client: socket.socket) -> Plan:
        op = request["op"]
        if op == "state":
            return {"state": self.state}
        if op == "network":
            apart(join, request["addresses"], request["mac"])
            self.state["addresses"] = request["addresses"]
            return {}
        if op == "start":
            return self.start(request)
        if op == "signal":
            entry = self.state["containers"].get(request["container"])
            if entry and entry["status"] == "running":
                os.kill(entry["pid"], request["signal"])
            return {}
        if op == "exec":
            return self.execute(request, fds, client)
        if op == "stop":
            self.running = False
            for entry in self.state["containers"].values():
                if entry["status"] == "running":
                    os.kill(entry["pid"], signal.SIGKILL)
            return {}
        return {"error": f"unknown op {op}"}

    def run(self) -> None:
        while self.running:
            for fd, _ in self.poll.poll():
                if fd == self.wake:
                    os.read(self.wake, 4096)
                    self.reap()
                elif fd == self.listener.fileno():
                    client = self.listener.accept()[0]
                    self.clients[client.fileno()] = client
                    self.poll.register(client.fileno(), select.POLLIN)
                elif fd in self.clients:
                    self.answer(self.clients[fd])
                elif fd in self.logs:
                    self.read_log(self.logs[fd])


def main(args: Plan, fds: dict[str, int]) -> None:
    try:
        shim = Shim(args)
    except OSError as e:
        print(f"shim of {args['namespace']}/{args['name']}: {e}", file=sys.stderr, flush=True)
        raise SystemExit(1) from e
    shim.run()
