"""ServiceCIDR and IPAddress: what Services' addresses are taken from, and whose they are (KEP-1880); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import addresses
from seaway.cluster.apiserver.rules.ingress import path_segment
from seaway.cluster.apiserver.status import Cause, required, wrong

Tree = dict[str, Any]
PATH = "spec.cidrs"
IMMUTABLE = "field is immutable"
PARENT = ("Group", "Resource", "Namespace", "Name")


def validate_cidr(tree: Tree) -> list[Cause]:
    cidrs = (tree.get("spec") or {}).get("cidrs") or []
    if not cidrs:
        return [required(PATH, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [wrong(PATH, {"CIDRs": cidrs}, "may only hold up to 2 values")]
    found: list[Cause] = []
    for i, cidr in enumerate(cidrs):
        found += addresses.canonical_cidr_causes(f"{PATH}[{i}]", cidr)
    families = [addresses.family(c.partition("/")[0]) for c in cidrs if addresses.sloppy(c.partition("/")[0])]
    if len(families) == 2 and families[0] == families[1]:
        why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        found.append(wrong(PATH, cidrs, why))
    return found


def revalidate_cidr(tree: Tree, old: Tree) -> list[Cause]:
    """What is there stays; a second family may come."""
    new, was = ((t.get("spec") or {}).get("cidrs") or [] for t in (tree, old))
    if len(new) == len(was):
        return [wrong(f"{PATH}[{i}]", new[i], IMMUTABLE) for i, cidr in enumerate(was) if new[i] != cidr]
    if len(was) == 1 and len(new) == 2:
        found = [wrong(f"{PATH}[0]", new[0], IMMUTABLE)] if new[0] != was[0] else []
        return found + validate_cidr(tree)
    return [wrong(PATH, new, IMMUTABLE)]


def validate_address(tree: Tree) -> list[Cause]:
    """Whose an address is. The name is the address, which `metadata` checks."""
    found: list[Cause] = []
    ref = (tree.get("spec") or {}).get("parentRef")
    if ref is None:
        return [*found, required("spec.parentRef")]
    at = "spec.parentRef"
    if ref.get("group"):
        found += formats.causes(f"{at}.group", ref["group"], formats.subdomain)
    for field in ("resource", "name"):
        if not ref.get(field):
            found.append(required(f"{at}.{field}"))
        else:
            found += formats.causes(f"{at}.{field}", ref[field], path_segment)
    if ref.get("namespace"):
        found += formats.causes(f"{at}.namespace", ref["namespace"], path_segment)
    return found


def revalidate_address(tree: Tree, old: Tree) -> list[Cause]:
    new, was = ((t.get("spec") or {}).get("parentRef") for t in (tree, old))
    if new == was:
        return []
    shown = {name: (new or {}).get(name.lower(), "") for name in PARENT}
    return [wrong("spec.parentRef", shown if new else None, IMMUTABLE)]
