"""The IR of a world as YAML that a person reads: for golden files. What a value has by default is left out."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from routingworld import World

from seaway.routing.ir import Certificate, Chain, End, Endpoints, PathMatch, Rule, Source, Trust, ValueMatch


def plain(value: Any) -> Any:
    if isinstance(value, Source):
        return value.title
    if isinstance(value, PathMatch):
        return f"{value.kind} {value.value}"
    if isinstance(value, ValueMatch):
        return f"{value.name} {value.kind} {value.value}".strip()
    if isinstance(value, End):
        where = f"{value.address}:{value.port}{' in ' + value.zone if value.zone else ''}"
        return f"{where}, draining" if value.draining else where
    if isinstance(value, Rule):
        kind = type(value.action).__name__.lower()
        rest = {k: v for k, v in _fields(value).items() if k != "action"}
        return {**rest, kind: plain(value.action)}
    if isinstance(value, Endpoints):
        return plain(value.ends)
    if isinstance(value, (Certificate, Trust)):
        return value.name
    if isinstance(value, msgspec.Struct):
        found = _fields(value)
        if isinstance(value, Chain):
            found.pop("name")
        return found
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {n: plain(v) for n, v in zip(value._fields, value, strict=True) if v != value._field_defaults.get(n)}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in sorted(value.items())}
    return value


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    found = {}
    for field in msgspec.structs.fields(value):
        what = getattr(value, field.name)
        if what != field.default:
            found[field.name] = plain(what)
    return found


def rendered(world: World) -> str:
    fleets: dict[str, Any] = {}
    for fleet, held in sorted(world.fleets.items()):
        found: dict[str, Any] = {
            "sockets": {n: {c.name: plain(c) for c in s.chains} for n, s in sorted(held.sockets.items())},
            "tables": {
                table: {domain: plain(host.rules) for domain, host in sorted(hosts.items())}
                for table, hosts in sorted(held.hosts.items())
            },
            "clusters": {
                n: {k: v for k, v in plain(c).items() if k != "name"} for n, c in sorted(held.clusters.items())
            },
            "endpoints": plain(held.endpoints),
            "certificates": sorted(held.certificates),
            "trusts": sorted(held.trusts),
        }
        if fleet in world.specs:
            found["wanted"] = {k: v for k, v in plain(world.specs[fleet]).items() if k != "fleet"}
        fleets[fleet.title] = {k: v for k, v in found.items() if v}
    statuses: dict[str, Any] = {}
    for (resource, namespace, name), status in sorted(world.statuses.items()):
        entry: dict[str, Any] = {"status": plain(status.tree)}
        if status.events:
            entry["events"] = _Lines(": ".join(e[1:]) for e in status.events)
        statuses[f"{resource}/{namespace or '-'}/{name}"] = entry
    tree = {"fleets": fleets, "statuses": statuses}
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=200, default_flow_style=None)


class _Lines(list[str]):
    """A line each."""


class _Dumper(yaml.SafeDumper):
    """Without anchors: a reader sees each value where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Lines, lambda dumper, lines: dumper.represent_sequence("tag:yaml.org,2002:seq", lines, flow_style=False)
)
