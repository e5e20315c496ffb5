"""registry.k8s.io/e2e-test-images/agnhost, in the subcommands that networking and storage tests use.

Each subcommand takes the flags of the original and answers in its words; https://github.com/kubernetes/kubernetes,
test/images/agnhost.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable

from seaway.cluster.node.programs import agnhost_files, agnhost_net, flags, pause
from seaway.cluster.node.programs.http import Answer, Later, Request, serve, tls_context

Command = Callable[[list[str]], int]


def _peer(request: Request) -> str:
    address, port = request.peer
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def netexec(arguments: list[str]) -> int:
    defaults = {
        "http-port": 8080,
        "udp-port": 8081,
        "sctp-port": -1,
        "http-override": "",
        "tls-cert-file": "",
        "tls-private-key-file": "",
        "delay-shutdown": 0,
    }
    args = flags.parse("agnhost netexec", arguments, defaults)
    if args["sctp-port"] > 0:
        raise flags.refuse("agnhost netexec", "--sctp-port is not built in")
    hostname, start, ready = socket.gethostname(), time.time(), {"ok": True}

    def handle(request: Request) -> Answer | Later:
        path = args["http-override"] or request.path
        if path.lower() == "/hostname":
            return Answer(200, hostname.encode())
        if path == "/clientip":
            return Answer(200, _peer(request).encode())
        if path == "/header":
            return Answer(200, request.header(request.query("key")).encode())
        if path == "/echo":
            code = request.query("code", "200")
            return Answer(int(code) if code.isdigit() else 400, request.query("msg").encode())
        if path in ("/healthz", "/readyz"):
            return Answer(200 if ready["ok"] else 412, b"")
        if path == "/redirect":
            code = request.query("code", "302")
            return Answer(int(code), b"", headers=(("Location", request.query("location", "/")),))
        if path == "/exit":
            return Later(lambda: _exit(request, ready))
        if path == "/dial":
            return Later(lambda: agnhost_net.dial(request))
        if path == "/":
            return Answer(200, f"NOW: {time.strftime('%Y-%m-%d %H:%M:%S')} up {time.time() - start:.0f}s".encode())
        return Answer(501, f"{path} is not built in here\n".encode())

    def echo(data: bytes, peer: tuple[str, int]) -> bytes:
        command, _, rest = data.strip().partition(b" ")
        if command == b"hostname":
            return hostname.encode()
        if command == b"clientip":
            address, port = peer
            return (f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode()
        return rest if command == b"echo" else b""

    tls = tls_context(args["tls-cert-file"], args["tls-private-key-file"]) if args["tls-cert-file"] else None
    udp = (args["udp-port"], echo) if args["udp-port"] > 0 else None
    code = serve(handle, args["http-port"], udp=udp, tls=tls)
    time.sleep(max(args["delay-shutdown"], 0))
    return code


def _exit(request: Request, ready: dict[str, bool]) -> Answer:
    """/exit?code=&wait=&timeout=: not ready for `wait`, then the end."""
    ready["ok"] = False
    time.sleep(flags.duration(request.query("wait", "0s")) + flags.duration(request.query("timeout", "0s")))
    os._exit(int(request.query("code", "0") or 0))


def serve_hostname(arguments: list[str]) -> int:
    defaults = {"port": 9376, "http": True, "tcp": False, "udp": False, "close": False}
    args = flags.parse("agnhost serve-hostname", arguments, defaults)
    hostname = socket.gethostname().encode()
    if args["tcp"]:
        return agnhost_net.serve_tcp(args["port"], hostname)
    if args["udp"]:
        return agnhost_net.serve_udp(args["port"], hostname)
    closing = (("Connection", "close"),) if args["close"] else ()
    return serve(lambda request: Answer(200, hostname, headers=closing), args["port"])


def porter(arguments: list[str]) -> int:
    """Serves, on each port of SERVE_PORT_nnn, what the variable holds."""
    args = flags.parse("agnhost porter", arguments, {"json-response": False})
    refused = sorted(n for n in os.environ if n.startswith(("SERVE_TLS_PORT_", "SERVE_SCTP_PORT_")))
    if refused:
        raise flags.refuse("agnhost porter", f"the variables {', '.join(refused)} are not honoured here")
    texts = {int(n.removeprefix("SERVE_PORT_")): v for n, v in os.environ.items() if n.startswith("SERVE_PORT_")}
    if not texts:
        print("agnhost porter: no SERVE_PORT_nnn is set", file=sys.stderr)
        return 1
    from seaway.cluster.node.programs import agnhost_porter

    return agnhost_porter.serve_ports(texts, args["json-response"])


def liveness(arguments: list[str]) -> int:
    """Healthy for ten seconds, then not (test/images/agnhost/liveness)."""
    flags.parse("agnhost liveness", arguments, {})
    start = time.monotonic()

    def handle(request: Request) -> Answer:
        spent = time.monotonic() - start
        if request.path == "/started":
            return Answer(200, f"{spent:.9f}s".encode())
        if request.path == "/healthz":
            return Answer(500, f"error: {spent:.6f}".encode()) if spent > 10 else Answer(200, b"ok")
        if request.path == "/redirect":
            return Answer(302, b"", headers=(("Location", request.query("loc")),))
        return Answer(404, b"404 page not found\n")

    return serve(handle, 8080)


def _pause(arguments: list[str]) -> int:
    print("Paused", flush=True)
    return pause.main(["pause", *arguments])


def entrypoint_tester(arguments: list[str]) -> int:
    print(f"[{' '.join(['/agnhost', 'entrypoint-tester', *arguments])}]", flush=True)
    return 0


COMMANDS: dict[str, Command] = {
    "connect": agnhost_net.connect,
    "dns-server-list": agnhost_net.dns_server_list,
    "dns-suffix": agnhost_net.dns_suffix,
    "entrypoint-tester": entrypoint_tester,
    "etc-hosts": agnhost_net.etc_hosts,
    "inclusterclient": agnhost_net.in_cluster_client,
    "liveness": liveness,
    "logs-generator": agnhost_files.logs_generator,
    "mounttest": agnhost_files.mounttest,
    "netexec": netexec,
    "pause": _pause,
    "porter": porter,
    "serve-hostname": serve_hostname,
    "test-webserver": agnhost_files.test_webserver,
}


def main(argv: list[str]) -> int:
    command, arguments = (argv[1], argv[2:]) if len(argv) > 1 else ("pause", [])
    if command in ("--version", "version"):
        print("agnhost version 2.53 (Seaway's own)")
        return 0
    if command not in COMMANDS:
        raise flags.refuse("agnhost", f"{command} is not built in here (there are: {', '.join(COMMANDS)})")
    try:
        return COMMANDS[command](arguments)
    except ValueError as e:
        raise flags.refuse(f"agnhost {command}", str(e)) from None
