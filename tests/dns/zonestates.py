"""Random clusters for the tests of the zone: few names and addresses, so that they meet."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from seaway.dns import wire
from seaway.dns.answer import Answer, wire_records
from seaway.dns.settings import Kubernetes
from seaway.dns.wire import FIXED, SOA
from seaway.dns.zone import rows
from seaway.dns.zone.lookup import Zone
from seaway.dns.zone.store import Store

NAMESPACES = ("red", "blue")
SERVICES = ("web", "db")
CLUSTER_IPS = ("10.96.0.1", "10.96.0.2", "fd00:96::1")
ENDPOINTS = ("10.244.0.1", "10.244.0.2", "10.244.1.1", "fd00:244::1", "10.96.0.1")
HOSTNAMES = ("", "", "a", "b")
PODS = ("pod-1", "pod-2")
OWN = "10.244.0.1"  # the server's own address
TYPES = (1, 28, 33, 12, 2)

Event = tuple[str, tuple[Any, ...]]


def service(chance: random.Random) -> dict[str, Any]:
    kind = chance.choice(("cluster", "cluster", "headless", "headless", "external"))
    spec: dict[str, Any] = {"ports": chance.choice(([], [port("http", 80)], [port("http", 80), port("dns", 53, "UDP")]))}
    if kind == "external":
        spec |= {"type": "ExternalName", "externalName": chance.choice(("www.outside.test", "web.red.svc.cluster.local", "192.0.2.1"))}
    elif kind == "headless":
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": chance.random() < 0.3}
    else:
        ips = chance.sample(CLUSTER_IPS, chance.randrange(1, 3))
        spec |= {"clusterIP": ips[0], "clusterIPs": ips}
    return spec


def port(name: str, number: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"name": name, "port": number, "protocol": protocol}


def endpoint_slice(chance: random.Random, namespace: str, owner: str) -> dict[str, Any]:
    family = chance.choice(("IPv4", "IPv4", "IPv6"))
    pool = [a for a in ENDPOINTS if (":" in a) == (family == "IPv6")]
    endpoints = []
    for address in chance.sample(pool, chance.randrange(0, len(pool) + 1)):
        one: dict[str, Any] = {"addresses": [address], "conditions": {"ready": chance.random() < 0.7}}
        if hostname := chance.choice(HOSTNAMES):
            one["hostname"] = hostname
        one["targetRef"] = {"kind": "Pod", "name": chance.choice(PODS)}
        endpoints.append(one)
    return {
        "metadata": {"namespace": namespace, "labels": {rows.SERVICE_NAME: owner}},
        "addressType": family, "endpoints": endpoints, "ports": chance.choice(([], [port("http", 8080)], [port("", 7)])),
    }  # fmt: skip


def event(chance: random.Random) -> Event:
    namespace, name = chance.choice(NAMESPACES), chance.choice(SERVICES)
    match chance.randrange(10):
        case 0:
            return "namespace", (namespace, chance.random() < 0.75)
        case 1 | 2 | 3:
            spec = service(chance) if chance.random() < 0.75 else None
            return "service", (namespace, name, spec)
        case 4:
            addresses = tuple(ipaddress.ip_address(a).packed for a in chance.sample(ENDPOINTS, chance.randrange(0, 3)))
            return "pod", (f"{namespace}/{chance.choice(PODS)}", namespace, addresses)
    tree = endpoint_slice(chance, namespace, name) if chance.random() < 0.75 else None
    return "slice", (f"{namespace}/{chance.choice(('s1', 's2', 's3'))}-{namespace}", tree)


def put(store: Store, event: Event, pod_names: bool = True) -> None:
    """As the feed does."""
    kind, values = event
    if kind == "namespace":
        store.put_namespace(*values)
    elif kind == "service":
        namespace, name, spec = values
        key = rows.service_key(namespace, name)
        row = rows.service({"metadata": {"namespace": namespace, "name": name}, "spec": spec}) if spec is not None else None
        store.put_service(key, row)
    elif kind == "pod":
        store.put_pod(*values)
    else:
        name, tree = values
        store.put_slice(name, rows.endpoint_slice(tree, pod_names) if tree is not None else None)


def final(events: list[Event]) -> list[Event]:
    """The last event of each object: what a list of them would say."""
    last: dict[tuple[str, Any], Event] = {}
    for one in events:
        kind, values = one
        last[(kind, values[:2] if kind == "service" else values[0])] = one
    return list(last.values())


def zone(store: Store, settings: Kubernetes) -> Zone:
    made = Zone(store, settings, lambda: [ipaddress.ip_address(OWN).packed])
    made.synced = True
    return made


def questions() -> list[bytes]:
    """Names of every kind, there or not."""
    heads = ["", "dns-version", "ns.dns", "dns", "svc", "pod", "x", "x.y", "x.dns"]
    for namespace in (*NAMESPACES, "none"):
        heads += [f"{namespace}.svc", f"{namespace}.pod", f"10-244-0-1.{namespace}.pod", f"fd00-244--1.{namespace}.pod"]
        for name in (*SERVICES, "none"):
            base = f"{name}.{namespace}.svc"
            heads += [base, *(f"{h}.{base}" for h in ("a", "pod-1", "10-244-0-1", "fd00-244--1", "_tcp"))]
            heads += [f"_http._tcp.{base}", f"_dns._udp.{base}", f"x.y.{base}"]
    found = [wire.from_text((f"{h}." if h else "") + "cluster.local.") for h in heads]
    found += [wire.reverse_name(ipaddress.ip_address(a).packed) for a in dict.fromkeys((*CLUSTER_IPS, *ENDPOINTS, "10.9.9.9"))]
    return [*found, wire.from_text("1.10.in-addr.arpa."), wire.from_text("outside.test.")]


def content(answer: Answer | None, name: bytes) -> object:
    """What an answer says, as sets of records; the SOA's serial is left out."""
    if answer is None:
        return None
    sections = []
    for section in range(3):
        found = []
        for record in wire_records(answer, name, section):
            at = wire.skip_name(record, 0)
            if FIXED.unpack_from(record, at)[0] == SOA:
                record = record[:-20] + record[-16:]
            found.append(record)
        sections.append(tuple(sorted(found)))
    return answer.flags, answer.target, tuple(sections)
