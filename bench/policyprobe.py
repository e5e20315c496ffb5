"""A client outside that asks one request after the other on a connection that it keeps, as a program: `policyprobe.py ADDRESS PORT`.

A JSON object a line in: {"host", "headers": pairs, "count"}; a line out: {"status", "took": [seconds of each], "headers": the last ones}.
"""

from __future__ import annotations

import json
import sys
import time

from gatewayprobe import Asking


def main(address: str, port: int) -> None:
    asking = Asking(address, port)
    for line in sys.stdin:
        wanted = json.loads(line)
        more = "".join(f"{name}: {value}\r\n" for name, value in wanted["headers"])
        took, status, said = [], 0, ""
        for _ in range(wanted["count"]):
            began = time.perf_counter()
            status, said = asking.ask(wanted["host"], "/", more)
            took.append(time.perf_counter() - began)
            if status != 200:
                break
        print(json.dumps({"status": status, "took": took, "headers": said}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
