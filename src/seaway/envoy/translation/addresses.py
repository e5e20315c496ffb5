"""Which clients may pass by their addresses: of requests, connections and datagrams. Who is both allowed and denied is denied.

The address is the client's as the listener trusts it (PROXY protocol, trusted forwarders), not what a request says of itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.wire import packed


def rules(found: Any, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    """Into an RBAC's rules."""
    found.action = found.ALLOW
    policy = found.policies["addresses"]
    policy.permissions.add(any=True)
    both = policy.principals.add().and_ids.ids
    if allow:
        ids = both.add().or_ids.ids
        for address in allow:
            _range(ids.add().remote_ip, address)
    if deny:
        ids = both.add().not_id.or_ids.ids
        for address in deny:
            _range(ids.add().remote_ip, address)


def connections(allow: tuple[str, ...], deny: tuple[str, ...]) -> Any:
    """The network filter before a chain's TCP proxy."""
    found = messages.NetworkRbac(stat_prefix="addresses")
    rules(found.rules, allow, deny)
    return found


def refused(matchers: Any, allow: tuple[str, ...], deny: tuple[str, ...]) -> Any:
    """The first of a UDP proxy's matchers: its action is what becomes of clients that may not pass."""
    one = matchers.add()
    any_of = one.predicate.or_matcher.predicate if allow and deny else None
    if deny:
        _within(any_of.add() if any_of is not None else one.predicate, deny)
    if allow:
        _within((any_of.add() if any_of is not None else one.predicate).not_matcher, allow)
    return one.on_match.action


def _within(predicate: Any, addresses: Iterable[str]) -> None:
    single = predicate.single_predicate
    single.input.name = "envoy.matching.inputs.source_ip"
    single.input.typed_config.CopyFrom(packed(messages.SourceIPInput()))
    single.custom_match.name = "envoy.matching.matchers.ip"
    ranges = messages.IpMatcher(stat_prefix="addresses")
    for address in addresses:
        _range(ranges.cidr_ranges.add(), address)
    single.custom_match.typed_config.CopyFrom(packed(ranges))


def _range(found: Any, address: str) -> None:
    network = ip_network(address, strict=False)
    found.address_prefix, found.prefix_len.value = str(network.network_address), network.prefixlen
