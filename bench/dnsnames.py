"""What `bench/dns.py` asks and of what: Services and slices as the API has them, the same names as zones for unbound and BIND,
and queries in dnsperf's form; pure but for the random numbers that are passed in.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Tree = dict[str, Any]
ZONE, PORT, TTL = "cluster.local", 80, 5
SERVICES, WITH_ENDPOINTS, HEADLESS, EACH = 10_000, 1000, 100, 100
NAMESPACES = [f"team-{n:02d}" for n in range(20)]
MOVING = "moving"  # the namespace of those that change
EXTERNAL = ("api.example.com", "www.example.org", "db.internal.example.net", "s3.eu-west-1.example.com", "example.com")
REVERSE = ("96.10.in-addr.arpa", "200.10.in-addr.arpa")
HOSTS = "load.example"  # outside of the cluster, answered by the upstream with a long TTL
SHORT = "short.example"  # the same with a TTL of a second


def name(number: int) -> tuple[str, str]:
    """(namespace, name) of a Service."""
    return NAMESPACES[number % len(NAMESPACES)], f"service-{number:05d}"


def full(number: int) -> str:
    namespace, service = name(number)
    return f"{service}.{namespace}.svc.{ZONE}"


def cluster_ip(number: int) -> str:
    return f"10.96.{16 + (number >> 8)}.{number & 255}"


def endpoints(number: int) -> list[str]:
    first = number * EACH
    return [f"10.200.{n >> 8 & 255}.{n & 255}" if n < 1 << 16 else f"10.{200 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
            for n in range(first, first + EACH)]


def service(namespace: str, called: str, ip: str, port: int = PORT) -> Tree:
    """A Service; `ip` may be None."""
    ports = [{"name": "http", "protocol": "TCP", "port": port, "targetPort": 8080}]
    meta = {"namespace": namespace, "name": called, "labels": {"app": called}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"clusterIP": ip, "selector": {"app": called}, "ports": ports}}


def endpoint_slice(namespace: str, called: str, addresses: list[str]) -> Tree:
    """A Service's slice, as the controller writes it."""
    labels = {"kubernetes.io/service-name": called, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    found = [{"addresses": [a], "conditions": {"ready": True, "serving": True, "terminating": False}, "nodeName": f"node-{i:03d}",
              "targetRef": {"kind": "Pod", "namespace": namespace, "name": f"{called}-{i:05d}"}} for i, a in enumerate(addresses)]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": found,
            "metadata": {"namespace": namespace, "name": f"{called}-abcde", "labels": labels},
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080}]}


def objects(scale: float = 1.0) -> Iterator[tuple[str, Tree]]:
    """(path, object) of all that the API is to hold."""
    for namespace in (*NAMESPACES, MOVING):
        yield "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for n in range(SERVICES):
        namespace, called = name(n)
        yield f"/api/v1/namespaces/{namespace}/services", service(namespace, called, "None" if n < HEADLESS else cluster_ip(n))
    for n in range(WITH_ENDPOINTS):
        namespace, called = name(n)
        yield f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", endpoint_slice(namespace, called, endpoints(n))


# The same names for others


def records() -> Iterator[tuple[str, str, str]]:
    """(name, type, data) of the zone, reverse names included."""
    for n in range(SERVICES):
        host = full(n)
        if n >= HEADLESS:
            ip = cluster_ip(n)
            yield host, "A", ip
            yield f"_http._tcp.{host}", "SRV", f"0 100 {PORT} {host}."
            yield pointer(ip), "PTR", f"{host}."
            continue
        for ip in endpoints(n):
            end = f"{ip.replace('.', '-')}.{host}"
            yield host, "A", ip
            yield end, "A", ip
            yield f"_http._tcp.{host}", "SRV", f"0 1 8080 {end}."
            yield pointer(ip), "PTR", f"{end}."


def pointer(ip: str) -> str:
    return ".".join(reversed(ip.split("."))) + ".in-addr.arpa"


def soa(zone: str) -> str:
    return f"ns.dns.{ZONE}. hostmaster.{ZONE}. 1 7200 1800 86400 {TTL}"


def master_files() -> dict[str, str]:
    """Zone -> master file, for BIND."""
    found = {z: [f"$ORIGIN {z}.", f"$TTL {TTL}", f"@ IN SOA {soa(z)}", f"@ IN NS ns.dns.{ZONE}."] for z in (ZONE, *REVERSE)}
    found[ZONE].append("ns.dns IN A 10.96.0.10")
    for host, kind, data in records():
        zone = next(z for z in found if host.endswith(z))
        found[zone].append(f"{host}. IN {kind} {data}")
    return {z: "\n".join(lines) + "\n" for z, lines in found.items()}


def local_data() -> str:
    """The lines of unbound's configuration."""
    lines = []
    for zone in (ZONE, *REVERSE):
        lines += [f'local-zone: "{zone}." static', f'local-data: "{zone}. {TTL} IN SOA {soa(zone)}"']
    lines += [f'local-data: "{host}. {TTL} IN {kind} {data}"' for host, kind, data in records()]
    return "\n".join(lines) + "\n"


def outside_zone() -> str:
    """The root as the upstream has it: any name has an address."""
    lines = ["$ORIGIN .", "$TTL 300", ". IN SOA ns.example. hostmaster.example. 1 7200 1800 86400 300", ". IN NS ns.example.", "ns.example. IN A 192.0.2.1"]
    for below, ttl in (("*.", 300), (f"*.{HOSTS}.", 300), (f"*.{SHORT}.", 1), ("*.example.", 300)):
        lines += [f"{below} {ttl} IN A 192.0.2.1", f"{below} {ttl} IN AAAA 2001:db8::1"]
    return "\n".join(lines) + "\n"


# Queries


def addresses(chance: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield f"{full(chance.randrange(SERVICES))} A"


def mixed(chance: random.Random, count: int) -> Iterator[str]:
    """As pods ask: A, AAAA that has none, names outside on their way through the search path, some SRV and PTR."""
    for _ in range(count):
        n, at = chance.randrange(SERVICES), chance.random()
        if at < 0.45:
            yield f"{full(n)} A"
        elif at < 0.70:
            yield f"{full(n)} AAAA"
        elif at < 0.90:
            below = chance.choice((f"{name(n)[0]}.svc.{ZONE}", f"svc.{ZONE}", ZONE))
            yield f"{chance.choice(EXTERNAL)}.{below} {chance.choice(('A', 'AAAA'))}"
        elif at < 0.95:
            yield f"_http._tcp.{full(n)} SRV"
        else:
            yield f"{pointer(cluster_ip(max(n, HEADLESS)))} PTR"


def unknown(chance: random.Random, count: int) -> Iterator[str]:
    """No such Service, never the same one."""
    for _ in range(count):
        yield f"r{chance.getrandbits(48):012x}.{chance.choice(NAMESPACES)}.svc.{ZONE} A"


def cold(chance: random.Random, count: int) -> Iterator[str]:
    """Names outside, each once."""
    mark = f"{chance.getrandbits(32):08x}"
    for n in range(count):
        yield f"h{n}-{mark}.{HOSTS} A"


def warm(chance: random.Random, count: int) -> Iterator[str]:
    """Names outside, which are asked again and again."""
    for _ in range(count):
        yield f"w{chance.randrange(5000)}.{HOSTS} A"


LOADS = {"a": addresses, "mixed": mixed, "nx": unknown, "cold": cold, "warm": warm}
