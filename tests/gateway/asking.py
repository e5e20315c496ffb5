"""One question over one connection, as data: `ask({...})` -> what came. In the process that is where the client is to be."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import tempfile
import time
from typing import Any

import askingquic

# What a question may say: address, port, protocol (http/1.1, h2, h2c, h3, websocket, grpc, tls, tcp, udp, raw), tls (bool), sni, ca
# (PEM), certificate and key (PEM, the client's), method, host, path, headers (pairs), body, send (messages), raw (text, latin-1),
# timeout, series (so many over one connection), version and cipher (of TLS).
ECHO = "gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """status, headers (pairs), body, messages, grpc, certificate (the server's, PEM), alpn, took; `error` where nothing came."""
    started = time.monotonic()
    told: dict[str, Any] = {}
    try:
        speak = {"udp": _udp, "raw": _raw}.get(question["protocol"], _stream)
        told.update(speak(question, told))
    except TimeoutError:
        told["error"] = "timeout"
    except ConnectionRefusedError:
        told["error"] = "refused"
    except ssl.SSLError as e:
        told["error"] = f"tls: {e.reason or e}"
    except (ConnectionError, http.client.HTTPException, EOFError) as e:
        told["error"] = f"closed: {type(e).__name__} {e}"
    except Exception as e:
        told["error"] = f"error: {type(e).__name__} {e}"
    told["took"] = round(time.monotonic() - started, 3)
    return told


def _connected(question: dict[str, Any], told: dict[str, Any]) -> socket.socket:
    sock = socket.create_connection((question["address"], question["port"]), question.get("timeout", 5))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    told["from"] = sock.getsockname()[0]
    if not question.get("tls"):
        return sock
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if question.get("version"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv{question['version'].replace('.', '_')}"]
    if question.get("cipher"):
        context.set_ciphers(question["cipher"])
    if question.get("ca"):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=question["ca"])
    if question.get("certificate"):
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(question["certificate"] + question["key"])
            file.flush()
            context.load_cert_chain(file.name)
    protocol = question["protocol"]
    context.set_alpn_protocols(["h2"] if protocol in ("h2", "grpc") else [] if protocol in ("tcp", "tls") else ["http/1.1"])
    secure = context.wrap_socket(sock, server_hostname=question.get("sni") or None)
    certificate = secure.getpeercert(binary_form=True)
    told["certificate"] = ssl.DER_cert_to_PEM_cert(certificate) if certificate else ""
    told["alpn"] = secure.selected_alpn_protocol() or ""
    return secure


def _stream(question: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    protocol = question["protocol"]
    if protocol == "h3":
        with askingquic.connected(question) as sock:
            return askingquic.judged(_http1(question, sock))
    with _connected(question, told) as sock:
        if protocol == "tls":
            # With TLS 1.3 a server's refusal of the client's certificate comes after the client's end of the handshake.
            sock.settimeout(0.3)
            try:
                if sock.recv(1) == b"":
                    raise ConnectionError("closed after the handshake")
            except TimeoutError:
                pass
            return {}
        if protocol == "tcp":
            return _lines(question, sock)
        if protocol in ("h2", "h2c", "grpc"):
            return _http2(question, sock)
        if question.get("series"):
            answers = [_http1(question, sock, "keep-alive") for _ in range(question["series"])]
            return {**answers[-1], "series": [{"status": a["status"], "body": a["body"]} for a in answers]}
        return _http1(question, sock)


def _http1(question: dict[str, Any], sock: socket.socket, connection: str = "close") -> dict[str, Any]:
    websocket = question["protocol"] == "websocket"
    method, body = question.get("method", "GET"), question.get("body", "").encode()
    lines = [f"{method} {question.get('path', '/')} HTTP/1.1", f"Host: {question['host']}"]
    if websocket:
        key = base64.b64encode(os.urandom(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
                  f"Origin: http://{question['host']}"]
    else:
        lines.append(f"Connection: {connection}")
    lines += [f"{k}: {v}" for k, v in question.get("headers", [])]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    answer = http.client.HTTPResponse(sock, method=method)
    answer.begin()
    told = {"status": answer.status, "headers": answer.getheaders()}
    if websocket and answer.status == 101:
        return {**told, "messages": [_echoed(sock, text) for text in question.get("send", [])]}
    return {**told, "body": answer.read().decode("utf-8", "replace")}


def _echoed(sock: socket.socket, text: str) -> str:
    """What comes back for a WebSocket message."""
    payload, mask = text.encode(), os.urandom(4)
    assert len(payload) < 126
    masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    sock.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)
    head = _exactly(sock, 2)
    return _exactly(sock, head[1] & 127).decode()


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _http2(question: dict[str, Any], sock: socket.socket) -> dict[str, Any]:
    import h2.config
    import h2.connection
    import h2.events

    grpc = question["protocol"] == "grpc"
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False))
    connection.initiate_connection()
    path, body = question.get("path", "/"), question.get("body", "").encode()
    headers = [(":method", "POST" if grpc else question.get("method", "GET")), (":scheme", "https" if question.get("tls") else "http"),
               (":authority", question["host"]), (":path", path)]
    if grpc:
        headers += [("content-type", "application/grpc"), ("te", "trailers")]
        body = b"\0\0\0\0\0"
    headers += [(k.lower(), v) for k, v in question.get("headers", [])]
    connection.send_headers(1, headers, end_stream=not body)
    sock.sendall(connection.data_to_send())
    told: dict[str, Any] = {"headers": [], "trailers": {}}
    data, ended = b"", False
    while not ended:
        while body and (room := min(connection.local_flow_control_window(1), connection.max_outbound_frame_size)) > 0:
            connection.send_data(1, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        sock.sendall(connection.data_to_send())
        more = sock.recv(65536)
        if not more:
            raise EOFError
        for event in connection.receive_data(more):
            if isinstance(event, h2.events.ResponseReceived):
                found = [(str(k), str(v)) for k, v in event.headers]
                told["status"] = int(dict(found)[":status"])
                told["headers"] = [h for h in found if h[0] != ":status"]
            elif isinstance(event, h2.events.TrailersReceived):
                told["trailers"] = {str(k): str(v) for k, v in event.headers}
            elif isinstance(event, h2.events.DataReceived):
                data += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                ended = True
            elif isinstance(event, h2.events.StreamReset) and ended and not event.error_code:
                pass  # the answer is whole, and the rest of the request is not wanted (RFC 9113 8.1)
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise ConnectionError(f"{type(event).__name__} {event.error_code}")
        sock.sendall(connection.data_to_send())
    if not grpc:
        return {**told, "body": data.decode("utf-8", "replace")}
    trailers = told["trailers"] or dict(told["headers"])
    told["grpc"] = int(trailers.get("grpc-status", -1))
    return {**told, "grpcMessage": trailers.get("grpc-message", ""), "echo": told_by_grpc(data[5:]) if data else {}}


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """The fields with a length of a message of protobuf."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if not byte & 128:
                return value

    while at < len(data):
        number, size = varint() >> 3, varint()
        found.append((number, data[at : at + size]))
        at += size
    return found


def told_by_grpc(message: bytes) -> dict[str, Any]:
    """An EchoResponse in the form of the HTTP echo."""
    told: dict[str, Any] = {"headers": {}}
    for number, value in fields(dict(fields(message)).get(1, b"")):
        if number == 1:
            told["path"] = value.decode()
        elif number == 2:
            pair = dict(fields(value))
            told["headers"].setdefault(pair[1].decode(), []).append(pair.get(2, b"").decode())
        elif number == 3:
            told["host"] = value.decode()
        elif number == 4:
            context = {n: v.decode() for n, v in fields(value)}
            told.update(namespace=context.get(1, ""), service=context.get(3, ""), pod=context.get(4, ""))
        elif number == 5:
            inner = fields(value)
            tls = {name: v.decode() for n, v in inner for name in [("", "version", "negotiatedProtocol", "serverName", "cipherSuite")[n % 5]]
                   if n < 5}
            told["tls"] = {**tls, "peerCertificates": [v.decode() for n, v in inner if n == 5]}
    return told


def _lines(question: dict[str, Any], sock: socket.socket) -> dict[str, Any]:
    """Lines of the TCP echo, after its greeting."""
    with sock.makefile("rwb") as file:
        greeting = file.readline()
        if not greeting:
            raise EOFError
        answers = [greeting.decode().rstrip("\n")]
        for text in question.get("send", ["TEST"]):
            file.write(text.encode() + b"\n")
            file.flush()
            line = file.readline()
            if not line:
                raise EOFError
            answers.append(line.decode().rstrip("\n"))
    return {"messages": answers[1:], "greeting": answers[0]}


def _udp(question: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    family = socket.AF_INET6 if ":" in question["address"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(question.get("timeout", 2))
        sock.connect((question["address"], question["port"]))
        answers = []
        for text in question.get("send", ["hello"]):
            sock.send(text.encode())
            answers.append(sock.recv(65536).decode())
        return {"messages": answers}


def _raw(question: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Bytes as they are; what comes back until the server closes or says no more."""
    with _connected(question, told) as sock:
        sock.sendall(question["raw"].encode("latin-1"))
        data = b""
        sock.settimeout(question.get("timeout", 1))
        try:
            while more := sock.recv(65536):
                data += more
                head, found, rest = data.partition(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), None)
                if found and length is not None and len(rest) >= length and not question.get("more"):
                    break
        except TimeoutError:
            if not data:
                raise
        except ConnectionResetError:
            if not data:
                raise
    if not data:
        raise EOFError
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = lines[0].split(" ")
    headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if ":" in line]
    text = body.decode("latin-1")
    answers = data.count(b"HTTP/1.1 ")
    return {"status": int(status[1]) if len(status) > 1 and status[1].isdigit() else 0, "headers": headers, "body": text, "answers": answers}


