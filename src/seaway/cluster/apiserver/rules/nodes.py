"""Node, Lease and RuntimeClass (pkg/apis/core, coordination, node); pure."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import get
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import addresses
from seaway.cluster.apiserver.rules.resources import quantity_causes
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
COORDINATION = ("strategy", "preferredHolder")
STRATEGIES = ("OldestEmulationVersion",)


def default_node(tree: Tree) -> None:
    if tree.get("spec") is None:
        tree["spec"] = {}
    default_status(tree)


def default_status(tree: Tree) -> None:
    """What can be given out is what there is, unless the node says less."""
    status = tree.get("status")
    if status and status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def validate_node(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = _taint_causes(spec.get("taints") or []) + _status_causes(tree)
    ranges = spec.get("podCIDRs") or []
    if spec.get("podCIDR") and ranges and spec["podCIDR"] != ranges[0]:
        found.append(wrong("spec.podCIDRs", ranges, "primary podCIDR must match the first of podCIDRs"))
    for i, cidr in enumerate(ranges):
        found += addresses.cidr_causes(f"spec.podCIDRs[{i}]", cidr)
    if len(ranges) > 2 or (len(ranges) == 2 and len({addresses.is_ipv6(c.partition("/")[0]) for c in ranges}) == 1):
        found.append(wrong("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family"))
    return found


def _taint_causes(taints: list[Tree]) -> list[Cause]:
    found: list[Cause] = []
    seen: set[tuple[Any, Any]] = set()
    for i, taint in enumerate(taints):
        at, effect = f"spec.taints[{i}]", taint.get("effect", "")
        key, value = taint.get("key", ""), taint.get("value", "")
        found += [wrong(f"{at}.key", key, why) for why in formats.qualified_name(key)]
        problems = formats.label_value(value)
        if problems:
            found.append(wrong(f"{at}.value", value, ";".join(problems)))
        if not effect:
            found.append(required(f"{at}.effect"))
        elif effect not in EFFECTS:
            found.append(unsupported(f"{at}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            found.append(duplicate(at, shown))
        seen.add((key, effect))
    return found


def _status_causes(tree: Tree) -> list[Cause]:
    status = tree.get("status") or {}
    found: list[Cause] = []
    listed: list[tuple[Any, Any]] = []
    for i, address in enumerate(status.get("addresses") or ()):
        pair = (address.get("type"), address.get("address"))
        if pair in listed:
            found.append(duplicate(f"status.addresses[{i}]", {"Type": pair[0], "Address": pair[1]}))
        listed.append(pair)
    for name in ("capacity", "allocatable"):
        for resource, amount in sorted((status.get(name) or {}).items()):
            found += quantity_causes(resource, amount, f"status.{name}[{resource}]")
    return found


def revalidate_node(tree: Tree, old: Tree) -> list[Cause]:
    """podCIDR and providerID are given once."""
    found = validate_node(tree)
    new, was = tree.get("spec") or {}, old.get("spec") or {}
    if was.get("podCIDRs") and new.get("podCIDRs") != was["podCIDRs"]:
        found.append(not_permitted("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    if was.get("providerID") and new.get("providerID") != was["providerID"]:
        found.append(not_permitted("spec.providerID", 'node updates may not change providerID except from "" to valid'))
    return found


def validate_node_status(tree: Tree, old: Tree) -> list[Cause]:
    return _status_causes(tree)


def prepare_node_status(new: Tree, old: Tree) -> Tree:
    meta = {
        **old["metadata"],
        **{k: new["metadata"][k] for k in ("labels", "annotations", "managedFields") if k in new["metadata"]},
    }
    result = {**old, "metadata": meta, "status": new.get("status") or {}}
    default_status(result)
    return result


def node_warnings(tree: Tree, old: Tree | None) -> list[str]:
    found: list[str] = []
    spec = tree.get("spec") or {}
    before = (old or {}).get("spec") or {}
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature was removed, the field is ignored")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, cidr in enumerate(spec.get("podCIDRs") or ()):
        if cidr not in (before.get("podCIDRs") or ()):
            found += addresses.cidr_warnings(f"spec.podCIDRs[{i}]", cidr)
    return found


# Leases


def begin_lease(tree: Tree) -> None:
    """Leaders chosen by the server (KEP-4355) are behind a gate that is off: their fields are not kept."""
    for name in COORDINATION:
        (tree.get("spec") or {}).pop(name, None)


def prepare_lease(tree: Tree, old: Tree) -> None:
    for name in COORDINATION:
        if (old.get("spec") or {}).get(name) is None:
            (tree.get("spec") or {}).pop(name, None)


def validate_lease(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found: list[Cause] = []
    if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] <= 0:
        found.append(wrong("spec.leaseDurationSeconds", spec["leaseDurationSeconds"], "must be greater than 0"))
    if spec.get("leaseTransitions") is not None and spec["leaseTransitions"] < 0:
        found.append(wrong("spec.leaseTransitions", spec["leaseTransitions"], "must be greater than or equal to 0"))
    strategy = spec.get("strategy")
    if strategy is not None:
        found += _strategy_causes(strategy)
    if spec.get("preferredHolder") and not strategy:
        found.append(required("spec.strategy", "strategy must be specified if preferredHolder is specified"))
    return found


def _strategy_causes(strategy: str) -> list[Cause]:
    """A known word, or a qualified one."""
    if "/" in strategy:
        return [wrong("spec.strategy", strategy, why) for why in formats.qualified_name(strategy)]
    if strategy not in STRATEGIES:
        return [unsupported("spec.strategy", strategy, STRATEGIES)]
    return []


# RuntimeClasses


def validate_runtime_class(tree: Tree) -> list[Cause]:
    found = []
    handler = tree.get("handler", "")
    if not handler:
        found.append(required("handler"))
    else:
        found += formats.causes("handler", handler, formats.label)
    for resource, amount in sorted((get(tree, "overhead", "podFixed") or {}).items()):
        found += quantity_causes(resource, amount, f"overhead.podFixed[{resource}]")
    scheduling = tree.get("scheduling") or {}
    for key, value in sorted((scheduling.get("nodeSelector") or {}).items()):
        found += [wrong("scheduling.nodeSelector", key, why) for why in formats.qualified_name(key)]
        found += [wrong("scheduling.nodeSelector", value, why) for why in formats.label_value(value)]
    return found


def revalidate_runtime_class(tree: Tree, old: Tree) -> list[Cause]:
    if tree.get("handler") != old.get("handler"):
        return [wrong("handler", tree.get("handler", ""), "field is immutable")]
    return []
