"""Which certificate a server name is served with: `spec.tls` of all Ingresses of a class.

A chain a certificate, with the names that it serves; all lead to one table. Of two Ingresses that name different Secrets for a
host, the older whose Secret can be used wins.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seaway.api.tree import Key, get
from seaway.pki.pem import server_names
from seaway.routing.certificates import checked_certificate
from seaway.routing.fleets import cut
from seaway.routing.incremental import View
from seaway.routing.ingress.classes import Settings, class_of, has_some, parameters
from seaway.routing.ingress.hosts import ALL, NAMED_DOMAINS, TLS, aliases, listed, parent, rule_domains, taken, twins
from seaway.routing.ingress.hostwide import HostWide, host_wide
from seaway.routing.ingress.problems import CERTIFICATE, CONFLICT, NAMES, Problem
from seaway.routing.ir import Chain, ServerTls, Source
from seaway.routing.parts import Way

Tree = dict[str, Any]
PORT = 443
TABLE = "https"


class Named(NamedTuple):
    """A server name (`*`: every other) that an Ingress wants the certificate of a Secret for."""

    name: str
    secret: str  # NAMESPACE/NAME


class Claim(NamedTuple):
    """`ingress`: NAMESPACE/NAME of whose Secret it is; empty: the class's default certificate."""

    secret: str
    ingress: str


def default_certificate(view: View, class_name: str) -> str:
    """A decision: the Secret NAMESPACE/NAME of a class's default certificate (`defaultCertificate` of its parameters), if it
    has one that can be used."""
    name = _default_certificate_name(view, class_name)
    return name if name.count("/") == 1 and not view.ask(checked_certificate, name).problem else ""


def _default_certificate_name(view: View, class_name: str) -> str:
    return dict(view.ask(parameters, class_name)).get("defaultCertificate", "").strip().strip("\"'")


def parameter_problems(view: View, class_name: str) -> list[str]:
    """Why the parameters of a class are not what its owner meant."""
    found = get(view.get("ingressclasses", "", class_name), "spec", "parameters")
    if not found:
        return []
    if found.get("apiGroup") or found.get("kind") != "ConfigMap":
        return [f"{found.get('kind')} {found.get('name')} is not known; a ConfigMap of the core group is"]
    if not found.get("namespace"):
        return ["a ConfigMap has a namespace: scope has to be Namespace"]
    where = f"{found['namespace']}/{found.get('name')}"
    tree = view.get("configmaps", str(found["namespace"]), str(found.get("name")))
    if tree is None or cut(tree):
        return [f"ConfigMap {where} {cut(tree) or 'does not exist'}"]
    name = _default_certificate_name(view, class_name)
    problem = view.ask(checked_certificate, name).problem if name.count("/") == 1 else ""
    return [f"ConfigMap {where}: data[defaultCertificate]: {problem}"] if problem else []


def served_with_tls(view: View, class_name: str) -> bool:
    """A decision: whether a class has a table for TLS at all."""
    return bool(view.ask(default_certificate, class_name) or has_some(view, TLS, class_name))


def covers(names: tuple[str, ...], host: str) -> bool:
    """RFC 6125 6.4.3: a wildcard stands for one label."""
    return host in names or parent(host) in names


def wanted(view: View, namespace: str, name: str) -> tuple[Named, ...]:
    """A decision: the server names of an Ingress with their Secrets. An entry without hosts serves the rules' that no other
    entry lists; of several the first whose certificate covers the host."""
    tree = view.get("ingresses", namespace, name)
    if tree is None:
        return ()
    found: dict[str, str] = {}
    open_ended = []
    for entry in get(tree, "spec", "tls") or ():
        secret = f"{namespace}/{entry['secretName']}" if entry.get("secretName") else ""
        if not entry.get("hosts"):
            open_ended.append(secret)
        elif secret:
            for host in entry["hosts"]:
                found.setdefault(str(host).lower(), secret)
    secrets = [s for s in open_ended if s]
    if secrets:
        names = listed(tree)
        for host in rule_domains(tree):
            if host not in names and parent(host) not in names:
                found[host] = next((s for s in secrets if len(secrets) > 1 and _covers(view, s, host)), secrets[0])
    for host in (*aliases(tree), *twins(tree)):
        # Other names of a host: its certificate is theirs if it names them, as in ingress-nginx.
        own = next((s for s in dict.fromkeys(found.values()) if _covers(view, s, host)), "")
        if own and host not in found:
            found[host] = own
    return tuple(Named(n, found[n]) for n in sorted(found))


def _covers(view: View, secret: str, host: str) -> bool:
    certificate = view.ask(checked_certificate, secret).found
    return certificate is not None and covers(server_names(certificate.chain), host)


def claim(view: View, settings: Settings, class_name: str, name: str) -> Claim | None:
    """A decision: the certificate of a server name in a class."""
    if name == ALL and (default := view.ask(default_certificate, class_name)):
        return Claim(default, "")
    found = []
    for key in view.find(NAMED_DOMAINS.name, name):
        if (own := view.ask(_own_claim, settings, class_name, key, name)) is not None:
            found.append(own)
    return min(found)[1] if found else None


def _own_claim(
    view: View, settings: Settings, class_name: str, key: Key, name: str
) -> tuple[tuple[str, Key], Claim] | None:
    """A decision: what an Ingress claims for a server name, with its place among all claims."""
    tree = view.get("ingresses", *key)
    if view.ask(class_of, settings, *key) != class_name or tree is None:
        return None
    if (name in aliases(tree) or name in twins(tree)) and taken(view, class_name, name):
        return None
    secret = next((w.secret for w in view.ask(wanted, *key) if w.name == name), "")
    if not secret or view.ask(checked_certificate, secret).problem:
        return None
    created = str(get(tree, "metadata", "creationTimestamp") or "")
    return (created, key), Claim(secret, str(key))


def ways(view: View, settings: Settings, class_name: str, namespace: str, name: str) -> tuple[Way, ...]:
    """The chains that an Ingress has a part in."""
    names: dict[str, list[str]] = {}
    checked: dict[str, tuple[str, HostWide]] = {}
    for want in view.ask(wanted, namespace, name):
        wide = host_wide(view, settings, class_name, want.name)
        found = view.ask(claim, settings, class_name, want.name)
        if wide.passed is not None or found is None or found.secret != want.secret:
            continue
        if wide.check is not None:
            checked[want.name] = want.secret, wide
        else:
            names.setdefault(ALL if want.name == ALL else want.secret, []).append(want.name)
    chains = {chain: (chain, tuple(served)) for chain, served in names.items() if chain != ALL}
    everything = view.ask(claim, settings, class_name, ALL) if ALL in names else None
    default = everything.secret if everything is not None else view.ask(default_certificate, class_name)
    if default:
        chains[ALL] = (default, ())
        for host in rule_domains(view.get("ingresses", namespace, name) or {"metadata": {}}):
            wide = host_wide(view, settings, class_name, host)
            if wide.check is not None and wide.passed is None and not view.ask(claim, settings, class_name, host):
                checked[host] = default, wide
    source = Source("IngressClass", "", class_name)
    plain = (
        Way(PORT, "tcp", Chain(chain, source, served, ServerTls((secret,)), TABLE), share=True)
        for chain, (secret, served) in sorted(chains.items())
    )
    return (*plain, *(_checked(source, host, *how) for host, how in sorted(checked.items())))


def _checked(source: Source, host: str, secret: str, wide: HostWide) -> Way:
    """The chain of a host that asks for certificates of clients: no other chain leads to its rules."""
    chain = Chain(f"{secret}/{host}", source, (host,), ServerTls((secret,), wide.check), f"{TABLE}/{host}")
    return Way(PORT, "tcp", chain)


def problems(view: View, settings: Settings, class_name: str, namespace: str, name: str) -> list[Problem]:
    """What is wrong with the TLS of an Ingress."""
    tree = view.get("ingresses", namespace, name)
    found = []
    default = view.ask(default_certificate, class_name)
    instead = f"its hosts get the default certificate {default}" if default else "its hosts are not served with TLS"
    for i, entry in enumerate(get(tree, "spec", "tls") or ()):
        if not entry.get("secretName"):
            if not default:
                said = f"spec.tls[{i}].secretName: Required value: the IngressClass {class_name} has no default certificate"
                found.append(Problem(CERTIFICATE, f"{said}, so {instead}"))
            continue
        problem = view.ask(checked_certificate, f"{namespace}/{entry['secretName']}").problem
        if problem:
            found.append(Problem(CERTIFICATE, f"spec.tls[{i}].secretName: {problem}: {instead}"))
    lost: dict[Claim, list[str]] = {}
    unnamed: dict[str, list[str]] = {}
    for host, secret in view.ask(wanted, namespace, name):
        certificate = view.ask(checked_certificate, secret).found
        if certificate is None:
            continue
        winner = view.ask(claim, settings, class_name, host)
        if winner is not None and winner.secret != secret:
            lost.setdefault(winner, []).append("every other host" if host == ALL else host)
        elif host != ALL and not covers(server_names(certificate.chain), host):
            unnamed.setdefault(secret, []).append(host)
    for winner, hosts in lost.items():
        whose = f"of Ingress {winner.ingress}, which is older" if winner.ingress else "the class's default"
        said = f"spec.tls: the certificate {winner.secret}, {whose}, is the one for {', '.join(hosts)}"
        found.append(Problem(CONFLICT, said))
    for secret, hosts in unnamed.items():
        found.append(Problem(NAMES, f"spec.tls: the certificate of Secret {secret} does not name {', '.join(hosts)}"))
    return found
