"""What a Service's status says about the addresses that its Gateway asked for."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.cloud import plan
from seaway.gateway.infrastructure import addresses as module
from seaway.gateway.infrastructure import objects
from seaway.gateway.infrastructure.addresses import Address, addresses, given

A, B, SIX = "172.30.255.1", "172.30.255.2", "fd00:255::1"


def service(*ingress: str, refused: str = "", kind: str = "LoadBalancer", **spec: Any) -> dict[str, Any]:
    entries = [{"hostname": i} if i.endswith(".example.com") else {"ip": i} for i in ingress]
    status: dict[str, Any] = {"loadBalancer": {"ingress": entries} if entries else {}}
    if refused:
        status["conditions"] = [{"type": module.ASSIGNED, "status": "False", "message": refused}]
    return {"spec": {"type": kind, **spec}, "status": status}


@pytest.mark.parametrize(
    ("tree", "requested", "pending", "unusable"),
    [
        (None, [A], (A,), ()),
        (service(), [A, SIX], (A, SIX), ()),
        (service(A, SIX), [A, "FD00:255:0::1"], (), ()),
        (service(A, SIX), [], (), ()),
        (service(A), [""], (), ()),
        (service(A), [A, B], (), ((B, f"a load balancer has one IPv4 address, and {A} was asked for first"),)),
        (service(refused="in use"), [A, B], (), ((A, "in use"), (B, f"a load balancer has one IPv4 address, and {A} was asked for first"))),
        (service(B, SIX), [A], (), ((A, f"the load balancer was given {B}, {SIX} instead"),)),
        (service("lb.example.com"), [A], (), ((A, "the load balancer was given lb.example.com instead"),)),
        (service(A), ["nonsense"], (), (("nonsense", "is not an IP address"),)),
        (service(kind="ClusterIP", clusterIPs=["10.96.0.9"], externalIPs=[A]), [A], (), ()),
    ],
)
def test_requested_addresses_are_usable_pending_or_never_to_come(tree: Any, requested: list, pending: tuple, unusable: tuple) -> None:
    found = addresses(tree, requested)
    assert (found.pending, found.unusable) == (pending, unusable)


def test_a_fleet_is_reached_by_its_load_balancer_else_by_its_own_addresses() -> None:
    assert given(service(A, SIX, "lb.example.com")) == (Address("IPAddress", A), Address("IPAddress", SIX), Address("Hostname", "lb.example.com"))
    assert given(service()) == () and given(None) == ()
    assert given(service(kind="NodePort", clusterIPs=["10.96.0.9", "fd00::0009"])) == (Address("IPAddress", "10.96.0.9"), Address("IPAddress", "fd00::9"))
    assert given(service(kind="ClusterIP", clusterIPs=["None"])) == ()


def test_the_cloud_and_the_gateway_use_the_same_words() -> None:
    assert (module.ASSIGNED, objects.ADDRESSES) == (plan.ASSIGNED, plan.ADDRESSES)
