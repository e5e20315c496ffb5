"""The channels of exec, attach and port-forward inside WebSocket messages; pure.

A message is the number of its channel and then its bytes: in binary as one byte, in the base64 forms as one digit and
text (k8s.io/streaming wsstream). v4 made the last word a Status; v5 added channel 255, which closes another.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Tree = dict[str, Any]
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
# What a server takes, and whether the form is base64.
WEBSOCKET = {
    V5: False,
    V4: False,
    "v4.base64.channel.k8s.io": True,
    "channel.k8s.io": False,
    "base64.channel.k8s.io": True,
    "": False,
}
PORT_FORWARD = {V4: False, "v4.base64.channel.k8s.io": True, "": False}
SPDY = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io", "")
TUNNEL = "SPDY/3.1+portforward.k8s.io"
FORWARD_SPDY = "portforward.k8s.io"


@dataclass(frozen=True, slots=True)
class Form:
    """How a protocol writes its messages."""

    protocol: str

    @property
    def base64(self) -> bool:
        return WEBSOCKET.get(self.protocol, False)

    @property
    def status(self) -> bool:
        """Whether the last word is a Status; before v4 it was a text."""
        return self.protocol.startswith(("v4.", "v5."))

    @property
    def closes(self) -> bool:
        return self.protocol == V5

    def pack(self, channel: int, data: bytes) -> bytes | str:
        """A message: text for the base64 forms."""
        if self.base64:
            return str(channel) + base64.b64encode(data).decode()
        return bytes((channel,)) + data

    def unpack(self, message: bytes | str) -> tuple[int, bytes] | None:
        """(channel, bytes); None for a message that says nothing."""
        if not message:
            return None
        if self.base64:
            text = message if isinstance(message, str) else message.decode("latin-1")
            try:
                return int(text[0]), base64.b64decode(text[1:], validate=True)
            except (ValueError, binascii.Error):
                return None
        raw = message.encode() if isinstance(message, str) else message
        return raw[0], raw[1:]

    def last_word(self, status: Tree) -> bytes:
        """What the error channel says at the end: a Status, or before v4 the text of a failure."""
        if self.status:
            return json.dumps(status).encode()
        return b"" if status.get("status") == "Success" else str(status.get("message", "")).encode()


def choose(offered: Iterable[str], taken: Iterable[str]) -> str | None:
    """The first protocol of the client that the server takes; without any offer the nameless one, if it is taken."""
    known, names = set(taken), [o for o in offered if o]
    return next((n for n in names if n in known), None) if names else ("" if "" in known else None)


def terminal_size(data: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a resize message; None for nonsense."""
    try:
        size = json.loads(data)
        rows, columns = int(size.get("Height") or 0), int(size.get("Width") or 0)
    except (ValueError, TypeError, AttributeError):
        return None
    return (rows, columns) if 0 < rows < 65536 and 0 < columns < 65536 else None


def success() -> Tree:
    return {"metadata": {}, "status": "Success"}


def exited(command: list[str], code: int) -> Tree:
    """How a command ended (kubelet cri/streaming/remotecommand ServeExec)."""
    if code == 0:
        return success()
    told = f"error executing command [{' '.join(command)}], exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {told}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def internal(why: str) -> Tree:
    """What went wrong before a command could end."""
    message = f"Internal error occurred: {why}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    }
