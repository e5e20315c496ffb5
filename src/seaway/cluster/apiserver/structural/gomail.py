"""Mail addresses as Go's mail.ParseAddress accepts them (RFC 5322 with a display name, comments and quotes); pure."""

from __future__ import annotations

import re

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
DOT_ATOM = re.compile(rf"{ATOM}(?:\.{ATOM})*")
SPACE = re.compile(r"[ \t]*")


def is_address(text: str) -> bool:
    """One address: `a@b.example`, `Name <a@b.example>`."""
    bare = text.strip(" \t")
    if bare.endswith(">") and "<" in bare:
        _, _, bare = bare[:-1].rpartition("<")
    local, at, domain = bare.rpartition("@")
    return bool(at and DOT_ATOM.fullmatch(local) and DOT_ATOM.fullmatch(domain))
