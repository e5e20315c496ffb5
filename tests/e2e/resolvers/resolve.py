"""The same by Python, which asks the C library of its machine (glibc): `resolve.py NAME...`, `resolve.py time COUNT NAME`."""

import socket
import sys
import time


def look_up(name: str) -> list[str]:
    return sorted({str(row[4][0]) for row in socket.getaddrinfo(name, 80, socket.AF_UNSPEC, socket.SOCK_STREAM)})


def main(words: list[str]) -> None:
    if words[0] == "time":
        for _ in range(int(words[1])):
            began = time.monotonic()
            look_up(words[2])
            print(f"{(time.monotonic() - began) * 1e3:.3f}")
        return
    for name in words:
        try:
            print(*look_up(name))
        except socket.gaierror:
            print("none")


main(sys.argv[1:])
