"""What the kernel holds, read from `nft -j list table` in the spelling in which it was written; pure."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from seaway.proxy.nftables.elements import Elements
from seaway.proxy.nftables.render import Held

Tree = dict[str, Any]
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
DYNAMIC = ("clients-",)  # sets that packets fill


def _text(value: Any) -> str:
    """A key or a value as text: concatenations joined, protocols by name, prefixes as CIDRs."""
    if isinstance(value, dict):
        if "elem" in value:
            return _text(value["elem"]["val"])
        if "prefix" in value:
            return f"{value['prefix']['addr']}/{value['prefix']['len']}"
        if "concat" in value:
            parts = value["concat"]
            # The protocol follows an address, or leads in the keys of node ports.
            return " . ".join(
                PROTOCOLS.get(part, str(part))
                if place == _PROTOCOL_AT[len(parts)] and isinstance(part, int)
                else _text(part)
                for place, part in enumerate(parts)
            )
        if "range" in value:
            return "-".join(map(_text, value["range"]))
        for verdict in ("goto", "jump"):
            if verdict in value:
                return f"{verdict} {value[verdict]['target']}"
        for verdict in ("drop", "accept", "continue", "return"):
            if verdict in value:
                return verdict
    return str(value)


_PROTOCOL_AT = {2: 0, 3: 1, 4: 1}


def _comment(entry: Any) -> str:
    said = entry["elem"].get("comment") if isinstance(entry, dict) and "elem" in entry else None
    return f' comment "{said}"' if said else ""


def _elements(name: str, entries: list[Any], is_map: bool, found: Elements) -> None:
    for entry in entries:
        if is_map:
            key, value = entry
            found[(name, _text(key))] = f"{_comment(key)} : {_text(value)}"
        else:
            found[(name, _text(entry))] = _comment(entry)


def read(document: bytes) -> tuple[Held, dict[str, str]]:
    """(what is held, a digest of each chain's rules)."""
    chains: dict[str, int] = {}
    rules: dict[str, list[Any]] = {}
    sets: set[str] = set()
    found: Elements = {}
    for entry in msgspec.json.decode(document)["nftables"] if document else ():
        ((what, tree),) = entry.items()
        if what == "chain":
            chains.setdefault(tree["name"], 0)
        elif what == "rule":
            chains[tree["chain"]] = chains.get(tree["chain"], 0) + 1
            rules.setdefault(tree["chain"], []).append(tree["expr"])
        elif what in ("map", "set"):
            sets.add(tree["name"])
            if not tree["name"].startswith(DYNAMIC):
                _elements(tree["name"], tree.get("elem") or [], what == "map", found)
    digests = {name: hashlib.sha256(msgspec.json.encode(each)).hexdigest() for name, each in rules.items()}
    return Held(chains, sets, found), digests
