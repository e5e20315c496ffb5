"""Whose an Ingress is: the IngressClass that it names, or the default one."""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key, get
from seaway.routing.engine import Index
from seaway.routing.incremental import View
from seaway.routing.ir import Fleet

Tree = dict[str, Any]
CONTROLLER = "seaway.dev/ingress-controller"
ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"


class Settings(NamedTuple):
    """`controllers`: what an IngressClass's spec.controller may say to be ours."""

    controllers: frozenset[str] = frozenset([CONTROLLER])


def _is_default(tree: Tree) -> list[str]:
    return [""] if (tree["metadata"].get("annotations") or {}).get(DEFAULT) == "true" else []


DEFAULTS = Index("default ingress classes", "ingressclasses", _is_default)


def fleet_of(name: str) -> Fleet:
    """The proxies of an IngressClass."""
    return Fleet("IngressClass", "", name)


def ours(view: View, settings: Settings, name: str) -> bool:
    """A decision: whether an IngressClass is there and ours."""
    return get(view.get("ingressclasses", "", name), "spec", "controller") in settings.controllers


def default_class(view: View) -> str:
    """A decision: the class of Ingresses that name none, whoever's it is. Of several the newest, of as new ones the first by
    name: what the admission plugin DefaultIngressClass writes into new Ingresses."""
    found = []
    for key in view.find(DEFAULTS.name):
        tree = view.get("ingressclasses", *key)
        if tree is not None:
            found.append((str(tree["metadata"].get("creationTimestamp") or ""), key.name))
    newest = max((created for created, _ in found), default="")
    return min((name for created, name in found if created == newest), default="")


def named_class(tree: Tree) -> str:
    """The class that an Ingress names, "" for none. The field comes before the annotation, as in ingress-nginx; an empty one
    names none."""
    annotation = (tree["metadata"].get("annotations") or {}).get(ANNOTATION)
    return str(get(tree, "spec", "ingressClassName") or annotation or "")


NAMED = Index("ingresses by the class that they name", "ingresses", lambda t: [named_class(t)], presence=True)


def class_of(view: View, settings: Settings, namespace: str, name: str) -> str:
    """A decision: the class of ours that an Ingress belongs to, "" if it is none of ours."""
    tree = view.get("ingresses", namespace, name)
    if tree is None:
        return ""
    found = named_class(tree) or view.ask(default_class)
    return found if found and view.ask(ours, settings, found) else ""


def of_class(view: View, index: Index, class_name: str) -> tuple[Key, ...]:
    """The Ingresses of a class in an index by the class that they name."""
    named = view.find(index.name, class_name)
    return (*named, *view.find(index.name)) if view.ask(default_class) == class_name else named


def has_some(view: View, index: Index, class_name: str) -> bool:
    """Whether a class has Ingresses in an index of presence by the class that they name."""
    return view.has(index.name, class_name) or (view.ask(default_class) == class_name and view.has(index.name))


def parameters(view: View, class_name: str) -> tuple[tuple[str, str], ...]:
    """A decision: the data of the ConfigMap that an IngressClass's spec.parameters names, as sorted pairs."""
    found = get(view.get("ingressclasses", "", class_name), "spec", "parameters") or {}
    if found.get("apiGroup") or found.get("kind") != "ConfigMap" or not found.get("namespace"):
        return ()
    data = get(view.get("configmaps", str(found["namespace"]), str(found.get("name"))), "data") or {}
    return tuple(sorted((str(k), str(v)) for k, v in data.items()))
