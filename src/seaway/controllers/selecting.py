"""Which pods a Service selects, and which Services select a pod: the look-ups that the endpoint controllers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seaway.api import selectors
from seaway.api.tree import Key, key_of, labels
from seaway.client.informer import Informer
from seaway.client.reflector import Change

Tree = dict[str, Any]


def index(services: Informer, pods: Informer) -> None:
    """Makes the indexes, before the informers run."""
    pods.add_index("label", _labels_of)
    services.add_index("selecting", lambda t: [t["metadata"]["namespace"]] if t["spec"].get("selector") else [])


def _labels_of(pod: Tree) -> list[str]:
    namespace = pod["metadata"]["namespace"]
    return [f"{namespace}/{key}={value}" for key, value in labels(pod).items()]


def pods_of(service: Tree, pods: Informer) -> list[Tree]:
    """The pods that a Service selects: those with its rarest label, if they have the others too."""
    terms, namespace = service["spec"]["selector"], service["metadata"]["namespace"]
    values = sorted((f"{namespace}/{k}={v}" for k, v in terms.items()), key=lambda value: pods.count("label", value))
    found = pods.by("label", values[0])
    if len(terms) == 1:
        return found
    selector = selectors.exact(terms)
    return [p for p in found if selector.matches(labels(p))]


def tell(change: Change, services: Informer, add: Callable[[Key], None]) -> None:
    """Asks for each Service that selects a changed pod, or did before it changed."""
    for service in services.by("selecting", change.key.namespace):
        selector = selectors.exact(service["spec"]["selector"])
        if any(t is not None and selector.matches(labels(t)) for t in (change.old, change.new)):
            add(key_of(service))
