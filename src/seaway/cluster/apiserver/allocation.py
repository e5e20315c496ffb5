"""ClusterIPs, node ports and IP families of Services: given out here and nowhere else, never twice.

The allocator's state is what the storage holds, durable or on its way: it is rebuilt at start and follows each write, so
that no crash can leave an address both free and used. Families and policies follow KEP-563 (dual stack), as
pkg/registry/core/service/storage/alloc.go has them.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable, Iterator
from typing import Any

from seaway.cluster.apiserver.rules import addresses
from seaway.cluster.apiserver.rules.service import EXTERNAL, FAMILIES, HEADLESS, cluster_ip_causes, needs_health_check
from seaway.cluster.apiserver.rules.servicechange import gives_node_ports
from seaway.cluster.apiserver.status import Cause, wrong

Tree = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FAMILY = {4: "IPv4", 6: "IPv6"}
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
MANAGER = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


def canonical(address: str) -> str:
    """The form that addresses are known by here, and that IPAddress objects are named by."""
    found = addresses.sloppy(address)
    return str(addresses.plain(found)) if found is not None else address


def held(spec: Tree | None) -> list[str]:
    """The addresses that a Service has."""
    return [canonical(a) for a in (spec or {}).get("clusterIPs") or () if a != HEADLESS]


def address_object(address: str, key: str) -> Tree:
    """The IPAddress that says whose an address is (KEP-1880)."""
    namespace, _, name = key.partition("/")
    labels = {"ipaddress.kubernetes.io/ip-family": addresses.family(address), **MANAGER}
    return {
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
    }


class Allocator:
    """`ranges`: the Service ranges, the cluster's primary family first."""

    def __init__(
        self, ranges: tuple[Network, ...], node_ports: tuple[int, int] = (30000, 32767), seed: int | None = None
    ) -> None:
        self.ranges = {FAMILY[r.version]: r for r in ranges}
        self.families = tuple(self.ranges)
        self.node_ports = node_ports
        self._random = random.Random(seed)
        self._addresses: dict[str, str] = {}
        self._ports: dict[int, str] = {}

    # state

    def hold(self, key: str, spec: Tree) -> None:
        for address in held(spec):
            self._addresses[address] = key
        for number in self._numbers(spec):
            self._ports[number] = key

    def reserve(self, address: str, holder: str) -> None:
        """An IPAddress that somebody made: no Service is given it."""
        self._addresses.setdefault(canonical(address), holder)

    def free(self, address: str, holder: str) -> None:
        """Undoes `reserve`."""
        if self._addresses.get(canonical(address)) == holder:
            del self._addresses[canonical(address)]

    def release(self, key: str, spec: Tree, kept: Tree | None = None) -> None:
        """Gives back what `spec` held and `kept` (its successor, or what it was before) does not."""
        addresses_kept, ports_kept = set(held(kept)), set(self._numbers(kept or {}))
        for address in held(spec):
            if address not in addresses_kept and self._addresses.get(address) == key:
                del self._addresses[address]
        for number in self._numbers(spec):
            if number not in ports_kept and self._ports.get(number) == key:
                del self._ports[number]

    @staticmethod
    def _numbers(spec: Tree) -> Iterator[int]:
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                yield port["nodePort"]
        if spec.get("healthCheckNodePort"):
            yield spec["healthCheckNodePort"]

    # families

    def set_families(self, spec: Tree, old: Tree | None) -> list[Cause]:
        """ipFamilyPolicy and ipFamilies, defaulted and checked (initIPFamilyFields)."""
        if spec["type"] == "ExternalName" or _stays_preferred(spec, old):
            return []
        free = spec.get("clusterIP") == HEADLESS and not spec.get("selector")
        if spec.get("ipFamilyPolicy") is None:
            kept = (old or {}).get("ipFamilyPolicy")
            spec["ipFamilyPolicy"] = kept or (REQUIRE if free else SINGLE)
        policy, at = spec["ipFamilyPolicy"], "spec.ipFamilyPolicy"
        found = cluster_ip_causes(spec, old or {})
        if found:
            return found
        if old is not None:
            found += self._less(spec, old, policy)
        if policy == SINGLE:
            told = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
            if len(spec.get("clusterIPs") or ()) == 2:
                found.append(wrong(at, policy, f"{told} cluster IPs are specified"))
            if len(spec.get("ipFamilies") or ()) == 2:
                found.append(wrong(at, policy, f"{told} IP families are specified"))
        families = list(spec.get("ipFamilies") or ())
        given = spec.get("clusterIPs") or []
        for i, address in enumerate(given):
            if address != HEADLESS and i >= len(families):
                family = addresses.family(address)
                if family in self.families:
                    families.append(family)
                else:
                    found.append(wrong(f"spec.clusterIPs[{i}]", given, f"{family} is not configured on this cluster"))
        if found:
            return found
        if free:
            # Nobody knows what endpoints such a Service will have: any cluster may say both families.
            families = families or [self.families[0]]
            spec["ipFamilies"] = _both(families) if policy != SINGLE else families
            return []
        if policy == REQUIRE and len(self.families) < 2:
            found.append(wrong(at, policy, "this cluster is not configured for dual-stack services"))
        for i, family in enumerate(families):
            if family not in self.families:
                found.append(wrong(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
        if found:
            return found
        families = families or [self.families[0]]
        spec["ipFamilies"] = _both(families) if policy != SINGLE and len(self.families) == 2 else families
        return []

    @staticmethod
    def _less(spec: Tree, old: Tree, policy: str) -> list[Cause]:
        """One family instead of two: with SingleStack the second goes, without it is refused."""
        found: list[Cause] = []
        for name, noun in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
            new, was = spec.get(name) or [], old.get(name) or []
            if policy == SINGLE:
                if new == was and len(new) > 1:
                    spec[name] = new[:1]
            elif 0 < len(new) < len(was):
                why = f"must be 'SingleStack' to release the secondary {noun}"
                found.append(wrong("spec.ipFamilyPolicy", policy, why))
        return found

    # allocation

    def allocate(self, key: str, spec: Tree, old: Tree | None) -> list[Cause]:
        """Fills in what is missing. On causes nothing has been taken."""
        found = self._allocate_addresses(key, spec, old) or self._allocate_ports(key, spec, old)
        if found:
            self.release(key, spec, old)
        return found

    def _allocate_addresses(self, key: str, spec: Tree, old: Tree | None) -> list[Cause]:
        if spec["type"] == "ExternalName" or (spec.get("clusterIPs") or [""])[0] == HEADLESS:
            return []
        families: list[str] = spec["ipFamilies"]
        given = [str(a) for a in spec.get("clusterIPs") or ()]
        if old is not None and old["type"] != "ExternalName":
            # What is there stays; only a second family is added.
            if (old.get("clusterIPs") or [""])[0] == HEADLESS or len(families) <= len(old.get("ipFamilies") or ()):
                return []
            wanted = [1]
        else:
            wanted = list(range(len(families)))
        given += [""] * (len(families) - len(given))
        for i in wanted:
            if given[i]:
                problem = self._take(key, given[i], families[i])
                if problem:
                    return [wrong("spec.clusterIPs", given, f"failed to allocate IP {given[i]}: {problem}")]
                continue
            free = self._free_address(families[i])
            if free is None:
                return [wrong("spec.clusterIPs", given, "failed to allocate a serviceIP: range is full")]
            self._addresses[free] = key
            given[i] = free
            spec["clusterIPs"] = [a for a in given if a]
        spec["clusterIPs"] = given
        spec["clusterIP"] = given[0]
        return []

    def _take(self, key: str, address: str, family: str) -> str:
        """Takes an address that was asked for; answers with the problem, if there is one."""
        network, name = self.ranges[family], canonical(address)
        parsed = ipaddress.ip_address(name)
        if parsed not in network:
            return "the provided network does not match the current range"
        edge = network.version == 4 and parsed == network.broadcast_address
        if edge or parsed == network.network_address:
            return f"the provided IP ({parsed}) is not in the valid range. The range of valid IPs is {network}"
        if self._addresses.get(name, key) != key:
            return "provided IP is already allocated"
        self._addresses[name] = key
        return ""

    def _free_address(self, family: str) -> str | None:
        """A random free address from the upper part of the range; the lower part is kept for those asked for by
        name (KEP-3070: min(max(16, size / 16), 256) addresses)."""
        network = self.ranges[family]
        size = min(network.num_addresses, 1 << 16) - (2 if network.version == 4 else 1)
        static = min(max(16, network.num_addresses // 16), 256) if size > 64 else 0
        base = int(network.network_address)
        for low, high in ((static + 1, size), (1, static)):
            if high < low:
                continue
            start = self._random.randint(low, high)
            for step in range(high - low + 1):
                offset = low + (start - low + step) % (high - low + 1)
                address = str(ipaddress.ip_address(base + offset))
                if address not in self._addresses:
                    return address
        return None

    # node ports

    def _allocate_ports(self, key: str, spec: Tree, old: Tree | None) -> list[Cause]:
        if spec["type"] in EXTERNAL:
            found = self._new_ports(key, spec) if old is None else self._changed_ports(key, spec, old)
            if found:
                return found
        if needs_health_check(spec) and not (old is not None and needs_health_check(old)):
            number = spec.get("healthCheckNodePort")
            if number:
                problem = self._take_port(key, number, set())
                if problem:
                    why = f"failed to allocate requested HealthCheck NodePort {number}: {problem}"
                    return [wrong("spec.healthCheckNodePort", number, why)]
            else:
                free = self._free_port()
                if free is None:
                    return [wrong("spec.healthCheckNodePort", 0, "range is full")]
                spec["healthCheckNodePort"] = free
                self._ports[free] = key
        return []

    def _new_ports(self, key: str, spec: Tree) -> list[Cause]:
        """One number serves the TCP and the UDP port of the same number; a number asked for serves both."""
        listed = spec.get("ports") or []
        asked = {p["port"]: p["nodePort"] for p in reversed(listed) if p.get("nodePort")}
        taken: set[int] = set()
        by_port: dict[int, int] = {}
        for i, port in enumerate(listed):
            number = port.get("nodePort")
            if not number and not gives_node_ports(spec):
                continue
            known = by_port.get(port["port"])
            wanted = number if known else asked.get(port["port"])
            if known and number in (None, known):
                port["nodePort"] = known
                continue
            found = self._give_port(key, f"spec.ports[{i}].nodePort", port, wanted, taken)
            if found:
                return found
            by_port.setdefault(port["port"], port["nodePort"])
        return []

    def _changed_ports(self, key: str, spec: Tree, old: Tree) -> list[Cause]:
        had = {p["nodePort"] for p in old.get("ports") or () if p.get("nodePort")}
        taken: set[int] = set()
        for i, port in enumerate(spec.get("ports") or ()):
            number = port.get("nodePort")
            if number in had or number in taken or (not number and not gives_node_ports(spec)):
                continue
            found = self._give_port(key, f"spec.ports[{i}].nodePort", port, number, taken)
            if found:
                return found
        return []

    def _give_port(self, key: str, path: str, port: Tree, wanted: int | None, taken: set[int]) -> list[Cause]:
        """Takes the wanted number, or any, for a port; `taken` are those of this very change."""
        if wanted:
            problem = self._take_port(key, wanted, taken)
            if problem:
                return [wrong(path, wanted, problem)]
            number: int | None = wanted
        else:
            number = self._free_port()
            if number is None:
                return [wrong(path, 0, "failed to allocate a nodePort: range is full")]
            self._ports[number] = key
        taken.add(int(number or 0))
        port["nodePort"] = number
        return []

    def _take_port(self, key: str, number: int, taken: set[int]) -> str:
        low, high = self.node_ports
        if not low <= number <= high:
            return f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        if number in taken or self._ports.get(number, key) != key:
            return "provided port is already allocated"
        self._ports[number] = key
        return ""

    def _free_port(self) -> int | None:
        """A free port, from the upper part first: the lower is for those asked for by number (KEP-3668)."""
        low, high = self.node_ports
        band = min(max(16, (high - low + 1) // 32), 128)
        for start, end in ((low + band, high), (low, low + band - 1)):
            count = end - start + 1
            first = self._random.randrange(count) if count > 0 else 0
            for step in range(max(count, 0)):
                number = start + (first + step) % count
                if number not in self._ports:
                    return number
        return None


def _both(families: Iterable[str]) -> list[str]:
    """The families, and the other one after them."""
    first = list(families)
    return first + [f for f in FAMILIES if f not in first]


def _stays_preferred(spec: Tree, old: Tree | None) -> bool:
    """A PreferDualStack Service is not upgraded by the way: only by a change of policy, families or addresses."""
    return (
        old is not None
        and old["type"] == spec["type"]
        and spec.get("ipFamilyPolicy") == PREFER == old.get("ipFamilyPolicy", PREFER)
        and all((spec.get(n) or []) == (old.get(n) or []) for n in ("clusterIPs", "ipFamilies"))
    )
