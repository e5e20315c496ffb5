"""How objects name others: parents, backends, Secrets, parameters, and the choice of objects by labels."""

from __future__ import annotations

from seaway.api.gateway.names import GROUP, GROUP_NAME, KIND, NAMESPACE, OBJECT_NAME, PORT, SECTION_NAME
from seaway.api.gateway.schema import Tree, defaulted, listing, mapping, record, rule, text, told, whole

OWN_GROUP = defaulted(GROUP, GROUP_NAME)
CORE_GROUP = defaulted(GROUP, "")

# One of the same namespace, of any kind.
LOCAL = record({"group!": GROUP, "kind!": KIND, "name!": OBJECT_NAME})
ANYWHERE = record({"group!": GROUP, "kind!": KIND, "name!": OBJECT_NAME, "namespace": NAMESPACE})
SECRET = record({"group": CORE_GROUP, "kind": defaulted(KIND, "Secret"), "name!": OBJECT_NAME, "namespace": NAMESPACE})
GATEWAY = record({"group": OWN_GROUP, "kind": defaulted(KIND, "Gateway"), "name!": OBJECT_NAME, "namespace": NAMESPACE})
PARENT = record(
    {
        "group": OWN_GROUP,
        "kind": defaulted(KIND, "Gateway"),
        "namespace": NAMESPACE,
        "name!": OBJECT_NAME,
        "sectionName": told(SECTION_NAME, "Only this listener of the parent."),
        "port": told(PORT, "Only listeners of the parent on this port."),
    }
)
ROUTE_KIND = record({"group": OWN_GROUP, "kind!": KIND})

_BACKEND = {
    "group": CORE_GROUP,
    "kind": defaulted(KIND, "Service"),
    "name!": OBJECT_NAME,
    "namespace": NAMESPACE,
    "port": PORT,
}
_NEEDS_PORT = rule(
    "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true", "Must have port for Service reference"
)
BACKEND = record(_BACKEND, _NEEDS_PORT)
WEIGHT = told(defaulted(whole(0, 1000000), 1), "Its share of the requests, of the sum of all weights.")


def weighted(**more: Tree) -> Tree:
    """A backend of a route rule, with its share."""
    return record({**_BACKEND, "weight": WEIGHT, **more}, _NEEDS_PORT)


def _same_parent(one: str, other: str) -> str:
    unset = f"(!has({one}.__namespace__) || {one}.__namespace__ == '')"
    unset_too = f"(!has({other}.__namespace__) || {other}.__namespace__ == '')"
    equal = f"(has({one}.__namespace__) && has({other}.__namespace__) && {one}.__namespace__ == {other}.__namespace__)"
    names = f"{one}.group == {other}.group && {one}.kind == {other}.kind && {one}.name == {other}.name"
    return f"{names} && (({unset} && {unset_too}) || {equal})"


_SAME_SECTION = (
    "(((!has(p1.sectionName) || p1.sectionName == '') && (!has(p2.sectionName) || p2.sectionName == '')) || "
    "(has(p1.sectionName) && has(p2.sectionName) && p1.sectionName == p2.sectionName))"
)
_SAME_PORT = (
    "(((!has(p1.port) || p1.port == 0) && (!has(p2.port) || p2.port == 0)) || "
    "(has(p1.port) && has(p2.port) && p1.port == p2.port))"
)
# The standard channel tells references to one parent apart by section, the experimental one by section and port, and there
# all or none have a port. What either takes is taken here.
PARENTS = listing(
    PARENT,
    None,
    32,
    rule(
        f"self.all(p1, self.all(p2, {_same_parent('p1', 'p2')} ? "
        "((!has(p1.sectionName) || p1.sectionName == '') == (!has(p2.sectionName) || p2.sectionName == '') && "
        "((!has(p1.port) || p1.port == 0) == (!has(p2.port) || p2.port == 0) || "
        "(has(p1.sectionName) && has(p2.sectionName) && p1.sectionName != p2.sectionName))) : true))",
        "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
    ),
    rule(
        f"self.all(p1, self.exists_one(p2, {_same_parent('p1', 'p2')} && {_SAME_SECTION} && {_SAME_PORT}))",
        "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
    ),
)

TARGETS = listing(
    record({"group!": GROUP, "kind!": KIND, "name!": OBJECT_NAME, "sectionName": SECTION_NAME}),
    1,
    16,
    rule(
        "self.all(p1, self.all(p2, p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name ? "
        "((!has(p1.sectionName) || p1.sectionName == '') == (!has(p2.sectionName) || p2.sectionName == '')) : true))",
        "sectionName must be specified when targetRefs includes 2 or more references to the same target",
    ),
    rule(
        "self.all(p1, self.exists_one(p2, p1.group == p2.group && p1.kind == p2.kind && p1.name == p2.name && "
        f"{_SAME_SECTION}))",
        "sectionName must be unique when targetRefs includes 2 or more references to the same target",
    ),
)

# meta/v1 LabelSelector
LABEL_SELECTOR = {
    **record(
        {
            "matchExpressions": listing(
                record({"key!": text(), "operator!": text(), "values": listing(text(), None, None)}), None, None
            ),
            "matchLabels": mapping(text()),
        }
    ),
    "x-kubernetes-map-type": "atomic",
}
