"""A name server for tests, of a few fixed names: `python stubdns.py LOG ADDRESS[,ADDRESS] NAME=VALUE...`.

VALUE is an address (A or AAAA), `>NAME` (CNAME; chased here) or `large` (a TXT record that needs TCP). A name that is not there is
NXDOMAIN. LOG gets `udp|tcp NAME TYPE` for each question.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import threading

A, CNAME, TXT, AAAA = 1, 5, 16, 28
LARGE = b"x" * 200
PORT = 53


def wire(name: str) -> bytes:
    return b"".join(bytes((len(p),)) + p.encode() for p in name.split(".") if p) + b"\0"


def record(name: str, kind: int, data: bytes) -> bytes:
    return wire(name) + struct.pack("!HHIH", kind, 1, 30, len(data)) + data


def read_name(packet: bytes) -> tuple[str, int]:
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels).lower(), at + 1


class Zone:
    def __init__(self, log: str, rows: list[str]) -> None:
        self.log = open(log, "a", buffering=1)
        self.names: dict[str, list[str]] = {}
        for row in rows:
            name, _, value = row.partition("=")
            self.names.setdefault(name.lower(), []).append(value)

    def answer(self, packet: bytes, over: str) -> bytes:
        name, end = read_name(packet)
        (kind,) = struct.unpack("!H", packet[end : end + 2])
        self.log.write(f"{over} {name} {kind}\n")
        records, known = [], name in self.names
        at = name
        for _ in range(8):
            for value in self.names.get(at, ()):
                if value.startswith(">"):
                    records.append(record(at, CNAME, wire(value[1:])))
                elif value == "large" and kind == TXT:
                    records += [record(at, TXT, bytes((len(LARGE),)) + LARGE) for _ in range(20)]
                elif value != "large":
                    address = ipaddress.ip_address(value)
                    if kind == (A if address.version == 4 else AAAA):
                        records.append(record(at, kind, address.packed))
            following = [v[1:] for v in self.names.get(at, ()) if v.startswith(">")]
            if not following:
                break
            at = following[0].lower()
        body = b"".join(records)
        cut = over == "udp" and len(body) > 1200
        flags = 0x8580 | (0x0200 if cut else 0) | (0 if known else 3)
        count = 0 if cut else len(records)
        return packet[:2] + struct.pack("!5H", flags, 1, count, 0, 0) + packet[12 : end + 4] + (b"" if cut else body)


def datagrams(sock: socket.socket, zone: Zone) -> None:
    while True:
        packet, client = sock.recvfrom(4096)
        sock.sendto(zone.answer(packet, "udp"), client)


def stream(sock: socket.socket, zone: Zone) -> None:
    with sock, sock.makefile("rb") as f:
        try:
            while head := f.read(2):
                reply = zone.answer(f.read(struct.unpack("!H", head)[0]), "tcp")
                sock.sendall(struct.pack("!H", len(reply)) + reply)
        except OSError:  # who asked is gone
            return


def streams(listener: socket.socket, zone: Zone) -> None:
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=stream, args=(sock, zone), daemon=True).start()


def main() -> None:
    zone = Zone(sys.argv[1], sys.argv[3:])
    threads = []
    for address in sys.argv[2].split(","):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((address, PORT))
        tcp = socket.create_server((address, PORT), family=family)
        threads += [threading.Thread(target=datagrams, args=(udp, zone)), threading.Thread(target=streams, args=(tcp, zone))]
    for thread in threads:
        thread.start()
    print("ready", flush=True)


if __name__ == "__main__":
    main()
