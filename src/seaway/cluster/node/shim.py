"""The shim: one process a pod. It holds the pod's network, UTS and IPC namespaces, is the parent of its containers, writes
their logs in CRI form, and keeps their exit codes until an agent asks.

Without threads, without asyncio: fifty of these run beside each other. It speaks JSON packets on `shim.sock` (SEQPACKET):
requests {id, op, ...} with descriptors beside them, answers {id, ...}, and events {event: "exit", ...} to whoever is
connected. Ops: state, network, start, signal, exec, attach, close-stdin, tcp, stop. When it dies its containers die with it.
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
from seaway.cluster.node import container, executing, shimlock, spawning
from seaway.cluster.node.attaching import Streams
from seaway.cluster.node.spawning import Alive

Plan = dict[str, Any]


class NotThere(Exception):
    """A request for a container that does not run."""


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


def isolate(args: Plan) -> None:
    """The pod's own namespaces, and what keeps its containers from looking into this process."""
    flags = linux.CLONE_NEWUTS | (0 if args.get("hostIpc") else linux.CLONE_NEWIPC)
    if not args["hostNetwork"]:
        flags |= linux.CLONE_NEWNET
    linux.unshare(flags)
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # Our children run this program until they exec, some for ever. Not dumpable, they show a container's root neither
    # the program's file (which it could write to, CVE-2019-5736), nor descriptors, environment and memory.
    linux.prctl(linux.PR_SET_DUMPABLE, 0, 0, 0, 0)
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
                **args.get("sysctls", {}),
            },
        )


class Shim:
    def __init__(self, args: Plan) -> None:
        self.folder: str = args["folder"]
        self.state: Plan = {
            "uid": args["uid"],
            "namespace": args["namespace"],
            "name": args["name"],
            "addresses": [],
            "hostNetwork": args["hostNetwork"],
            "sharePids": args.get("sharePids", False),
            "hostPids": args.get("hostPids", False),
            "containers": {},
        }
        self.pids: dict[int, tuple[str, str]] = {}  # pid -> ("container", name) or ("exec", id)
        self.execs: dict[str, tuple[socket.socket, int]] = {}  # who asked, and where the command's problem comes
        self.mounts: dict[str, int] = {}  # container in somebody else's PID namespace -> its mount namespace
        self.holder = 0  # PID 1 of the namespace that the containers share
        self.clients: dict[int, socket.socket] = {}
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.wake, self.waker = read, write
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.alive = Alive(*os.pipe2(os.O_CLOEXEC))
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
        self.streams = Streams(self.poll)
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
            processes, shared = self._process_namespace(wanted["entry"]), self.state["hostPids"]
            pid, problem, born = spawning.spawn(wanted["plan"], wanted["entry"], processes, shared, self.alive)
        except OSError as e:
            return {"error": str(e)}
        now = time.time()
        entry = {**wanted["entry"], "started": now}
        if problem:
            born.close()
            if pid:
                os.waitpid(pid, 0)
            self.state["containers"][name] = {
                **entry,
                "status": "exited",
                "code": spawning.START_FAILED,
                "signal": 0,
                "finished": now,
                "reason": "StartError",
                "message": problem,
            }
            return {"error": problem}
        self.streams.add(name, born, entry["log"])
        self.pids[pid] = ("container", name)
        self.state["containers"][name] = {**entry, "status": "running", "pid": pid}
        if shared or processes:
            self.mounts[name] = container.mount_namespace(pid)
        return {"pid": pid}

    def _process_namespace(self, entry: Plan) -> int:
        """The process whose PID namespace a container joins: its target's, or the pod's shared one; 0: its own."""
        target = self.state["containers"].get(entry.get("targetContainer", ""))
        if target and target["status"] == "running":
            return int(target["pid"])
        if not self.state["sharePids"]:
            return 0
        if not self.holder:
            self.holder = spawning.hold(os.path.join(self.folder, "roots", ".pause"), self.alive)
            self.pids[self.holder] = ("holder", "")
        return self.holder

    # exec and attach

    def _container(self, name: str, fds: list[int]) -> Plan:
        """A container that runs; where none does, the descriptors that came for it are closed."""
        entry: Plan = self.state["containers"].get(name)
        if entry and entry["status"] == "running":
            return entry
        for fd in fds:
            os.close(fd)
        raise NotThere(f'container not found ("{name}")')

    def execute(self, request: Plan, fds: list[int], client: socket.socket) -> Plan:
        """Runs a command in a container with the descriptors given (stdin, stdout, stderr; or a socket over which the master
        of its terminal goes back); its end is an event, with the problem where it could not be started."""
        inside = self._container(request["container"], fds)["pid"]
        pid, problem_read = executing.execute(request["plan"], fds, inside)
        self.pids[pid] = ("exec", request["exec"])
        self.execs[request["exec"]] = (client, problem_read)
        return {"pid": pid}

    def attach(self, request: Plan, fds: list[int], client: socket.socket) -> list[int]:
        """Copies what a container writes from now on to `fds` too; its input or terminal goes back."""
        name = request["container"]
        log = self._container(name, fds)["log"]
        back = self.streams.attach(name, log, fds, client if request.get("once") else None)
        if back is None:
            for fd in fds:
                os.close(fd)
            raise NotThere(f'container not found ("{name}")')
        return back

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
                if name in self.mounts:  # its end does not end its children there
                    container.kill_all_in(self.mounts.pop(name))
                entry = self.state["containers"][name]
                self.streams.end(name, entry["log"])
                entry.update(status="exited", code=code, signal=number, finished=time.time())
                entry.pop("pid", None)
                self.tell({"event": "exit", "container": name, "code": code})
            elif kind == "exec":
                client, problem_read = self.execs.pop(name)
                problem = os.read(problem_read, 4096).decode("utf-8", "replace")
                os.close(problem_read)
                if client.fileno() in self.clients:
                    self.send(client, {"event": "exec", "exec": name, "code": code, "problem": problem})
            elif kind == "holder":
                self.holder = 0

    def send(self, client: socket.socket, message: Plan, fds: list[int] | None = None) -> None:
        try:
            socket.send_fds(client, [json.dumps(message).encode()], fds or [], socket.MSG_DONTWAIT)
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
            self.streams.gone(client)
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
        back: list[int] = []
        try:
            request = json.loads(data)
            if request["op"] == "attach":
                result, back = {}, self.attach(request, list(fds), client)
            elif request["op"] == "tcp":
                self.give_socket(request, client)
                return
            else:
                result = self.do(request, list(fds), client)
        except NotThere as e:
            result = {"error": str(e)}
        except Exception as e:
            request, result = locals().get("request") or {}, {"error": f"{type(e).__name__}: {e}"}
        self.send(client, {"id": request.get("id"), **result}, back)

    def give_socket(self, request: Plan, client: socket.socket) -> None:
        """A socket belongs to the network it was made in, whoever connects it: this one to the pod's."""
        with socket.socket(request["family"], socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            self.send(client, {"id": request["id"]}, [sock.fileno()])

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
        if op == "close-stdin":
            entry = self.state["containers"].get(request["container"], {})
            if entry.get("attempt") == request["attempt"]:  # not that of a container started since
                self.streams.close_stdin(request["container"])
            return {}
        if op == "stop":
            self.running = False
            for entry in self.state["containers"].values():
                if entry["status"] == "running":
                    os.kill(entry["pid"], signal.SIGKILL)
            for mounts in self.mounts.values():
                container.kill_all_in(mounts)
            return {}
        return {"error": f"unknown op {op}"}

    def turn(self) -> None:
        """Waits until something happens, and does it."""
        for fd, events in self.poll.poll():
            if fd == self.wake:
                os.read(self.wake, 4096)
                self.reap()
            elif fd == self.listener.fileno():
                client = self.listener.accept()[0]
                self.clients[client.fileno()] = client
                self.poll.register(client.fileno(), select.POLLIN)
            elif fd in self.clients:
                self.answer(self.clients[fd])
            else:
                self.streams.ready(fd, events)

    def close(self) -> None:
        """Closes what is the shim's own, where the process goes on."""
        signal.set_wakeup_fd(-1)
        for client in list(self.clients.values()):
            self.drop(client)
        self.listener.close()
        for fd in (self.wake, self.waker, *self.alive):
            os.close(fd)


def main(args: Plan, fds: dict[str, int]) -> None:
    try:
        lock = shimlock.take(args["folder"])  # the kernel lets it go with the last process that has it
        isolate(args)
        shim = Shim(args)
    except OSError as e:
        print(f"shim of {args['namespace']}/{args['name']}: {e}", file=sys.stderr, flush=True)
        raise SystemExit(1) from e
    while shim.running:
        shim.turn()
    os.close(lock)
