"""The hosts of an Ingress: of its rules and of its TLS entries; and how a wildcard keeps to one label.

A wildcard of the Ingress API stands for exactly one label (networking/v1, IngressRule.host), a proxy's for any number. So rules
under `*.example.com` ask for one label, and what lies deeper is answered as if the wildcard were not there: by the rules
without host, which stand behind them a second time.
"""

from __future__ import annotations

import re
from typing import Any

from seaway.api.tree import get
from seaway.routing.engine import Index
from seaway.routing.incremental import View
from seaway.routing.ingress.annotations import values
from seaway.routing.ingress.annotations.names import PREFIX
from seaway.routing.ingress.classes import Settings, class_of, default_class, named_class, of_class
from seaway.routing.ir import ValueMatch

Tree = dict[str, Any]
ALL = "*"  # the domain of rules without host


def domain_of(rule: Tree) -> str:
    """The domain of a rule."""
    return str(rule.get("host") or "").lower() or ALL


def own_domains(tree: Tree) -> tuple[str, ...]:
    """The domains that an Ingress's rules name, each once; of one without rules all."""
    rules = get(tree, "spec", "rules") or ()
    return tuple(dict.fromkeys(domain_of(r) for r in rules)) or (ALL,)


def annotation(tree: Tree, name: str) -> str:
    return str((tree["metadata"].get("annotations") or {}).get(PREFIX + name) or "").strip()


def aliases(tree: Tree) -> tuple[str, ...]:
    """Other names of the first host of an Ingress (`server-alias`)."""
    text = annotation(tree, "server-alias")
    if not text or named_host(tree) == ALL:
        return ()
    try:
        found = values.hosts(text)
    except values.Unreadable:
        return ()
    return tuple(name for name in found if name not in own_domains(tree))


def named_host(tree: Tree) -> str:
    """The first host of an Ingress: the one that others are names of."""
    return own_domains(tree)[0]


def twins(tree: Tree) -> dict[str, str]:
    """Hosts that lead to those of an Ingress: `www.HOST` to the host, or the other way round (`from-to-www-redirect`)."""
    if values.FLAGS.get(annotation(tree, "from-to-www-redirect")) is not True:
        return {}
    own = own_domains(tree)
    found = {(d[4:] if d.startswith("www.") else f"www.{d}"): d for d in own if d != ALL and not is_wildcard(d)}
    return {twin: domain for twin, domain in found.items() if twin not in own and "." in twin}


def rule_domains(tree: Tree) -> tuple[str, ...]:
    """The domains of an Ingress, each once, with other names of its host."""
    more = aliases(tree)
    return (*own_domains(tree), *more) if more else own_domains(tree)


def is_wildcard(domain: str) -> bool:
    return domain.startswith("*.")


def parent(domain: str) -> str:
    """The wildcard that covers a domain."""
    return f"*.{domain.partition('.')[2]}"


def one_label(wildcard: str) -> ValueMatch:
    """Of a request's host: that a wildcard covers it."""
    return ValueMatch(":authority", "regex", rf"(?i)[^.]+{re.escape(wildcard[1:])}\.?(:[0-9]+)?")


def deeper(wildcard: str) -> ValueMatch:
    """Of a request's host: that it lies deeper below the wildcard's domain than the wildcard reaches."""
    return ValueMatch(":authority", "regex", rf"(?i).*\.[^.]+{re.escape(wildcard[1:])}\.?(:[0-9]+)?")


def listed(tree: Tree) -> tuple[str, ...]:
    """The hosts that TLS is asked for by name, as server names."""
    return tuple(
        dict.fromkeys(str(h).lower() for entry in get(tree, "spec", "tls") or () for h in entry.get("hosts") or ())
    )


def named_domains(tree: Tree) -> tuple[str, ...]:
    """The domains that an Ingress has a certificate for, if it has: those listed, and all of its rules' where an entry lists
    none."""
    entries = get(tree, "spec", "tls") or ()
    everything = any(not entry.get("hosts") for entry in entries)
    more = (*aliases(tree), *twins(tree)) if entries else ()
    return tuple(dict.fromkeys((*listed(tree), *(rule_domains(tree) if everything else ()), *more)))


def secured_domains(tree: Tree) -> tuple[str, ...]:
    """The domains of an Ingress's rules that it has TLS for."""
    if not get(tree, "spec", "tls"):
        return ()
    names = named_domains(tree)
    return tuple(d for d in rule_domains(tree) if d in names or parent(d) in names)


def _taken(tree: Tree) -> list[str]:
    return [f"{named_class(tree)} {d}" for d in own_domains(tree) if d != ALL]


TAKEN = Index("hosts by the class that their ingress names", "ingresses", _taken, presence=True)


def taken(view: View, class_name: str, domain: str) -> bool:
    """Whether some Ingress of a class has rules that name a host: then it is no other name of somebody else's."""
    if view.has(TAKEN.name, f"{class_name} {domain}"):
        return True
    return view.ask(default_class) == class_name and view.has(TAKEN.name, f" {domain}")


NAMED_DOMAINS = Index("ingresses by server name", "ingresses", named_domains)
SECURED = Index("ingresses by domain with TLS", "ingresses", secured_domains)
TLS = Index(
    "ingresses with TLS by the class that they name",
    "ingresses",
    lambda t: [named_class(t)] if get(t, "spec", "tls") else [],
    presence=True,
)
WILDCARDS = Index(
    "ingresses with wildcards by the class that they name",
    "ingresses",
    lambda t: [named_class(t)] if any(map(is_wildcard, rule_domains(t))) else [],
)


def wildcards(view: View, class_name: str) -> tuple[str, ...]:
    """A decision: the wildcard domains of a class's rules."""
    found: set[str] = set()
    for key in of_class(view, WILDCARDS, class_name):
        found.update(view.ask(_own_wildcards, *key))
    return tuple(sorted(found))


def _own_wildcards(view: View, namespace: str, name: str) -> tuple[str, ...]:
    """A decision: the wildcard domains of an Ingress."""
    tree = view.get("ingresses", namespace, name)
    return tuple(filter(is_wildcard, rule_domains(tree))) if tree is not None else ()


def secured(view: View, settings: Settings, class_name: str, domain: str) -> bool:
    """A decision: whether some Ingress of a class has rules of a domain and TLS for it."""
    return any(view.ask(class_of, settings, *key) == class_name for key in view.find(SECURED.name, domain))
