"""Requests that nobody should send, made by rule and by a seed: the same thousand every time.

Each says what its refusal has to name. Those that may be taken after all (a flipped byte can still be a message) are dry runs.
"""

from __future__ import annotations

from bad import Bad
from badbodies import deep, medias, protobufs, texts
from badcalls import applies, patches, paths, queries
from badcustom import custom
from badfields import digits, numbers_out_of_range, values, wrong_types

GROUPS = (wrong_types, numbers_out_of_range, texts, medias, protobufs, queries, paths, patches, applies, values, digits, custom, deep)
REQUESTS: dict[str, list[Bad]] = {group.__name__: list(group()) for group in GROUPS}
