"""A Service's webhook is asked at its ready endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from seaway.cluster.apiserver.webhooks.configured import Service
from seaway.cluster.apiserver.webhooks.exchange import Unusable
from seaway.cluster.apiserver.webhooks.services import endpoints

Tree = dict[str, Any]
SERVICE = {"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 9443}, {"name": "metrics", "port": 80}]}}


def piece(of: str = "s", ready: bool | None = True, address: str = "10.0.0.1", port: int | None = 9443, name: str = "https") -> Tree:
    return {"metadata": {"labels": {"kubernetes.io/service-name": of}}, "ports": [{"name": name, "port": port}],
            "endpoints": [{"addresses": [address], "conditions": {} if ready is None else {"ready": ready}}]}


def test_ready_endpoints_of_the_services_own_port_are_asked() -> None:
    slices = [piece(address="10.0.0.2"), piece(), piece(ready=None, address="fd00::1"), piece(ready=False, address="10.0.0.9"), piece("t", address="10.0.0.8"),
              piece(name="metrics", port=8080)]
    assert endpoints(Service("n", "s"), SERVICE, slices) == [("10.0.0.1", 9443), ("10.0.0.2", 9443), ("fd00::1", 9443)]


@pytest.mark.parametrize(("service", "port", "slices", "why"), [
    (None, 443, [], 'service "s" not found'),
    (SERVICE, 444, [], 'no service port 444 found for service "s"'),
    ({"spec": {"type": "ExternalName"}}, 443, [], 'unsupported service type "ExternalName"'),
    (SERVICE, 443, [piece(ready=False)], 'no endpoints available for service "s"'),
    (SERVICE, 443, [piece(port=None)], 'no endpoints available for service "s"'),
])
def test_why_nobody_can_be_asked(service: Tree | None, port: int, slices: list[Tree], why: str) -> None:
    with pytest.raises(Unusable) as told:
        endpoints(Service("n", "s", port), service, slices)
    assert str(told.value) == why
