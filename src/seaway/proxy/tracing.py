"""`seaway kube-proxy trace`: what a node does with a packet, told from the API's objects, without touching a kernel."""

from __future__ import annotations

import argparse
import asyncio
import sys

from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.kubeconfig import CredentialsError
from seaway.client.rest import Rest, kind_of
from seaway.proxy import plan
from seaway.proxy.configuration import BadConfiguration, cidrs
from seaway.proxy.ledger import Ledger
from seaway.proxy.plan import Place
from seaway.proxy.trace import FORWARD, Packet, Verdict, passed_over, trace
from seaway.services.resolve import SERVICE_NAME, Resolved, canonical, family_of, resolve


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("seaway kube-proxy trace", description=__doc__)
    add = parser.add_argument
    add("--kubeconfig", default="", help="path to a kubeconfig")
    add(
        "--node", default="", help="the node whose rules the packet meets (default: the only one, or the first by name)"
    )
    add(
        "--from",
        dest="source",
        required=True,
        metavar="ADDRESS",
        help="the packet's source; `node` for the node itself",
    )
    add("--to", required=True, metavar="ADDRESS:PORT", help="where it goes, such as 10.96.0.10:53")
    add("--protocol", default="tcp", choices=["tcp", "udp", "sctp"])
    add("--cluster-cidr", default="", help="pod ranges (default: those of the nodes)")
    add("--service-cidr", default="", help="Service ranges (default: those of the ServiceCIDRs)")
    return parser


def target(text: str) -> tuple[str, int]:
    """Address and port of `10.96.0.1:80` or `[fd00::1]:80`."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    found = canonical(family_of(host), host) if host else None
    if found is None or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadConfiguration(f"--to: {text!r} is no address and port such as 10.96.0.10:53")
    return found, int(port)


async def ask(args: argparse.Namespace) -> list[str]:
    """The lines of the answer."""
    address, number = target(args.to)
    family = family_of(address)
    async with Rest(kubeconfig.find(args.kubeconfig), "kube-proxy-trace") as api:
        listed = {
            name: (await api.list(kind_of(name)))["items"]
            for name in ("services", "endpointslices.discovery.k8s.io", "nodes", "servicecidrs.networking.k8s.io")
        }
    nodes = {n["metadata"]["name"]: n for n in listed["nodes"]}
    name = args.node or min(nodes, default="")
    if name not in nodes:
        raise BadConfiguration(f"--node: there is no node {name!r}; there are: {', '.join(sorted(nodes)) or 'none'}")
    pods = [c for n in listed["nodes"] for c in (n.get("spec") or {}).get("podCIDRs") or ()]
    ranges = [c for s in listed["servicecidrs.networking.k8s.io"] for c in s["spec"].get("cidrs") or ()]
    node = nodes[name]
    place = Place(
        name,
        (node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", ""),
        tuple(a["address"] for a in node["status"].get("addresses") or () if a["type"] == "InternalIP"),
        cidrs(args.cluster_cidr, "--cluster-cidr") or tuple(pods),
        cidrs(args.service_cidr, "--service-cidr") or tuple(ranges),
    )
    slices: dict[str, list[dict[str, object]]] = {}
    for piece in listed["endpointslices.discovery.k8s.io"]:
        meta = piece["metadata"]
        slices.setdefault(f"{meta['namespace']}/{(meta.get('labels') or {}).get(SERVICE_NAME)}", []).append(piece)
    found: dict[str, Resolved] = {}
    for service in listed["services"]:
        title = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        resolved = resolve(service, slices.get(title, ()), family)
        if resolved is not None:
            found[title] = resolved
    ledger: Ledger[str] = Ledger()
    ledger.change({title: plan.part(resolved, place) for title, resolved in found.items()})
    own = args.source == "node"
    mine = next((a for a in place.addresses if family_of(a) == family), "")
    source = mine if own else canonical(family, args.source) or ""
    if not source:
        raise BadConfiguration(f"--from: {args.source!r} is no IPv{family} address")
    packet = Packet(source, args.protocol, address, number, own or source in place.addresses)
    verdict = trace(ledger.table(plan.facts(family, place)), packet)
    return told(packet, verdict, name, found, place)


def told(packet: Packet, verdict: Verdict, node: str, services: dict[str, Resolved], place: Place) -> list[str]:
    """A verdict for people."""
    lines = [
        f"{packet.source} -> {packet.address}:{packet.port}/{packet.protocol} at node {node}: {verdict.action.upper()}"
    ]
    lines += [f"  because {reason}" for reason in verdict.reasons]
    if verdict.action == FORWARD:
        lines.append("  to one of:")
        for address, number in verdict.backends:
            seen = "the node's address" if (address, number) in verdict.masqueraded else packet.source
            lines.append(f"    {address}:{number}, which sees {seen}")
    service = services.get(verdict.title.rpartition(":")[0])
    port = (
        next((p for p in service.ports if f"{service.title}:{p.name or p.port}" == verdict.title), None)
        if service
        else None
    )
    if service is not None and port is not None:
        over = passed_over(service, port, place, verdict)
        if over:
            lines.append("  and not to:")
            lines += [f"    {endpoint.address}:{endpoint.port}: {why}" for endpoint, why in over]
        elif not port.endpoints:
            lines.append(
                "  no EndpointSlice of the Service lists an endpoint for this port: do its selector's pods exist?"
            )
    return lines


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    try:
        print("\n".join(asyncio.run(ask(args))))
    except (BadConfiguration, CredentialsError, ApiStatusError, Unavailable) as e:
        print(f"seaway kube-proxy trace: {e}", file=sys.stderr)
        return 1
    return 0
