"""The world outside for the ndots lab, standard library only: a name server far away, run in the outside network.

`nameserver.py ADDRESS DOMAIN SECONDS`: whatever is below DOMAIN has an A and an AAAA record, nothing else exists; an answer takes
so many seconds, as one from across a network does. It writes `NAME TYPE` for each question that it gets, first `ready`.
"""

import asyncio
import socket
import struct
import sys

A, AAAA, SOA = 1, 28, 6
TTL, PORT = 300, 53
DATA = {A: socket.inet_pton(socket.AF_INET, "192.0.2.80"), AAAA: socket.inet_pton(socket.AF_INET6, "2001:db8::80")}


def asked(packet: bytes) -> tuple[str, int, int]:
    """The name, its type, and where the question ends."""
    at, labels = 12, []
    while size := packet[at]:
        labels.append(packet[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    (kind,) = struct.unpack_from("!H", packet, at + 1)
    return ".".join(labels).lower(), kind, at + 5


def _wire(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode("latin-1") for label in name.split(".")) + b"\0"


def answer(packet: bytes, domain: str) -> bytes:
    """The reply; a negative one has an SOA, so that it may be kept."""
    name, kind, end = asked(packet)
    known = name.endswith(f".{domain}")
    answers = authority = b""
    if known and kind in DATA:
        answers = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, TTL, len(DATA[kind])) + DATA[kind]
    else:
        zone = domain if known else name.rpartition(".")[2]
        data = _wire("ns") + _wire("hostmaster") + struct.pack("!5I", 1, 7200, 1800, 86400, TTL)
        authority = _wire(zone) + struct.pack("!HHIH", SOA, 1, TTL, len(data)) + data
    head = struct.pack("!5H", 0x8580 | (0 if known else 3), 1, bool(answers), bool(authority), 0)
    return packet[:2] + head + packet[12:end] + answers + authority


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, domain: str, seconds: float) -> None:
        self._domain, self._seconds = domain, seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]  # it is one

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        try:
            name, kind, _ = asked(data)
            reply = answer(data, self._domain)
        except (IndexError, struct.error):
            return
        print(name, kind, flush=True)
        asyncio.get_running_loop().call_later(self._seconds, self._transport.sendto, reply, addr)


async def serve(address: str, domain: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                packet = await reader.readexactly(size)
                name, kind, _ = asked(packet)
                print(name, kind, flush=True)
                await asyncio.sleep(seconds)
                reply = answer(packet, domain)
                writer.write(struct.pack("!H", len(reply)) + reply)
        except (asyncio.IncompleteReadError, ConnectionError, IndexError, struct.error):
            writer.close()

    await loop.create_datagram_endpoint(lambda: Datagrams(domain, seconds), (address, PORT))
    server = await asyncio.start_server(stream, address, PORT)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], float(sys.argv[3])))
