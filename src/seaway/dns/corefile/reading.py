"""A Corefile becomes `Settings`: blocks, their plugins, and what must hold between blocks; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from seaway.dns.corefile import answering, listening, serving, telling
from seaway.dns.corefile.blocks import ServerBlock, server_blocks
from seaway.dns.corefile.cache import cache
from seaway.dns.corefile.forward import forwards
from seaway.dns.corefile.kubernetes import kubernetes
from seaway.dns.corefile.lines import Directive, directive
from seaway.dns.corefile.outside import Given, Outside
from seaway.dns.corefile.plugins import PLUGINS
from seaway.dns.corefile.problems import CorefileError
from seaway.dns.corefile.rewrite import rewrites
from seaway.dns.corefile.scope import Scope
from seaway.dns.corefile.tokens import Token
from seaway.dns.corefile.zones import Key, is_reverse, key, written
from seaway.dns.settings import Block, Kubernetes, Name, Settings

SERVED = ("dns", "tls")

# A plugin's word, the field of Block that it fills, and its reader.
BLOCK_PLUGINS: tuple[tuple[str, str, Callable[[Sequence[Directive], Scope], Any]], ...] = (
    ("bufsize", "bufsize", lambda found, _: listening.bufsize(found)),
    ("bind", "binds", listening.binds),
    ("errors", "errors", telling.errors),
    ("log", "logs", telling.logs),
    ("any", "hinfo_for_any", answering.switch),
    ("loadbalance", "loadbalance", answering.loadbalance),
    ("rewrite", "rewrites", rewrites),
    ("autopath", "autopath", answering.autopath),
    ("acl", "access", answering.access),
    ("cache", "cache", cache),
    ("tls", "tls", listening.tls),
    ("minimal", "minimal", answering.switch),
    ("hosts", "hosts", answering.hosts),
    ("kubernetes", "kubernetes", kubernetes),
    ("loop", "loop", answering.switch),
    ("forward", "forwards", forwards),
)
SERVER_PLUGINS: tuple[tuple[str, Callable[[Sequence[Directive], Scope], Any]], ...] = (
    ("health", serving.health),
    ("ready", serving.ready),
    ("prometheus", serving.prometheus),
    ("reload", serving.reload),
    ("multisocket", serving.multisocket),
)


class _Read(NamedTuple):
    """A server block, read: its `Block`s, one for each transport and port, and the lines that are the server's."""

    source: ServerBlock
    keys: tuple[Key, ...]
    blocks: tuple[Block, ...]
    server: dict[str, tuple[Directive, Any]]
    kubernetes: Directive | None


def read(text: str, outside: Outside | None = None, path: str = "Corefile") -> Settings:
    """The settings that a Corefile asks for; CorefileError for what CoreDNS would refuse. `path` is its own, for imports and
    messages. What has no effect here is named in `ignored`."""
    outside = outside or Given()
    source = server_blocks(text, path, outside)
    if not source.blocks:
        raise CorefileError(path, 1, "there is no server block; the least is .:53 { kubernetes cluster.local ... }")
    ignored = list(source.ignored)
    found = [_read(block, outside, ignored) for block in source.blocks]
    _distinct(found)
    _one_cluster(found)
    blocks = tuple(b for one in found for b in one.blocks)
    if not blocks:
        raise source.blocks[0].keys[0].error("no block is left to serve: " + "; ".join(ignored))
    server = _server(found, ignored)
    return Settings(
        blocks=blocks,
        health=server["health"].address if "health" in server else "",
        lameduck=server["health"].lameduck if "health" in server else serving.LAMEDUCK,
        ready=server.get("ready", ""),
        metrics=server.get("prometheus", ""),
        reload=server["reload"].interval if "reload" in server else 0.0,
        reload_jitter=server["reload"].jitter if "reload" in server else 0.0,
        workers=server.get("multisocket", 0),
        ignored=tuple(dict.fromkeys(ignored)),  # a snippet's lines stand in several blocks
    )


def _read(block: ServerBlock, outside: Outside, ignored: list[str]) -> _Read:
    keys = tuple(key(token) for token in block.keys)
    lines: dict[str, list[Directive]] = {}
    raw: dict[str, Token] = {}
    for words in block.directives:
        name = words[0].text
        raw.setdefault(name, words[0])
        if PLUGINS[name] is None:
            lines.setdefault(name, []).append(directive(name, words))
    scope = Scope(tuple(dict.fromkeys(z for k in keys for z in k.zones)), outside, ignored=ignored)
    if "root" in lines:
        scope.root = listening.root(lines["root"])
    for name, why in PLUGINS.items():
        if why and name in raw:
            ignored.append(f"{raw[name].file}:{raw[name].line}: {name} is not supported: {why}")
    fields = {field: reader(lines[name], scope) for name, field, reader in BLOCK_PLUGINS if name in lines}
    server = {name: (lines[name][0], reader(lines[name], scope)) for name, reader in SERVER_PLUGINS if name in lines}
    served = [] if "view" in raw else _served(block, keys, ignored)
    for one in served:
        if one.transport == "tls" and "tls" not in fields:
            token = next(t for t, k in zip(block.keys, keys, strict=True) if k.transport == "tls")
            raise token.error(f"{token.text} needs a certificate: write tls CERT KEY in its block")
    certificate = fields.pop("tls", None)
    blocks = tuple(
        Block(zones=k.zones, port=k.port, transport=k.transport, tls=certificate if k.transport == "tls" else None, **fields)
        for k in served
    )
    clusters = lines.get("kubernetes")
    return _Read(block, keys, blocks, server, clusters[0] if clusters else None)


def _served(block: ServerBlock, keys: tuple[Key, ...], ignored: list[str]) -> list[Key]:
    """The keys as one for each transport and port, without those whose transport is not served."""
    zones: dict[tuple[str, int], list[Name]] = {}
    for token, one in zip(block.keys, keys, strict=True):
        if one.transport in SERVED:
            zones.setdefault((one.transport, one.port), []).extend(one.zones)
        else:
            ignored.append(f"{token.file}:{token.line}: {token.text} is not served: there is DNS over UDP, TCP and TLS only")
    return [Key(transport, tuple(dict.fromkeys(listed)), port) for (transport, port), listed in zones.items()]


def _distinct(found: Sequence[_Read]) -> None:
    """A zone on one port of one address is served once; on all addresses it is on each (core/dnsserver/address.go)."""
    seen: dict[tuple[str, int, Name], dict[str, Token]] = {}
    for one in found:
        if not one.blocks:
            continue
        binds = one.blocks[0].binds or ("",)
        for token, each in zip(one.source.keys, one.keys, strict=True):
            for zone in each.zones:
                taken = seen.setdefault((each.transport, each.port, zone), {})
                for address in binds:
                    other = taken.get(address) or (next(iter(taken.values()), None) if not address else taken.get(""))
                    if other:
                        where = f"{each.transport}://{written(zone)}:{each.port}" + (f" on {address}" if address else "")
                        raise token.error(f"cannot serve {where}: {other.text} at {other.file}:{other.line} does already; "
                                          "put both into one block, or give one of them another port or bind")  # fmt: skip
                    taken[address] = token


def _one_cluster(found: Sequence[_Read]) -> None:
    """The server keeps one set of the cluster's names, so all `kubernetes` lines ask for the same one."""
    first: tuple[Directive, Kubernetes] | None = None
    for one in found:
        settings = next((b.kubernetes for b in one.blocks), None)
        if one.kubernetes is None or settings is None:
            continue
        if first is None:
            first = one.kubernetes, settings
        elif _cluster(settings) != _cluster(first[1]):
            raise one.kubernetes.line.error(
                f"its options differ from those of kubernetes at {first[0].line.place}: one server keeps the names of one "
                "cluster in one way; write the same options, or run a second server with a Corefile of its own"
            )


def _cluster(settings: Kubernetes) -> tuple[Name, Kubernetes]:
    domain = next(z for z in settings.zones if not is_reverse(z))
    return domain, replace(settings, zones=(), fallthrough=None)


def _server(found: Sequence[_Read], ignored: list[str]) -> dict[str, Any]:
    chosen: dict[str, tuple[Directive, Any]] = {}
    for one in found:
        for name, (directive_, value) in one.server.items():
            first, kept = chosen.setdefault(name, (directive_, value))
            if value != kept:
                holds = f"has no effect: the one at {first.line.place} holds for the whole server"
                ignored.append(directive_.line.ignored(holds))
    return {name: value for name, (_, value) in chosen.items()}
