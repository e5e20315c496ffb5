"""Asks a name server all the time, from a pod, until a line comes in: `constant.py SERVER NAME`. By UDP from a new port each time, by UDP from
one kept socket, by TCP. What has no answer within a second is asked again, as resolvers do, three times in all. Prints how many
were asked, what was asked `again`, and what was `lost`."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time

SERVER, NAME = sys.argv[1:]
BODY = b"\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes((len(x),)) + x.encode() for x in NAME.split(".")) + b"\0\0\1\0\1"
WAIT = 1.0
asked: dict[str, int] = {}
lost: list[str] = []
again: list[str] = []


def good(reply: bytes) -> bool:
    return len(reply) > 12 and not reply[3] & 15 and struct.unpack_from("!H", reply, 6)[0] > 0


def udp(sock: socket.socket) -> bool:
    ident = os.urandom(2)
    sock.send(ident + BODY)
    while True:
        reply = sock.recv(4096)
        if reply[:2] == ident:
            return good(reply)


def new_ports() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.connect((SERVER, 53))
        return udp(sock)


KEPT = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def kept() -> bool:
    return udp(KEPT)


def tcp() -> bool:
    with socket.create_connection((SERVER, 53), timeout=WAIT) as sock:
        message = os.urandom(2) + BODY
        sock.sendall(struct.pack("!H", len(message)) + message)
        reply = b""
        while len(reply) < 2 or len(reply) < 2 + struct.unpack_from("!H", reply)[0]:
            more = sock.recv(4096)
            if not more:
                return False
            reply += more
        return good(reply[2:])


def run(way: str) -> None:
    while not ended.is_set():
        asked[way] = asked.get(way, 0) + 1
        for left in (again, again, lost):
            try:
                if globals()[way]():
                    break
                left.append(f"{way} at {time.time():.3f}: no such answer")
            except OSError as e:
                left.append(f"{way} at {time.time():.3f}: {e!r}")
        time.sleep(0.01)


KEPT.settimeout(WAIT)
KEPT.connect((SERVER, 53))
ended = threading.Event()
threads = [threading.Thread(target=run, args=(way,)) for way in ("new_ports", "kept", "tcp")]
print("begun", flush=True)
for thread in threads:
    thread.start()
sys.stdin.readline()
ended.set()
for thread in threads:
    thread.join()
print(json.dumps({"asked": asked, "again": again, "lost": lost}), flush=True)
