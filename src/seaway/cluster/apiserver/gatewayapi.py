"""Gateway API in a new cluster: its kinds, and the classes that Seaway's gateway looks after.

Each is made where it is absent; the definitions and objects of others stay as they are. What the server stores of a
definition is prepared when the package is built (tools/gatewayapi.py), so that a start neither judges nor compiles it.
"""

from __future__ import annotations

import asyncio
import copy
from importlib import resources
from typing import Any

import msgspec

from seaway.api import kinds
from seaway.cluster.apiserver import managed, metadata, records
from seaway.cluster.apiserver.calls import Writer
from seaway.cluster.apiserver.custom import lifecycle
from seaway.cluster.apiserver.custom.registry import DEFINITIONS
from seaway.cluster.apiserver.custom.strategy import rule_of
from seaway.cluster.apiserver.fieldsets import difference, without
from seaway.cluster.apiserver.journal import ADDED
from seaway.cluster.apiserver.rules.definitions import begin, default
from seaway.cluster.apiserver.typedvalues import field_set

Tree = dict[str, Any]
STORED = "definitions.json"
GROUP = "gateway.networking.k8s.io"
DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
# Whoever applies a published bundle on the server's side, as its instructions say, is kubectl: it takes over without conflicts.
APPLIER = managed.manager("kubectl", managed.APPLY, DEFINITION[0])
SERVER = managed.manager("kube-apiserver", managed.UPDATE, DEFINITION[0], "status")
EPOCH = "1970-01-01T00:00:00Z"
GATEWAY_CLASS: Tree = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "seaway"},
    "spec": {"controllerName": "seaway.dev/gateway-controller"},
}


def prepared(document: Tree) -> Tree:
    """A definition as it is stored once it is established, without identity; its times are those of the epoch."""
    kind = kinds.by_kind()[DEFINITION]
    shape = records.type_of(kind)
    tree = copy.deepcopy(document)
    default(tree)
    begin(tree)
    tree["status"] = lifecycle.status(tree, (), EPOCH)
    applied = difference(without(field_set(document, shape), records.reset(kind, "")), managed.STRIPPED)
    told = without(field_set({"status": tree["status"]}, shape), records.reset(kind, "status"))
    owners = {
        APPLIER: managed.Owned(applied, DEFINITION[0], EPOCH),
        SERVER: managed.Owned(told, DEFINITION[0], EPOCH),
    }
    tree["metadata"]["generation"] = 1
    tree["metadata"]["managedFields"] = managed.encode(owners)
    return tree


def born(tree: Tree, uid: str, now: str) -> Tree:
    """A prepared definition as one that was made now."""
    meta = {**tree["metadata"], "uid": uid, "creationTimestamp": now}
    meta["managedFields"] = [{**e, "time": now} for e in meta["managedFields"]]
    conditions = [{**c, "lastTransitionTime": now} for c in tree["status"]["conditions"]]
    return {**tree, "metadata": meta, "status": {**tree["status"], "conditions": conditions}}


async def ensure(writer: Writer) -> None:
    """Makes what is absent."""
    kind = kinds.by_kind()[DEFINITION]
    absent: list[Tree] = []
    for tree in msgspec.json.decode(resources.files("seaway.deploy").joinpath("gatewayapi", STORED).read_bytes()):
        if writer.storage.newest(DEFINITIONS, tree["metadata"]["name"]) is None:
            absent.append(metadata.ordered(born(tree, writer.edges.uid(), writer.stamp()), kind))
    await asyncio.gather(*(writer.write(kind, tree["metadata"]["name"], ADDED, tree, None) for tree in absent))
    await _ensure_class(writer)


async def _ensure_class(writer: Writer) -> None:
    kind = writer.registry.served.find(GROUP, "v1", "gatewayclasses")
    if kind is None or kind.custom.definition.terminating:
        return
    name = GATEWAY_CLASS["metadata"]["name"]
    if writer.storage.newest(kind.group_resource, name) is not None:
        return
    tree = copy.deepcopy(GATEWAY_CLASS)
    tree["metadata"].update(uid=writer.edges.uid(), creationTimestamp=writer.stamp(), generation=1)
    rule_of(kind).default(tree)
    await writer.write(kind, name, ADDED, metadata.ordered(tree, kind), None)
