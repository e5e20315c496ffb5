"""Kinds by apiVersion and name: built-in ones, and custom ones while their definitions are established."""

from __future__ import annotations

from typing import Any

from seaway.api import kinds
from seaway.api.kinds import Kind
from seaway.api.tree import get
from seaway.client.rest import Api
from seaway.cluster.workloads.ownership import custom_kinds, is_established
from seaway.controllers.run import Caches

Tree = dict[str, Any]
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class KnownKinds:
    def __init__(self, caches: Caches) -> None:
        self._definitions = caches.of(DEFINITIONS)

    def find(self, api_version: str, name: str) -> Kind | None:
        built_in = kinds.by_kind().get((api_version, name))
        if built_in is not None:
            return built_in
        group = api_version.rpartition("/")[0]
        for definition in self._definitions.all():
            if get(definition, "spec", "group") == group and is_established(definition):
                for kind in custom_kinds(definition):
                    if (kind.api_version, kind.kind) == (api_version, name):
                        return kind
        return None


def is_custom(kind: Kind) -> bool:
    """Whether only its scale says how many replicas an object wants: custom kinds have them where they like."""
    return not kind.definition


async def replicas(api: Api, kind: Kind, namespace: str, name: str) -> int:
    """The replicas that the scale of a custom object says are wanted."""
    scale = await api.get(kind, namespace, f"{name}/scale")  # a subresource lies below the name
    return int(get(scale, "spec", "replicas") or 0)
