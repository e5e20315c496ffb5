"""agnhost's subcommands that speak to others, or say what the pod was given to speak with."""

from __future__ import annotations

import json
import socket
import sys
import time

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import Answer, Request

TRY_WITHIN = 5.0


def connect(arguments: list[str]) -> int:
    """connect HOST:PORT: 0 where somebody answers; else DNS, REFUSED, TIMEOUT or OTHER, and 1."""
    address = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    rest = arguments[1:] if address else arguments
    if not address and rest and not rest[-1].startswith("-"):
        address, rest = rest[-1], rest[:-1]
    args = flags.parse("agnhost connect", rest, {"timeout": "5s", "protocol": "tcp", "udp-data": ""})
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        print(f"OTHER: address {address}: missing port in address", file=sys.stderr)
        return 1
    if args["protocol"] not in ("tcp", "udp"):
        raise flags.refuse("agnhost connect", f"--protocol={args['protocol']} is not built in here")
    is_udp = args["protocol"] == "udp"
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM
        )
    except OSError as e:
        print(f"DNS: {e}", file=sys.stderr)
        return 1
    problem = "OTHER: no address"
    for family, kind, number, _, where in found:
        try:
            with socket.socket(family, kind, number) as sock:
                sock.settimeout(flags.duration(args["timeout"]))
                sock.connect(where)
                if is_udp:
                    sock.send((args["udp-data"] or "hostname\n").encode())
                    sock.recv(4096)
            return 0
        except TimeoutError:
            problem = "TIMEOUT"
        except ConnectionRefusedError:
            problem = "REFUSED"
        except OSError as e:
            problem = f"OTHER: {e}"
    print(problem, file=sys.stderr)
    return 1


def _resolv(word: str) -> list[str]:
    with open("/etc/resolv.conf") as f:
        lines = [line.split() for line in f]
    return [w for line in lines if line and line[0] == word for w in line[1:]]


def dns_suffix(arguments: list[str]) -> int:
    flags.parse("agnhost dns-suffix", arguments, {})
    print(",".join(_resolv("search")), flush=True)
    return 0


def dns_server_list(arguments: list[str]) -> int:
    flags.parse("agnhost dns-server-list", arguments, {})
    print(",".join(_resolv("nameserver")), flush=True)
    return 0


def etc_hosts(arguments: list[str]) -> int:
    flags.parse("agnhost etc-hosts", arguments, {})
    with open("/etc/hosts") as f:
        print(f.read(), flush=True)
    return 0


def dial(request: Request) -> Answer:
    """netexec's /dial?host=&port=&protocol=&request=&tries=: asks another netexec, as often as it is told."""
    host, port, tries = request.query("host"), request.query("port"), request.query("tries", "1")
    wanted, protocol = request.query("request", "hostname"), request.query("protocol", "http")
    if protocol not in ("http", "udp"):
        return Answer(400, f"unsupported protocol: {protocol}".encode())
    if not host or not port.isdigit() or not tries.isdigit():
        return Answer(400, b"invalid host, port or tries\n")
    responses, errors = [], []
    for _ in range(min(int(tries), 100)):
        try:
            text = _over_http(host, int(port), wanted) if protocol == "http" else _over_udp(host, int(port), wanted)
            responses.append(text)
        except OSError as e:
            errors.append(str(e))
    told = {**({"responses": responses} if responses else {}), **({"errors": errors} if errors else {})}
    return Answer(200, json.dumps(told, separators=(",", ":")).encode())


def _over_http(host: str, port: int, wanted: str) -> str:
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=TRY_WITHIN)
    try:
        connection.request("GET", "/" + wanted)
        return connection.getresponse().read().decode("utf-8", "replace")
    except http.client.HTTPException as e:
        raise OSError(str(e)) from None
    finally:
        connection.close()


def _over_udp(host: str, port: int, wanted: str) -> str:
    family, kind, number, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, number) as sock:
        sock.settimeout(TRY_WITHIN)
        sock.connect(where)
        sock.send(wanted.encode())
        return sock.recv(4096).decode("utf-8", "replace")


def _socket(kind: socket.SocketKind, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("", port))
    return sock


def serve_tcp(port: int, text: bytes) -> int:
    """Says the same to everybody, and hangs up."""
    with _socket(socket.SOCK_STREAM, port) as sock:
        sock.listen(128)
        while True:
            connection, _ = sock.accept()
            with connection:
                try:
                    connection.sendall(text)
                except OSError:
                    continue


def serve_udp(port: int, text: bytes) -> int:
    with _socket(socket.SOCK_DGRAM, port) as sock:
        while True:
            _, peer = sock.recvfrom(4096)
            try:
                sock.sendto(text, peer)
            except OSError:
                continue


def in_cluster_client(arguments: list[str]) -> int:
    """Asks the API server for /healthz with the pod's token, again and again."""
    import http.client
    import os
    import ssl

    args = flags.parse("agnhost inclusterclient", arguments, {"poll-interval": 30})
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
    context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
    while True:
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} calling /healthz", flush=True)
        try:
            with open(f"{folder}/token") as f:
                token = f.read()
            connection = http.client.HTTPSConnection(host, port, timeout=10, context=context)
            connection.request("GET", "/healthz", headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            print(f"status={answer.status} {answer.read().decode('utf-8', 'replace')}", flush=True)
            connection.close()
        except (OSError, http.client.HTTPException) as e:
            print(f"err: {e}", flush=True)
        time.sleep(args["poll-interval"])
