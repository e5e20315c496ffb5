"""agnhost porter: many ports, each with a text of its own; a process a port."""

from __future__ import annotations

import json
import os
import signal

from seaway.cluster.fabric import linux
from seaway.cluster.node.programs.http import Answer, Request, serve


def serve_ports(texts: dict[int, str], as_json: bool) -> int:
    """A process a port: the small server has one handler. The first one's end is the end of all."""
    ports = sorted(texts)
    for port in ports[1:]:
        if os.fork() == 0:
            linux.die_with_parent(signal.SIGTERM)
            os._exit(_serve(port, texts[port], as_json))
    return _serve(ports[0], texts[ports[0]], as_json)


def _serve(port: int, text: str, as_json: bool) -> int:
    def handle(request: Request) -> Answer:
        if not as_json:
            return Answer(200, text.encode())
        told = {"method": request.method, "body": text}
        return Answer(200, json.dumps(told).encode(), "application/json")

    return serve(handle, port)
