"""hashicorp/http-echo: answers every request with one text."""

from __future__ import annotations

import argparse
import os
import sys

from seaway.cluster.node.programs.http import Answer, Request, serve


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("http-echo", allow_abbrev=False)
    parser.add_argument("-listen", "--listen", default=":5678")
    parser.add_argument("-text", "--text", default=os.environ.get("ECHO_TEXT", ""))
    parser.add_argument("-status-code", "--status-code", type=int, default=200)
    args = parser.parse_args(argv[1:])
    if not args.text:
        print("Missing -text option!", file=sys.stderr)
        return 127
    host, _, port = args.listen.rpartition(":")
    body = args.text.encode() + b"\n"

    def handle(request: Request) -> Answer:
        return (
            Answer(200, b'{"status":"ok"}', "application/json")
            if request.path == "/health"
            else Answer(args.status_code, body)
        )

    print(f"[INFO] server is listening on {args.listen}", flush=True)
    return serve(handle, int(port), host or None)
