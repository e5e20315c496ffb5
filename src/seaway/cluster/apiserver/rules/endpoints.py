"""Endpoints and EndpointSlices: defaults, validation, warnings (pkg/apis/core/validation, pkg/apis/discovery); pure."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import addresses, ports
from seaway.cluster.apiserver.status import Cause, duplicate, required, too_many, unsupported, wrong

Tree = dict[str, Any]
MOST_ENDPOINTS, MOST_ADDRESSES, MOST_PORTS = 1000, 100, 20000
MOST_HINTS = 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
DEPRECATED = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
NODE_NAME = "nodeName"


# Endpoints


def default_endpoints(tree: Tree) -> None:
    for subset in tree.get("subsets") or ():
        for port in subset.get("ports") or ():
            port["protocol"] = port.get("protocol") or "TCP"


def _known(old: Tree | None) -> set[str]:
    """Addresses that an older, laxer server let in may stay."""
    listed = ((old or {}).get("subsets") or ()) if old else ()
    return {a.get("ip", "") for s in listed for k in ("addresses", "notReadyAddresses") for a in s.get(k) or ()}


def validate_endpoints(tree: Tree, old: Tree | None = None) -> list[Cause]:
    known = _known(old)
    found: list[Cause] = []
    if old is not None and tree.get("subsets") == old.get("subsets"):
        return []
    for i, subset in enumerate(tree.get("subsets") or ()):
        at = f"subsets[{i}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for kind in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(kind) or ()):
                found += _address_causes(address, f"{at}.{kind}[{j}]", known)
        listed = subset.get("ports") or []
        for j, port in enumerate(listed):
            found += _port_causes(port, f"{at}.ports[{j}]", len(listed) > 1)
    return found


def revalidate_endpoints(tree: Tree, old: Tree) -> list[Cause]:
    return validate_endpoints(tree, old)


def _address_causes(address: Tree, at: str, known: set[str]) -> list[Cause]:
    text = address.get("ip", "")
    found = addresses.causes(f"{at}.ip", text, known)
    if address.get("hostname"):
        found += formats.causes(f"{at}.hostname", address["hostname"], formats.label)
    if address.get(NODE_NAME) is not None:
        found += formats.causes(f"{at}.{NODE_NAME}", address[NODE_NAME], formats.subdomain)
    return found + addresses.special_causes(f"{at}.ip", text)


def _port_causes(port: Tree, at: str, named: bool) -> list[Cause]:
    found = ports.name_causes(f"{at}.name", port, named)
    found += ports.number_causes(f"{at}.port", port.get("port", 0))
    found += ports.protocol_causes(f"{at}.protocol", port.get("protocol"))
    return found + ports.application_causes(f"{at}.appProtocol", port)


def endpoints_warnings(tree: Tree, old: Tree | None) -> list[str]:
    """Addresses in an odd form; that the kind is deprecated is said of every answer about it, by the door."""
    found: list[str] = []
    for i, subset in enumerate(tree.get("subsets") or ()):
        for kind in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(kind) or ()):
                found += addresses.warnings(f"subsets[{i}].{kind}[{j}].ip", address.get("ip", ""))
    return found


# EndpointSlices


def default_slice(tree: Tree) -> None:
    for port in tree.get("ports") or ():
        if port.get("name") is None:
            port["name"] = ""
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for endpoint in tree.get("endpoints") or ():
        endpoint.setdefault("conditions", {})
    tree.setdefault("endpoints", None)
    tree.setdefault("ports", None)


def begin_slice(tree: Tree) -> None:
    """deprecatedTopology is read by nobody since v1: a new slice has none."""
    for endpoint in tree.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def prepare_slice(tree: Tree, old: Tree) -> None:
    """An update may carry deprecatedTopology on, but not bring it in."""
    if not any("deprecatedTopology" in e for e in old.get("endpoints") or ()):
        begin_slice(tree)


def validate_slice(tree: Tree, old: Tree | None = None) -> list[Cause]:
    found: list[Cause] = []
    kind = tree.get("addressType", "")
    if not kind:
        found.append(required("addressType"))
    elif kind not in ADDRESS_TYPES:
        found.append(unsupported("addressType", kind, ADDRESS_TYPES))
    found += _slice_port_causes(tree.get("ports") or [])
    endpoints = tree.get("endpoints") or []
    if len(endpoints) > MOST_ENDPOINTS:
        return [*found, too_many("endpoints", len(endpoints), MOST_ENDPOINTS)]
    known = {a for e in ((old or {}).get("endpoints") or ()) for a in e.get("addresses") or ()}
    for i, endpoint in enumerate(endpoints):
        found += _endpoint_causes(endpoint, f"endpoints[{i}]", kind, known)
    return found


def _slice_port_causes(listed: list[Tree]) -> list[Cause]:
    if len(listed) > MOST_PORTS:
        return [too_many("ports", len(listed), MOST_PORTS)]
    found: list[Cause] = []
    names: set[str] = set()
    for i, port in enumerate(listed):
        at, name = f"ports[{i}]", port.get("name") or ""
        if name:
            found += formats.causes(f"{at}.name", name, formats.label)
        if name in names:
            found.append(duplicate(f"{at}.name", name))
        names.add(name)
        found += ports.protocol_causes(f"{at}.protocol", port.get("protocol"))
        if port.get("appProtocol") is not None:
            found += formats.causes(f"{at}.appProtocol", port["appProtocol"], formats.qualified_name)
    return found


def _endpoint_causes(endpoint: Tree, at: str, kind: str, known: set[str]) -> list[Cause]:
    found: list[Cause] = []
    listed = endpoint.get("addresses") or []
    if not listed:
        found.append(required(f"{at}.addresses", "must contain at least 1 address"))
    elif len(listed) > MOST_ADDRESSES:
        found.append(too_many(f"{at}.addresses", len(listed), MOST_ADDRESSES))
    for j, text in enumerate(listed):
        found += _slice_address_causes(text, f"{at}.addresses[{j}]", kind, known)
    name = endpoint.get(NODE_NAME)
    if name is not None:
        found += formats.causes(f"{at}.{NODE_NAME}", name, formats.subdomain)
    if endpoint.get("hostname") is not None:
        found += formats.causes(f"{at}.hostname", endpoint["hostname"], formats.label)
    hints = endpoint.get("hints") or {}
    for field in ("forZones", "forNodes"):
        found += _hint_causes(hints.get(field) or [], f"{at}.hints.{field}", field)
    return found


def _slice_address_causes(text: str, at: str, kind: str, known: set[str]) -> list[Cause]:
    if kind == "FQDN":
        return fully_qualified_causes(at, text)
    if kind not in ("IPv4", "IPv6"):
        return []
    found = addresses.causes(at, text, known)
    if found:
        return found
    if addresses.family(text) != kind:
        found.append(wrong(at, text, f"must be an {kind} address"))
    return found + addresses.special_causes(at, text)


def fully_qualified_causes(at: str, text: str) -> list[Cause]:
    """A name of at least two parts."""
    if not text:
        return [required(at)]
    name = text.removesuffix(".")
    found = formats.causes(at, name, formats.subdomain)
    if found:
        return found
    if "." not in name:
        return [wrong(at, name, "should be a domain with at least two segments separated by dots")]
    return []


def _hint_causes(hints: list[Tree], at: str, field: str) -> list[Cause]:
    if len(hints) > MOST_HINTS:
        return [too_many(at, len(hints), MOST_HINTS)]
    found: list[Cause] = []
    names: set[str] = set()
    for i, hint in enumerate(hints):
        name = hint.get("name", "")
        if name in names:
            found.append(duplicate(f"{at}[{i}].name", name))
        names.add(name)
        if field == "forZones":
            found += formats.causes(f"{at}[{i}].name", name, formats.label_value)
        else:
            found += formats.causes(f"{at}[{i}].name", name, formats.subdomain)
    return found


def revalidate_slice(tree: Tree, old: Tree) -> list[Cause]:
    found = validate_slice(tree, old)
    if tree.get("addressType", "") != old.get("addressType", ""):
        found.append(wrong("addressType", tree.get("addressType", ""), "field is immutable"))
    return found


def slice_warnings(tree: Tree, old: Tree | None) -> list[str]:
    if tree.get("addressType") == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"]
    return [
        warning
        for i, endpoint in enumerate(tree.get("endpoints") or ())
        for j, text in enumerate(endpoint.get("addresses") or ())
        for warning in addresses.warnings(f"endpoints[{i}].addresses[{j}]", text)
    ]
