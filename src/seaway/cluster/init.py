"""PID 1 of the embedded cluster. No threads, no keys, no policy: it holds the inherited sockets, makes the fabric once,
starts what its plan names (through the zygote), starts it again when it ends, and reaps everybody's orphans.

Its end is the end of everything in its PID namespace, by the kernel's guarantee. It runs on the standard library alone,
without site-packages, so that it stays small.

Plan (JSON on a descriptor): runtime (folder), private (folder for a tmpfs), python, source (import root), layout
(a pickled Layout, hex), sockets (name -> descriptor), listen ([name, host, port] bound inside the fabric), processes
([{name, target, netns, args, fds}]), ready (descriptor that gets one line: "ok" or what failed).
Control socket (`control.sock` in the runtime folder): one JSON line in, one out; ops `status` and `down`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

ZYGOTE_BACKOFF = (0.0, 0.05, 0.1, 0.2, 0.5)  # nothing else can be started without it
BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY = 10.0  # seconds alive after which a process's next end counts as its first


class Process:
    """A process of the plan: its pid (0: not running), and when to start it next."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.pid = 0
        self.restarts = 0
        self.failures = 0
        self.started = 0.0
        self.due: float | None = 0.0

    def ended(self, now: float) -> None:
        self.pid = 0
        self.restarts += 1
        self.failures = 0 if now - self.started > STEADY else self.failures + 1
        self.due = now + BACKOFF[min(self.failures, len(BACKOFF) - 1)]


class Init:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.private: str = plan["private"]
        self.processes = {spec["name"]: Process(spec) for spec in plan["processes"]}
        self.sockets: dict[str, int] = {name: int(fd) for name, fd in plan["sockets"].items()}
        self.zygote: socket.socket | None = None
        self.zygote_pid = 0
        self.zygote_failures = self.zygote_restarts = 0
        self.zygote_started = 0.0
        self.zygote_due = 0.0
        self.starting: list[str] = []
        self.unclaimed: set[int] = set()
        read, write = os.pipe()
        for end in (read, write):
            os.set_blocking(end, False)
        self.wake = read
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        from seaway.cluster.fabric import linux

        path = os.path.join(plan["runtime"], "control.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with linux.socket_path(path) as short:
            self.control.bind(short)
        os.chmod(path, 0o600)
        self.control.listen(16)

    def make_fabric(self) -> None:
        """In a child, so that the imports that it needs do not stay here."""
        pid = os.fork()
        if pid == 0:
            try:
                import pathlib
                import pickle

                from seaway.cluster.fabric import build

                build.build(pickle.loads(bytes.fromhex(self.plan["layout"])), pathlib.Path(self.private, "ns"))
                os._exit(0)
            except BaseException as e:
                os.write(2, f"fabric: {e}\n".encode())
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError("the network of the cluster could not be made (see logs/init.log)")
        for name, host, port in self.plan["listen"]:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(4096)
            self.sockets[name] = listener.detach()

    def start_zygote(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            os.set_inheritable(theirs.fileno(), True)
            program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote.py")
            environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "SEAWAY_PRIVATE": self.private}
            os.execve(self.plan["python"], [self.plan["python"], program, str(theirs.fileno())], environment)
        theirs.close()
        ours.settimeout(10)
        self.zygote, self.zygote_pid, self.zygote_started = ours, pid, time.monotonic()
        self.starting = []

    def start(self, process: Process) -> None:
        """Asks the zygote for a process; its answer, a pid, comes on the same channel, in order."""
        assert self.zygote
        spec = process.spec
        fds = [self.sockets[name] for name in spec.get("fds", ())]
        request = {key: spec.get(key) for key in ("name", "target", "args", "netns")} | {"fds": spec.get("fds", [])}
        request["log"] = os.path.join(self.plan["runtime"], "logs", spec["name"] + ".log")
        try:
            socket.send_fds(self.zygote, [json.dumps(request).encode()], fds)
        except OSError:
            return
        self.starting.append(spec["name"])
        process.due = None

    def started(self) -> None:
        assert self.zygote
        try:
            answer = self.zygote.recv(65536)
        except OSError:
            answer = b""
        if not answer or not self.starting:
            return
        name = self.starting.pop(0)
        process, pid = self.processes[name], int(json.loads(answer).get("pid", 0))
        process.pid, process.started = pid, time.monotonic()
        if not pid or pid in self.unclaimed:
            self.unclaimed.discard(pid)
            process.ended(process.started)

    def reap(self) -> None:
        now = time.monotonic()
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.zygote_pid:
                self.lose_zygote(now)
                continue
            for process in self.processes.values():
                if process.pid == pid:
                    process.ended(now)
                    break
            else:
                if self.starting:  # it may end before its pid has been told
                    self.unclaimed.add(pid)

    def lose_zygote(self, now: float) -> None:
        if self.zygote:
            self.zygote.close()
        self.zygote, self.zygote_pid = None, 0
        self.zygote_due = now + ZYGOTE_BACKOFF[min(self.zygote_failures, len(ZYGOTE_BACKOFF) - 1)]
        self.zygote_failures = 0 if now - self.zygote_started > STEADY else self.zygote_failures + 1
        self.zygote_restarts += 1
        for name in self.starting:
            self.processes[name].due = now
        self.starting = []
        self.unclaimed.clear()

    def answer(self, connection: socket.socket) -> bool:
        """One request on the control socket. False: the end was asked for."""
        connection.settimeout(2)
        try:
            request = json.loads(connection.makefile("rb").readline(65536) or b"{}")
            if request.get("op") == "down":
                connection.sendall(b'{"ok": true}\n')
                return False
            rows = [{"name": "init", "pid": 1, "restarts": 0}]
            rows.append({"name": "zygote", "pid": self.zygote_pid, "restarts": self.zygote_restarts})
            rows += [{"name": n, "pid": p.pid, "restarts": p.restarts} for n, p in self.processes.items()]
            connection.sendall(json.dumps({"processes": rows}).encode() + b"\n")
        except (OSError, ValueError):
            pass
        finally:
            connection.close()
        return True

    def run(self) -> None:
        while True:
            now = time.monotonic()
            if not self.zygote and now >= self.zygote_due:
                self.start_zygote()
            waits = [5.0] if self.zygote else [max(self.zygote_due - now, 0.0)]
            if self.zygote:
                for process in self.processes.values():
                    if process.due is not None and process.due <= now:
                        self.start(process)
                    elif process.due is not None:
                        waits.append(process.due - now)
            watched: list[Any] = [self.wake, self.control] + ([self.zygote] if self.zygote else [])
            readable, _, _ = select.select(watched, [], [], min(waits))
            if self.wake in readable:
                numbers = os.read(self.wake, 4096)
                if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                    return
            if self.zygote in readable:
                self.started()
            self.reap()
            if self.control in readable and not self.answer(self.control.accept()[0]):
                return


def main() -> None:
    plan = json.loads(os.fdopen(int(sys.argv[1])).read())
    sys.path.insert(0, plan["source"])
    from seaway.cluster.fabric import linux

    linux.set_name("seaway-init")
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    os.makedirs(plan["private"], exist_ok=True)
    linux.mount("tmpfs", plan["private"], "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755")
    ready = int(plan["ready"])
    os.set_inheritable(ready, False)
    try:
        init = Init(plan)
        init.start_zygote()  # it imports while the fabric is made
        init.make_fabric()
    except Exception as e:
        os.write(ready, f"{e}\n".encode())
        raise SystemExit(1) from e
    os.write(ready, b"ok\n")
    os.close(ready)
    init.run()


if __name__ == "__main__":
    sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))
    main()
