"""What an Ingress says of a whole host, whoever's the paths are: ingress-nginx makes one server of all Ingresses of a host.

Regexes: one path with `use-regex` or `rewrite-target` makes regexes of all paths of its host (template.go, enforceRegexModifier).
Certificates of clients, and connections that are passed on undecrypted: the oldest Ingress that asks for it counts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key, get
from seaway.routing.certificates import checked_trust
from seaway.routing.engine import Index
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import NONE, PREFIX, Annotations, is_canary, read
from seaway.routing.ingress.annotations.access import Clients
from seaway.routing.ingress.annotations.values import FLAGS
from seaway.routing.ingress.classes import Settings, class_of, named_class
from seaway.routing.ingress.hosts import ALL, annotation, rule_domains
from seaway.routing.ir import ClientCheck

Tree = dict[str, Any]
NAMES = tuple(PREFIX + n for n in ("use-regex", "rewrite-target", "auth-tls-secret", "ssl-passthrough"))


class HostWide(NamedTuple):
    """`check`: of clients' certificates, as `clients` asks for it; `closed`: why nobody may ask for the host; `passed`: the
    Ingress whose backend gets its connections."""

    regex: bool = False
    clients: Clients | None = None
    check: ClientCheck | None = None
    closed: str = ""
    passed: Key | None = None


NOTHING = HostWide()


def _annotations(tree: Tree) -> dict[str, str]:
    return tree["metadata"].get("annotations") or {}


def _domains(tree: Tree) -> tuple[str, ...]:
    annotations = _annotations(tree)
    said = any(name in annotations for name in NAMES)
    return rule_domains(tree) if said and not is_canary(annotations) else ()


HOST_WIDE = Index("ingresses that say something of whole hosts, by domain", "ingresses", _domains)
PASSED = Index(
    "ingresses whose connections are passed on, by the class that they name",
    "ingresses",
    lambda t: [named_class(t)] if FLAGS.get(annotation(t, "ssl-passthrough")) else [],
    presence=True,
)


def annotations_of(view: View, namespace: str, name: str) -> Annotations:
    """A decision: what the annotations of an Ingress say."""
    tree = view.get("ingresses", namespace, name)
    return read(_annotations(tree), namespace) if tree is not None else NONE


def host_wide(view: View, settings: Settings, class_name: str, domain: str) -> HostWide:
    """What holds for a host of a class."""
    if not view.find(HOST_WIDE.name, domain):
        return NOTHING
    found: HostWide = view.ask(_host_wide, settings, class_name, domain)
    return found


def _host_wide(view: View, settings: Settings, class_name: str, domain: str) -> HostWide:
    """A decision."""
    found = []
    for key in view.find(HOST_WIDE.name, domain):
        tree = view.get("ingresses", *key)
        if tree is not None and view.ask(class_of, settings, *key) == class_name:
            found.append((str(get(tree, "metadata", "creationTimestamp") or ""), key, tree))
    regex = False
    clients: Clients | None = None
    check: ClientCheck | None = None
    closed = ""
    passed: Key | None = None
    for _, key, tree in sorted(found, key=lambda f: f[:2]):
        said = view.ask(annotations_of, *key)
        regex = regex or said.rewriting.use_regex or _rewritten(tree, said.rewriting.target)
        if said.passthrough and passed is None and domain != ALL:
            passed = key
        if said.access.clients is not None and clients is None and not closed:
            clients = said.access.clients
            check, closed = _check(view, key, clients, domain)
        elif PREFIX + "auth-tls-secret" in _annotations(tree) and said.closed and not closed:
            closed = said.closed
    return HostWide(regex, clients, check, closed, passed)


def _rewritten(tree: Tree, target: str) -> bool:
    paths = [e.get("path") or "/" for r in get(tree, "spec", "rules") or () for e in get(r, "http", "paths") or ()]
    return bool(target) and any(path != target for path in paths)


def _check(view: View, key: Key, clients: Clients, domain: str) -> tuple[ClientCheck | None, str]:
    field = f"metadata.annotations[{PREFIX}auth-tls-secret]"
    if domain == ALL:
        return None, f"{field}: certificates of clients are asked for by host, and the rule names none"
    name = f"Secret/{key.namespace}/{clients.secret}"
    problem, _ = view.ask(checked_trust, name)
    if problem:
        return None, f"{field}: {problem}"
    required = clients.verify == "on"
    return ClientCheck(name, required, clients.verify == "optional"), ""
