"""Bytes and datagrams passed on: the TCP and UDP proxies."""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import addresses
from seaway.envoy.translation.accesslog import access_log
from seaway.envoy.translation.actions import live
from seaway.envoy.translation.clients import seconds
from seaway.envoy.translation.names import NOWHERE
from seaway.envoy.translation.wire import packed
from seaway.routing.ir import Stream, Target
from seaway.routing.policy import ClientPolicy

_MILLION = 1_000_000


def clusters(stream: Stream) -> frozenset[str]:
    return frozenset(t.cluster for t in live(stream.targets) if t.cluster)


def tcp(gateway: str, listener: str, stream: Stream, policy: ClientPolicy = ClientPolicy()) -> Any:  # noqa: B008
    """The TcpProxy of a chain. A share without a backend is closed."""
    source = stream.source
    found = messages.TcpProxy(stat_prefix=listener)
    targets = live(stream.targets)
    if len(targets) > 1:
        for target in targets:
            found.weighted_clusters.clusters.add(name=target.cluster or NOWHERE, weight=target.weight)
    else:
        found.cluster = (targets[0].cluster if targets else "") or NOWHERE
    found.max_connect_attempts.value = 3
    if policy.idle_timeout:
        seconds(found.idle_timeout, policy.idle_timeout)
    found.hash_policy.add().source_ip.SetInParent()  # for clusters that go by it; others do not look
    found.access_log.add().CopyFrom(
        access_log(gateway, listener, False, f"{source.kind}/{source.namespace}/{source.name}")
    )
    return found


def udp(gateway: str, listener: str, stream: Stream) -> Any:
    """The UdpProxyConfig of a socket; by weight it is the client's port that chooses, so that a session stays where it is."""
    source = stream.source
    found = messages.UdpProxyConfig(stat_prefix=listener)
    targets = live(stream.targets)
    if stream.allow or stream.deny:
        _to(addresses.refused(found.matcher.matcher_list.matchers, stream.allow, stream.deny), None)
    total, upto = sum(t.weight for t in targets), 0
    for target in targets[:-1]:
        upto += target.weight
        one = found.matcher.matcher_list.matchers.add()
        single = one.predicate.single_predicate
        single.input.name = "envoy.matching.inputs.source_port"
        single.input.typed_config.CopyFrom(packed(messages.SourcePortInput()))
        single.custom_match.name = "envoy.matching.matchers.runtime_fraction"
        share = messages.RuntimeFractionMatcher()
        share.runtime_fraction.runtime_key = "seaway.share"
        value = share.runtime_fraction.default_value
        value.numerator, value.denominator = round(upto * _MILLION / total), value.MILLION
        single.custom_match.typed_config.CopyFrom(packed(share))
        _to(one.on_match.action, target)
    _to(found.matcher.on_no_match.action, targets[-1] if targets else None)
    found.hash_policies.add().source_ip = True
    found.access_log.add().CopyFrom(
        access_log(gateway, listener, False, f"{source.kind}/{source.namespace}/{source.name}")
    )
    return found


def _to(action: Any, target: Target | None) -> None:
    action.name = "route"
    action.typed_config.CopyFrom(packed(messages.UdpRoute(cluster=(target.cluster if target else "") or NOWHERE)))
