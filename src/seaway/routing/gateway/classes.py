"""GatewayClasses: which are ours, and their status."""

from __future__ import annotations

from typing import Any

from seaway.routing.conditions import Condition, rendered
from seaway.routing.engine import Status
from seaway.routing.fleets import cut
from seaway.routing.gateway.features import FEATURES
from seaway.routing.incremental import View

Tree = dict[str, Any]
CONTROLLER = "seaway.dev/gateway-controller"


def controller_of(view: View, name: str) -> str:
    """A decision: the controller name of a GatewayClass if it is one of ours, else ""."""
    tree = view.get("gatewayclasses", "", name)
    found = str(((tree or {}).get("spec") or {}).get("controllerName") or "")
    return found if found in (view.fact("controllers") or (CONTROLLER,)) else ""


def parameters(tree: Tree, *path: str) -> tuple[str, str, str, str] | None:
    """A parametersRef: group, kind, namespace ("" if it names none), name."""
    found: Any = tree.get("spec") or {}
    for step in path:
        found = found.get(step) or {}
    if not found:
        return None
    return str(found.get("group") or ""), str(found["kind"]), str(found.get("namespace") or ""), str(found["name"])


def status(view: View, namespace: str, name: str) -> Status | None:
    """A decision: the status of a GatewayClass of ours."""
    if not view.ask(controller_of, name):
        return None
    tree = view.get("gatewayclasses", namespace, name) or {}
    problem = view.fact("parameters problem", "GatewayClass", "", name) or ""
    reference = parameters(tree, "parametersRef")
    if reference is not None and not problem:
        problem = unknown_parameters(view, reference, reference[2])
    accepted = (
        Condition("Accepted", False, "InvalidParameters", problem)
        if problem
        else Condition("Accepted", True, "Accepted", "the class is served by this controller")
    )
    return Status(
        "gatewayclasses",
        "",
        name,
        {
            "conditions": rendered([accepted, *_version(view)], int(tree["metadata"].get("generation") or 0)),
            "supportedFeatures": [{"name": f} for f in FEATURES],
        },
    )


def _version(view: View) -> list[Condition]:
    """SupportedVersion: whether the bundle of kinds that is installed is one that we know; of kinds without a version nothing is
    said against."""
    found = view.fact("bundle version")
    if found is None:
        return []
    known = not found or found.startswith("v1.")
    told = f"the kinds of Gateway API {found or 'as this cluster has them'} are served"
    if known:
        return [Condition("SupportedVersion", True, "SupportedVersion", told)]
    return [Condition("SupportedVersion", False, "UnsupportedVersion", f"{told}; those of v1 are known")]


def unknown_parameters(view: View, reference: tuple[str, str, str, str], namespace: str) -> str:
    """What is wrong with a parametersRef, "" if it leads to a ConfigMap."""
    group, kind, _, name = reference
    if (group, kind) != ("", "ConfigMap"):
        return f"parametersRef: {kind}{'.' + group if group else ''} is not known; a ConfigMap of the core group is"
    tree = view.get("configmaps", namespace, name) if namespace else None
    problem = cut(tree) if tree is not None else "does not exist"
    return f"parametersRef: ConfigMap {namespace}/{name} {problem}" if problem else ""
