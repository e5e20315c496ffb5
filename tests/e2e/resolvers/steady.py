"""Asks A and AAAA together from one socket, steadily: `steady.py SERVER SECONDS NAME`; {} in NAME is another number each time. Says when
the first is answered; at the end as JSON how many pairs were asked, which were lost (nothing within 2 seconds), which codes came, and the longest time in ms."""

import json
import os
import socket
import struct
import sys
import time

PAUSE, PATIENCE = 0.02, 2.0


def main(server: str, seconds: float, name: str) -> None:
    found: dict = {"pairs": 0, "lost": [], "codes": {}, "worst": 0.0, "answered": []}
    begun = time.monotonic()
    while (now := time.monotonic()) - begun < seconds:
        asked = name.format(found["pairs"])
        wire = b"".join(bytes((len(p),)) + p.encode() for p in asked.split(".")) + b"\0"
        found["pairs"] += 1
        waiting = set()
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as used:
            used.connect((server, 53))
            used.settimeout(PATIENCE)
            try:
                for kind in (1, 28):
                    ident = os.urandom(2)
                    waiting.add(ident)
                    used.send(ident + struct.pack("!5H", 0x100, 1, 0, 0, 0) + wire + struct.pack("!HH", kind, 1))
                while waiting:
                    reply = used.recv(4096)
                    waiting.discard(reply[:2])
                    code = str(reply[3] & 15)
                    found["codes"][code] = found["codes"].get(code, 0) + 1
                found["worst"] = max(found["worst"], (time.monotonic() - now) * 1000)
                if not found["answered"]:
                    print("answered", flush=True)
                found["answered"].append(round(now - begun, 3))
            except OSError as e:
                found["lost"].append([round(now - begun, 2), str(e)])
                if not isinstance(e, TimeoutError):
                    time.sleep(0.1)
        time.sleep(PAUSE)
    gaps = [b - a for a, b in zip(found["answered"], found["answered"][1:], strict=False)]
    found["gap"], found["answered"] = max(gaps, default=0.0), len(found["answered"])
    print(json.dumps(found))


main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
