"""`seaway gateway routes`: what is programmed, for whom, from which object.

It decides from the cluster's objects as the controller does, with the caller's own rights; whether proxies hold it is what the
statuses say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from seaway.api.kinds import Kind
from seaway.api.tree import get, key_of
from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.kubeconfig import CredentialsError
from seaway.client.rest import Rest
from seaway.gateway.kinds import BUILTIN, GATEWAY_API, builtin
from seaway.gateway.listing import Row, rows
from seaway.gateway.watching import discovered
from seaway.routing.engine import Engine
from seaway.routing.gateway.frontend import GATEWAY_API as FRONT_END
from seaway.routing.ingress.classes import Settings
from seaway.routing.ingress.frontend import ingress_front_end
from seaway.routing.policies.frontend import POLICIES

Tree = dict[str, Any]


async def _objects(api: Rest, resources: list[str]) -> dict[str, list[Tree]]:
    """All objects, resource by resource; kinds that are not served have none."""
    known: dict[str, Kind] = {**await discovered(api), **{r: builtin(r) for r in BUILTIN}}
    listed = {}
    for resource in resources:
        if resource in known:
            kind = known[resource]
            items = (await api.list(kind))["items"]
            listed[resource] = [{"apiVersion": kind.api_version, "kind": kind.kind, **t} for t in items]
    return listed


def states(objects: dict[str, list[Tree]]) -> dict[str, str]:
    """Of each object that rows come from, what its status says in a word."""
    found = {}
    for resource, (kind, _) in GATEWAY_API.items():
        for tree in objects.get(resource, ()):
            entries = get(tree, "status", "parents") or [tree.get("status") or {}]
            conditions = [c for e in entries for c in e.get("conditions") or ()]
            bad = [
                c
                for c in conditions
                if c["status"] == "False" and c["type"] in ("Accepted", "ResolvedRefs", "Programmed")
            ]
            unknown = not conditions or any(c["status"] == "Unknown" for c in conditions)
            word = bad[0]["reason"] if bad else "Pending" if unknown else "ok"
            found[f"{kind}/{'/'.join(p for p in key_of(tree))}"] = word
    return found


async def _main(args: argparse.Namespace) -> int:
    engine = Engine([FRONT_END, POLICIES, ingress_front_end(Settings())])
    async with Rest(kubeconfig.find(args.kubeconfig), "seaway") as api:
        objects = await _objects(api, engine.resources)
    names = {str(get(c, "spec", "controllerName")) for c in objects.get("gatewayclasses", ())}
    engine.fact("controllers", value=tuple(args.controller_name or sorted(names)))
    for resource, trees in objects.items():
        for tree in trees:
            engine.change(resource, key_of(tree), tree)
    found = [row for row in rows(engine.settle().fleets) if _wanted(row, args)]
    known = states(objects)
    if args.output == "json":
        print(json.dumps([{**r._asdict(), "state": _state(r, known)} for r in found], indent=2))
    elif not found:
        print("nothing is programmed: there is no Gateway, Ingress or route of ours that matches", file=sys.stderr)
    else:
        print(table(found, known))
    return 0


def _wanted(row: Row, args: argparse.Namespace) -> bool:
    return all(
        wanted in text for wanted, text in ((args.gateway, row.fleet), (args.host, row.host), (args.source, row.source))
    )


def _state(row: Row, known: dict[str, str]) -> str:
    return known.get("/".join(row.source.split("/")[:3]), "ok" if row.source.startswith("Ingress") else "")


def table(found: list[Row], known: dict[str, str]) -> str:
    """Columns as wide as what they hold; what a line shares with the one above it is not said again."""
    lines = [("GATEWAY", "PORT", "HOST", "MATCH", "LEADS TO", "FROM", "STATE")]
    lines += [(*row, _state(row, known)) for row in found]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    shown = []
    before: tuple[str, ...] = ()
    for line in lines:
        cells = list(line)
        for i in range(3):
            if before[: i + 1] == line[: i + 1]:
                cells[i] = ""
        before = line
        shown.append("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    return "\n".join(shown)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "seaway gateway routes", description="Show what is programmed, for whom, from which object."
    )
    parser.add_argument("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    parser.add_argument("--controller-name", action="append", help="only Gateways of this controller; may be repeated")
    parser.add_argument("--gateway", default="", help="only fleets with this in their name")
    parser.add_argument("--host", default="", help="only host names with this in them")
    parser.add_argument("--source", default="", help="only what comes from objects with this in their name")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    args = parser.parse_args(argv)
    try:
        return asyncio.run(_main(args))
    except CredentialsError as e:
        print(f"seaway gateway routes: {e}", file=sys.stderr)
    except ApiStatusError as e:
        print(f"seaway gateway routes: {e}; it needs to list what the controller reads", file=sys.stderr)
    except Unavailable as e:
        print(f"seaway gateway routes: {e}; is the cluster up?", file=sys.stderr)
    return 1
