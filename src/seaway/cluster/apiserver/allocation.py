"""ClusterIPs, node ports and IP families of Services: given out here and nowhere else, never twice.

The allocator's state is what the storage holds, durable or on its way: it is rebuilt at start and follows each write, so
that no crash can leave an address both free and used. Families and policies follow KEP-563 (dual stack).
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable
from typing import Any

from seaway.cluster.apiserver.rules.service import EXTERNAL, HEADLESS, is_headless
from seaway.cluster.apiserver.status import Cause, unsupported, wrong

Tree = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FAMILY = {4: "IPv4", 6: "IPv6"}


class Allocator:
    """`ranges`: the Service ranges, the cluster's primary family first. `holders` maps what is given out to its Service."""

    def __init__(
        self, ranges: tuple[Network, ...], node_ports: tuple[int, int] = (30000, 32767), seed: int | None = None
    ) -> None:
        self.ranges = {FAMILY[r.version]: r for r in ranges}
        self.families = tuple(self.ranges)
        self.node_ports = node_ports
        self._random = random.Random(seed)
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[int, str], str] = {}

    # state

    def hold(self, key: str, spec: Tree) -> None:
        for address in spec.get("clusterIPs") or ():
            if address != HEADLESS:
                self._addresses[str(ipaddress.ip_address(address))] = key
        for port, protocol in self._ports_of(spec):
            self._ports[(port, protocol)] = key

    def release(self, key: str, spec: Tree, kept: Tree | None = None) -> None:
        """Gives back what `spec` held and `kept` (its successor) does not."""
        addresses = set((kept or {}).get("clusterIPs") or ())
        ports = set(self._ports_of(kept or {}))
        for address in spec.get("clusterIPs") or ():
            if address != HEADLESS and address not in addresses and self._addresses.get(address) == key:
                del self._addresses[address]
        for port in self._ports_of(spec):
            if port not in ports and self._ports.get(port) == key:
                del self._ports[port]

    @staticmethod
    def _ports_of(spec: Tree) -> Iterable[tuple[int, str]]:
        for port in spec.get("ports") or ():
            if port.get("nodePort"):
                yield port["nodePort"], port.get("protocol", "TCP")
        if spec.get("healthCheckNodePort"):
            yield spec["healthCheckNodePort"], "TCP"

    # families

    def set_families(self, spec: Tree, old: Tree | None) -> list[Cause]:
        """ipFamilyPolicy and ipFamilies, defaulted and checked."""
        if spec["type"] == "ExternalName":
            for name in ("ipFamilies", "ipFamilyPolicy"):
                spec.pop(name, None)
            return []
        asked = list(spec.get("ipFamilies") or ())
        given = [
            a for a in spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else []) if a != HEADLESS
        ]
        policy = spec.get("ipFamilyPolicy")
        found: list[Cause] = []
        for i, family in enumerate(asked):
            if family not in ("IPv4", "IPv6"):
                found.append(unsupported(f"spec.ipFamilies[{i}]", family, ("IPv4", "IPv6")))
            elif family not in self.families and policy != "PreferDualStack" and not is_headless(spec):
                found.append(wrong(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
        for i, address in enumerate(given):
            try:
                family = FAMILY[ipaddress.ip_address(address).version]
            except ValueError:
                text = "must be empty, 'None', or a valid IP address"
                found.append(wrong(f"spec.clusterIPs[{i}]", address, text))
                continue
            if i >= len(asked):
                asked.append(family)
        if policy and policy not in ("SingleStack", "PreferDualStack", "RequireDualStack"):
            found.append(
                unsupported("spec.ipFamilyPolicy", policy, ("PreferDualStack", "RequireDualStack", "SingleStack"))
            )
        if found:
            return found
        if not policy:
            two = len(asked) > 1
            policy = "RequireDualStack" if two else "SingleStack"
            if is_headless(spec) and not spec.get("selector") and not asked:
                policy = "RequireDualStack"
        if (
            old is not None
            and policy == "SingleStack"
            and len(old.get("ipFamilies") or ()) > 1
            and asked == old["ipFamilies"]
        ):
            asked = asked[:1]
            spec["clusterIPs"] = (spec.get("clusterIPs") or [])[:1]
        if policy == "SingleStack" and len(asked) > 1:
            return [
                wrong(
                    "spec.ipFamilyPolicy",
                    policy,
                    "must be RequireDualStack or PreferDualStack when multiple IP families are specified",
                )
            ]
        headless_anywhere = is_headless(spec) and not spec.get("selector")
        if policy == "RequireDualStack" and len(self.families) < 2 and not headless_anywhere:
            return [wrong("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")]
        if not asked:
            asked.append(self.families[0])
        if policy != "SingleStack":
            for family in self.families if not headless_anywhere else ("IPv4", "IPv6"):
                if family not in asked:
                    asked.append(family)
        spec["ipFamilies"], spec["ipFamilyPolicy"] = asked, policy
        return []

    # allocation

    def allocate(self, key: str, spec: Tree, old: Tree | None) -> list[Cause]:
        """Fills in what is missing. On causes nothing has been taken."""
        held = {**(old or {})}
        found = self._allocate_addresses(key, spec, held) or self._allocate_ports(key, spec)
        if found:
            self.release(key, spec, held)
        return found

    def _allocate_addresses(self, key: str, spec: Tree, held: Tree) -> list[Cause]:
        if spec["type"] == "ExternalName":
            return []
        if is_headless(spec):
            spec["clusterIP"], spec["clusterIPs"] = HEADLESS, [HEADLESS]
            return []
        addresses = [str(a) for a in spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])]
        if spec.get("clusterIP") and addresses and addresses[0] != spec["clusterIP"]:
            return [wrong("spec.clusterIPs", addresses, "element [0] must match clusterIP")]
        own = set(held.get("clusterIPs") or ())
        found: list[Cause] = []
        taken: list[str] = []
        for i, family in enumerate(spec["ipFamilies"]):
            if i < len(addresses):
                if addresses[i] not in own:
                    found += self._take(key, addresses[i], family, i)
                taken.append(addresses[i])
            else:
                free = self._free_address(family)
                if free is None:
                    found.append(wrong("spec.clusterIPs", addresses, f"failed to allocate IP {i}: range is full"))
                    break
                self._addresses[free] = key
                taken.append(free)
        spec["clusterIPs"] = taken
        if taken:
            spec["clusterIP"] = taken[0]
        return found

    def _take(self, key: str, address: str, family: str, i: int) -> list[Cause]:
        network = self.ranges.get(family)
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return [wrong(f"spec.clusterIPs[{i}]", address, "must be empty, 'None', or a valid IP address")]
        if FAMILY[parsed.version] != family:
            return [
                wrong(f"spec.clusterIPs[{i}]", address, f"expected an {family} value as indicated by `ipFamilies[{i}]`")
            ]
        if network is None or parsed not in network or parsed == network.network_address:
            return [
                wrong(
                    "spec.clusterIPs",
                    [address],
                    f"failed to allocate IP {address}: the provided network does not match the current range",
                )
            ]
        if self._addresses.get(str(parsed), key) != key:
            return [
                wrong(
                    "spec.clusterIPs", [address], f"failed to allocate IP {address}: provided IP is already allocated"
                )
            ]
        self._addresses[str(parsed)] = key
        return []

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

    def _allocate_ports(self, key: str, spec: Tree) -> list[Cause]:
        found: list[Cause] = []
        if spec["type"] not in EXTERNAL:
            return found
        wanted = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True)
        low, high = self.node_ports
        by_number: dict[int, int] = {}
        for i, port in enumerate(spec.get("ports") or ()):
            number, protocol = port.get("nodePort"), port.get("protocol", "TCP")
            if number:
                if not low <= number <= high:
                    found.append(
                        wrong(
                            f"spec.ports[{i}].nodePort",
                            number,
                            f"provided port is not in the valid range. The range of valid ports is {low}-{high}",
                        )
                    )
                elif any(self._ports.get((number, p), key) != key for p in ("TCP", "UDP", "SCTP")):
                    found.append(wrong(f"spec.ports[{i}].nodePort", number, "provided port is already allocated"))
                else:
                    self._ports[(number, protocol)] = key
                    by_number[port["port"]] = number
            elif wanted:
                # One number serves a TCP and a UDP port of the same Service port.
                same = by_number.get(port["port"])
                free = same if same and (same, protocol) not in self._ports else self._free_port()
                if free is None:
                    found.append(wrong(f"spec.ports[{i}].nodePort", 0, "range is full"))
                    continue
                port["nodePort"] = by_number[port["port"]] = free
                self._ports[(free, protocol)] = key
        if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            number = spec.get("healthCheckNodePort")
            if not number:
                spec["healthCheckNodePort"] = number = self._free_port()
            if number:
                if self._ports.get((number, "TCP"), key) != key:
                    found.append(wrong("spec.healthCheckNodePort", number, "provided port is already allocated"))
                else:
                    self._ports[(number, "TCP")] = key
        return found

    def _free_port(self) -> int | None:
        """A free port, from the upper part first: the lower is for those asked for by number (KEP-3668)."""
        low, high = self.node_ports
        band = min(max(16, (high - low + 1) // 32), 128)
        used = {number for number, _ in self._ports}
        for start, end in ((low + band, high), (low, low + band - 1)):
            count = end - start + 1
            first = self._random.randrange(count) if count > 0 else 0
            for step in range(max(count, 0)):
                number = start + (first + step) % count
                if number not in used:
                    return number
        return None
