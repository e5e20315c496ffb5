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
from seaway.cluster.node import container, shimlock
from seaway.cluster.node.outputs import LogFile, Output, Sink
from seaway.cluster.node.stdio import Born

Plan = dict[str, Any]
START_FAILED = 128


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


def join_groups(plan: Plan) -> None:
    """Into the container's cgroups, while their files are still in sight."""
    for path in plan.get("cgroups") or ():
        with open(path, "w") as f:
            f.write("0")


class Shim:
    def __init__(self, args: Plan) -> None:
        self.folder: str = args["folder"]
        self.lock = shimlock.take(self.folder)
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
        self.outputs: dict[int, Output] = {}
        self.sinks: dict[int, tuple[Sink, Output]] = {}
        self.stdins: dict[str, int] = {}  # container -> its input, or its terminal
        self.borrowed: dict[str, socket.socket] = {}  # container -> the agent whose client has its only input
        self.mounts: dict[str, int] = {}  # container in somebody else's PID namespace -> its mount namespace
        self.holder = 0  # PID 1 of the namespace that the containers share
        self.clients: dict[int, socket.socket] = {}
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
            pid, problem, born = self._spawn(wanted["plan"], wanted["entry"])
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
                "code": START_FAILED,
                "signal": 0,
                "finished": now,
                "reason": "StartError",
                "message": problem,
            }
            return {"error": problem}
        file = LogFile(entry["log"])
        for stream, fd in born.outputs:
            os.set_blocking(fd, False)
            self.outputs[fd] = Output(fd, stream, file)
            self.poll.register(fd, select.POLLIN)
        if born.stdin >= 0:
            self.stdins[name] = born.stdin
        self.pids[pid] = ("container", name)
        self.state["containers"][name] = {**entry, "status": "running", "pid": pid}
        if self.state["hostPids"] or self._process_namespace(wanted["entry"]):
            self.mounts[name] = container.mount_namespace(pid)
        return {"pid": pid}

    def _spawn(self, path: str, entry: Plan) -> tuple[int, str, Born]:
        born = Born(bool(entry.get("stdin")), bool(entry.get("tty")))
        say_read, say_write = os.pipe2(os.O_CLOEXEC)  # "pid N", then nothing at exec, or "error ..."
        hold_read, hold_write = os.pipe2(os.O_CLOEXEC)  # open until the middle process has been waited for
        processes = self._process_namespace(entry)
        middle = linux.fork()
        if middle == 0:
            try:
                if processes:
                    linux.enter(f"/proc/{processes}/ns/pid", linux.CLONE_NEWPID)
                apart = not processes and not self.state["hostPids"]
                linux.unshare(linux.CLONE_NEWNS | (linux.CLONE_NEWPID if apart else 0))
                with open(path) as f:
                    plan = json.load(f)
                join_groups(plan)
                container.prepare_root(plan)
                # A component of ours has event loops and locks: Python's hooks are for those.
                child = os.fork() if plan["component"] else linux.fork()
                if child == 0:
                    self._child(plan, born, say_write, hold_read, hold_write)
                os.write(say_write, f"pid {child}\n".encode())
                os._exit(0)
            except BaseException as e:
                os.write(say_write, f"error {e}\n".encode())
                os._exit(1)
        born.leave()
        for fd in (say_write, hold_read):
            os.close(fd)
        os.waitpid(middle, 0)
        # Only now is the shim the child's parent. The end of the middle's own copy comes a moment before the kernel has
        # given the child to us, and a promise to die with its parent made in that moment would be kept at once.
        os.close(hold_write)
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
        if not problem:
            born.receive()
        return pid, problem, born

    def _process_namespace(self, entry: Plan) -> int:
        """The process whose PID namespace a container joins: its target's, or the pod's shared one; 0: its own."""
        target = self.state["containers"].get(entry.get("targetContainer", ""))
        if target and target["status"] == "running":
            return int(target["pid"])
        if not self.state["sharePids"]:
            return 0
        if not self.holder:
            self.holder = self._hold()
            self.pids[self.holder] = ("holder", "")
        return self.holder

    def _hold(self) -> int:
        """PID 1 of the namespace that the pod's containers share, as the pause container is (KEP-495). It sees nothing and
        may do nothing: /proc/1/root must not lead the containers out."""
        say_read, say_write = os.pipe2(os.O_CLOEXEC)
        root = os.path.join(self.folder, "roots", ".pause")
        os.makedirs(root, exist_ok=True)
        middle = linux.fork()
        if middle == 0:
            try:
                linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID)
                child = linux.fork()
                if child == 0:
                    container.hold(root, self.alive_read, say_write)
                os.write(say_write, f"{child}\n".encode())
            finally:
                os._exit(0)
        os.close(say_write)
        os.waitpid(middle, 0)
        text = b""
        while data := os.read(say_read, 100):
            text += data
        os.close(say_read)
        pid = next((int(line) for line in text.split() if line.isdigit()), 0)
        if not pid or b"ready" not in text:
            raise OSError(f"the pod's shared PID namespace cannot be made: {text.decode('utf-8', 'replace').strip()}")
        return pid

    def _child(self, plan: Plan, born: Born, say: int, hold_read: int, hold_write: int) -> None:
        """In the container's PID namespace, mostly as its PID 1. Never returns."""
        try:
            os.close(hold_write)
            os.read(hold_read, 1)  # until our parent is the shim
            signal.set_wakeup_fd(-1)
            container.default_signals()
            os.setsid()
            container.enter_root(plan)
            born.become_standard(plan.get("uid", 0))
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
            text = str(e).split("] ", 1)[-1].replace("\n", " ")
            try:
                os.write(say, f"error {text}\n".encode())
            except OSError:
                os.write(2, f"{text}\n".encode())
            os._exit(START_FAILED)

    # exec

    def execute(self, request: Plan, fds: list[int], client: socket.socket) -> Plan:
        """Runs a command in a container with the descriptors given (stdin, stdout, stderr; or a socket over which the master
        of its terminal goes back); its end is an event, with the problem where it could not be started."""
        entry = self.state["containers"].get(request["container"])
        if not entry or entry["status"] != "running":
            for fd in fds:
                os.close(fd)
            return {"error": f'container not found ("{request["container"]}")'}
        plan = request["plan"]
        problem_read, problem_write = os.pipe2(os.O_CLOEXEC)
        pid = linux.fork()
        if pid == 0:
            code = 126
            try:
                signal.set_wakeup_fd(-1)
                namespaces = [
                    (os.open(f"/proc/{entry['pid']}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind)
                    for name, kind in (
                        ("ipc", linux.CLONE_NEWIPC),
                        ("pid", linux.CLONE_NEWPID),
                        ("mnt", linux.CLONE_NEWNS),
                    )
                ]
                # Nothing of ours may stay open here for as long as the command runs: a container's input would not end.
                container.close_all_but({*fds, problem_write, *(fd for fd, _ in namespaces)})
                join_groups(plan)
                for fd, kind in namespaces:
                    linux.setns(fd, kind)
                child = linux.fork()
                if child == 0:
                    container.execute(plan, fds, problem_write)
                container.close_all_but(set())
                _, status = os.waitpid(child, 0)
                code = os.waitstatus_to_exitcode(status)
                code = 128 - code if code < 0 else code
            except BaseException as e:
                try:
                    os.write(problem_write, str(e).encode())
                except OSError:
                    pass
            finally:
                os._exit(code)
        for fd in [*fds, problem_write]:
            os.close(fd)
        self.pids[pid] = ("exec", request["exec"])
        self.execs[request["exec"]] = (client, problem_read)
        return {"pid": pid}

    # attach

    def attach(self, request: Plan, fds: list[int], client: socket.socket) -> tuple[Plan, list[int]]:
        """Copies what a container writes from now on to `fds` too; its input or terminal goes back."""
        name = request["container"]
        entry = self.state["containers"].get(name)
        outputs = [o for o in self.outputs.values() if entry and o.file.path == entry["log"]]
        if not entry or entry["status"] != "running" or not outputs:
            for fd in fds:
                os.close(fd)
            return {"error": f'container not found ("{name}")'}, []
        for fd, stream in zip(fds, ("stdout", "stderr"), strict=False):
            output = next((o for o in outputs if o.stream == stream), None)
            if output is None:
                os.close(fd)  # a terminal has no stderr
                continue
            sink = Sink(fd)
            output.sinks.append(sink)
            self.sinks[fd] = (sink, output)
            self.poll.register(fd, 0)  # its end is told all the same
        if request.get("once"):
            self.borrowed[name] = client
        return {}, [self.stdins[name]] if name in self.stdins else []

    def close_stdin(self, name: str) -> None:
        self.borrowed.pop(name, None)
        fd = self.stdins.get(name, -1)
        if fd >= 0 and fd not in self.outputs:  # a terminal has no end of input
            os.close(self.stdins.pop(name))

    def unsink(self, sink: Sink, output: Output) -> None:
        """A client of an attach has gone, or has had everything."""
        if self.sinks.pop(sink.fd, None) is None:
            return
        self.poll.unregister(sink.fd)
        os.close(sink.fd)
        sink.pending = b""
        if sink in output.sinks:
            output.sinks.remove(sink)
        self.regulate(output)

    def regulate(self, output: Output) -> None:
        """A container is read while its clients take what they get."""
        for sink in output.sinks:
            self.poll.modify(sink.fd, select.POLLOUT if sink.pending else 0)
        if output.fd in self.outputs:
            self.poll.modify(output.fd, 0 if output.blocked else select.POLLIN)

    def flush(self, sink: Sink, output: Output, events: int) -> None:
        if events & (select.POLLERR | select.POLLNVAL) or not sink.put(b"") or (sink.closing and not sink.pending):
            self.unsink(sink, output)
        else:
            self.regulate(output)

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
                self.drain(self.state["containers"][name]["log"])
                if name in self.stdins:
                    fd = self.stdins.pop(name)
                    if fd not in self.outputs:
                        os.close(fd)
                self.borrowed.pop(name, None)
                entry = self.state["containers"][name]
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

    def drain(self, path: str) -> None:
        """What the container wrote before it ended goes to the log before its end is told."""
        for output in [entry for entry in self.outputs.values() if entry.file.path == path]:
            self.read_output(output, to_the_end=True)

    def read_output(self, output: Output, to_the_end: bool = False) -> None:
        """Passes on what a container has written. An attached client that is slow holds it up, but not its end."""
        turns = 16  # a container that never stops writing must not have the shim for itself
        while to_the_end or (turns and not output.blocked):
            turns -= 1
            try:
                data = os.read(output.fd, 65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""  # a terminal whose other side has closed
            if not data:
                self.end_output(output)
                return
            for dead in output.feed(data):
                self.unsink(dead, output)
        self.regulate(output)

    def end_output(self, output: Output) -> None:
        output.end()
        self.poll.unregister(output.fd)
        del self.outputs[output.fd]
        if output.fd not in self.stdins.values():
            os.close(output.fd)
        for sink in list(output.sinks):
            sink.closing = True
            if not sink.pending:
                self.unsink(sink, output)
            else:
                self.poll.modify(sink.fd, select.POLLOUT)

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
            for name in [n for n, c in self.borrowed.items() if c is client]:
                self.close_stdin(name)
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
                result, back = self.attach(request, list(fds), client)
            elif request["op"] == "tcp":
                self.give_socket(request, client)
                return
            else:
                result = self.do(request, list(fds), client)
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
                self.close_stdin(request["container"])
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

    def run(self) -> None:
        while self.running:
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
                elif fd in self.outputs:
                    self.read_output(
                        self.outputs[fd], to_the_end=bool(events & select.POLLHUP and not events & select.POLLIN)
                    )
                elif fd in self.sinks:
                    self.flush(*self.sinks[fd], events)


def main(args: Plan, fds: dict[str, int]) -> None:
    try:
        shim = Shim(args)
    except OSError as e:
        print(f"shim of {args['namespace']}/{args['name']}: {e}", file=sys.stderr, flush=True)
        raise SystemExit(1) from e
    shim.run()
