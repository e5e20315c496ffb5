"""hashicorp/http-echo: answers every request with one text."""

from __future__ import annotations

import os
import sys

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import Answer, Request, serve


def main(argv: list[str]) -> int:
    defaults = {"listen": ":5678", "text": os.environ.get("ECHO_TEXT", ""), "status-code": 200}
    args = flags.parse("http-echo", argv[1:], defaults)
    if not args["text"]:
        print("Missing -text option!", file=sys.stderr)
        return 127
    host, _, port = args["listen"].rpartition(":")
    body = args["text"].encode() + b"\n"

    def handle(request: Request) -> Answer:
        return (
            Answer(200, b'{"status":"ok"}', "application/json")
            if request.path == "/health"
            else Answer(args["status-code"], body)
        )

    print(f"[INFO] server is listening on {args['listen']}", flush=True)
    return serve(handle, int(port), host or None)
