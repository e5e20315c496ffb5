"""A client outside that tells when an answer is the right one, as a program: `gatewayprobe.py ADDRESS PORT`.

A JSON object a line in: {"host", "path", "mark": [header, value]}; with "status", an answer of it is the right one instead. It asks,
on a connection that it keeps, until the answer is right, and writes when that came: {"at": seconds of CLOCK_MONOTONIC, "asked": how often}.
"""

from __future__ import annotations

import json
import socket
import sys
import time

PAUSE = 0.001  # seconds between two requests
PATIENCE = 60.0


class Asking:
    def __init__(self, address: str, port: int) -> None:
        self._to = (address, port)
        self._socket: socket.socket | None = None
        self._left = b""

    def ask(self, host: str, path: str, more: str = "") -> tuple[int, str]:
        """(status, headers) of an answer; (0, what went wrong) where none came. `more`: lines of headers, each with its end."""
        try:
            if self._socket is None:
                self._left = b""
                self._socket = socket.create_connection(self._to, 5)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
            return self._answer(self._socket)
        except (OSError, ValueError) as e:
            if self._socket is not None:
                self._socket.close()
            self._socket = None
            return 0, str(e)

    def _more(self, sock: socket.socket) -> None:
        data = sock.recv(65536)
        if not data:
            raise ValueError("the connection was ended")
        self._left += data

    def _answer(self, sock: socket.socket) -> tuple[int, str]:
        while b"\r\n\r\n" not in self._left:
            self._more(sock)
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        text = head.decode("latin-1").lower()
        if "\r\ntransfer-encoding: chunked" in text:
            while b"0\r\n\r\n" not in self._left:
                self._more(sock)
            self._left = b""
        else:
            size = int(text.partition("\r\ncontent-length:")[2].partition("\r\n")[0])
            while len(self._left) < size:
                self._more(sock)
            self._left = self._left[size:]
        return int(text.split()[1]), text


def main(address: str, port: int) -> None:
    asking = Asking(address, port)
    for line in sys.stdin:
        wanted = json.loads(line)
        mark = "\r\n{}: {}".format(*wanted["mark"]).lower() if "mark" in wanted else ""
        status, asked, end = wanted.get("status", 200), 0, time.monotonic() + PATIENCE
        while True:
            found, said = asking.ask(wanted["host"], wanted["path"])
            at, asked = time.monotonic(), asked + 1
            if found == status and (not mark or mark in said):
                print(json.dumps({"at": at, "asked": asked}), flush=True)
                break
            if at > end:
                print(json.dumps({"error": f"{wanted['host']}{wanted['path']}: {found} {said[:200]}"}), flush=True)
                break
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
