"""A CustomResourceDefinition as it is served: its versions, and what the schema of each says, made on first use."""

from __future__ import annotations

import functools
from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import fieldtypes
from seaway.cluster.apiserver.custom import columns, models
from seaway.cluster.apiserver.custom.conversion import Conversions
from seaway.cluster.apiserver.custom.versions import newest_first
from seaway.cluster.apiserver.expressions import rules
from seaway.cluster.apiserver.expressions.judging import Rules
from seaway.cluster.apiserver.rules.definition_spec import every
from seaway.cluster.apiserver.status import quoted
from seaway.cluster.apiserver.structural import Structural, compiled
from seaway.cluster.apiserver.tables.cells import Column

Tree = dict[str, Any]
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
ENDING_VERBS = ("delete", "deletecollection", "get", "list", "watch")
PART_VERBS = ("get", "patch", "update")
OPEN: Tree = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class Version:
    """One version of a definition. `selectable`: the paths that field selectors may name, without their leading dot."""

    def __init__(self, definition: Definition, spec: Tree) -> None:
        self.definition, self.spec = definition, spec
        self.name: str = spec["name"]
        self.served, self.stores = bool(spec.get("served")), bool(spec.get("storage"))
        self.api_version = f"{definition.group}/{self.name}"
        parts = spec.get("subresources") or {}
        self.has_status = parts.get("status") is not None
        self.scale: Tree | None = parts.get("scale")
        self.selectable = tuple(f["jsonPath"].removeprefix(".") for f in spec.get("selectableFields") or ())
        self.kind = self._kind()
        # How objects begin that are stored in this version.
        self.head = f'{{"kind":{quoted(self.kind.kind)},"apiVersion":{quoted(self.api_version)},'.encode()

    def _kind(self) -> Kind:
        of = self.definition
        names = of.accepted
        parts: dict[str, tuple[str, tuple[str, ...]]] = {}
        if self.has_status:
            parts["status"] = (names["kind"], PART_VERBS)
        if self.scale is not None:
            parts["scale"] = ("Scale", PART_VERBS)
        return Kind(
            of.group,
            self.name,
            names["plural"],
            names["kind"],
            of.namespaced,
            VERBS,
            tuple(names.get("shortNames") or ()),
            tuple(names.get("categories") or ()),
            parts,
            "",
            names.get("singular", ""),
            names.get("listKind", ""),
            self,
        )

    @functools.cached_property
    def schema(self) -> Tree:
        found: Tree = trees.get(self.spec, "schema", "openAPIV3Schema") or OPEN
        if self.definition.preserves:
            found = {**found, "x-kubernetes-preserve-unknown-fields": True}
        return found

    @functools.cached_property
    def structural(self) -> Structural:
        return compiled(self.schema)

    @functools.cached_property
    def has_rules(self) -> bool:
        return any(s.get("x-kubernetes-validations") for s in every(self.schema))

    @functools.cached_property
    def rules(self) -> Rules:
        """Its x-kubernetes-validations."""
        return rules.compiled(self.schema)

    @functools.cached_property
    def type(self) -> fieldtypes.Type:
        """How the fields merge in server-side apply."""
        return fieldtypes.of_custom(models.native(self.schema))

    @functools.cached_property
    def columns(self) -> tuple[Column, ...]:
        return columns.columns(self.spec.get("additionalPrinterColumns") or [])

    @functools.cached_property
    def warning(self) -> str:
        """What every answer of a deprecated version says."""
        if not self.spec.get("deprecated"):
            return ""
        if self.spec.get("deprecationWarning") is not None:
            return str(self.spec["deprecationWarning"])
        kind, group = self.definition.accepted["kind"], self.definition.group
        told = f"{group}/{self.name} {kind} is deprecated"
        others = [v.name for v in self.definition.versions.values() if v.served and not v.spec.get("deprecated")]
        order = newest_first([*others, self.name])
        above = order[: order.index(self.name)]
        return f"{told}; use {group}/{above[0]} {kind}" if above else told


class Definition:
    """`since`: the version of the storage from which on every object has been written by this definition's schemas."""

    def __init__(self, tree: Tree, since: int, conversions: Conversions) -> None:
        self.conversions = conversions
        spec, meta = tree["spec"], tree["metadata"]
        self.name: str = meta["name"]
        self.uid: str = meta.get("uid", "")
        self.generation = meta.get("generation", 0)
        self.mark = f"{self.uid}/{self.generation}"
        self.spec: Tree = spec
        self.group: str = spec["group"]
        self.namespaced = spec.get("scope") == "Namespaced"
        self.accepted: Tree = (tree.get("status") or {}).get("acceptedNames") or spec["names"]
        self.preserves = bool(spec.get("preserveUnknownFields"))
        self.terminating = bool(meta.get("deletionTimestamp")) or trees.is_true(tree, "Terminating")
        self.established = trees.is_true(tree, "Established")
        self.strategy: str = (spec.get("conversion") or {}).get("strategy", "None")
        self.since = since
        self.versions = {v["name"]: Version(self, v) for v in spec.get("versions") or ()}
        self.storage = next(v for v in self.versions.values() if v.stores)

    @property
    def kind_name(self) -> str:
        return str(self.accepted.get("kind", ""))

    @property
    def resource(self) -> str:
        """`things.example.com`, under which the objects are stored."""
        return f"{self.accepted['plural']}.{self.group}"

    @property
    def told_verbs(self) -> tuple[str, ...]:
        """What discovery tells: nothing new is made of a definition that ends."""
        return ENDING_VERBS if self.terminating else VERBS

    @property
    def served(self) -> tuple[Kind, ...]:
        return tuple(v.kind for v in self.versions.values() if v.served)

    def version_of(self, tree: Tree) -> Version:
        """The version that an object is in."""
        name = str(tree.get("apiVersion", "")).rpartition("/")[2]
        return self.versions.get(name, self.storage)


def is_served(tree: Tree) -> bool:
    """Whether the API server answers for a definition's resource (customresource_handler.go)."""
    accepted = (tree.get("status") or {}).get("acceptedNames") or {}
    versions = (tree.get("spec") or {}).get("versions") or ()
    named = all(accepted.get(n) for n in ("plural", "singular", "kind", "listKind"))
    # What an early server stored has not been judged.
    named = named and all(v.get("name") for v in versions) and any(v.get("storage") for v in versions)
    return named and (trees.is_true(tree, "NamesAccepted") or trees.is_true(tree, "Established"))


def same(definition: Definition, tree: Tree) -> bool:
    """Whether a definition's objects are read and written as before."""
    other = (tree.get("status") or {}).get("acceptedNames") or {}
    meta = tree["metadata"]
    ending = bool(meta.get("deletionTimestamp")) or trees.is_true(tree, "Terminating")
    return (
        definition.uid == meta.get("uid")
        and definition.spec == tree["spec"]
        and definition.accepted == other
        and definition.terminating == ending
        and definition.established == trees.is_true(tree, "Established")
    )
