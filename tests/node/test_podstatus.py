"""A pod's status on its way to the API server."""

from __future__ import annotations

from seaway.api import facts
from seaway.cluster.apiserver import strategic
from seaway.cluster.node.podstatus import replacing


def test_new_addresses_replace_the_old_ones_and_conditions_of_others_stay() -> None:
    old = {
        "status": {
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "example.com/gate", "status": "True"}],
        }
    }
    now = {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}], "conditions": [{"type": "Ready", "status": "False"}]}
    schema = {"$ref": facts.definition_of("", "v1", "Pod")}
    found = strategic.apply(old, {"status": replacing(now)}, schema)["status"]
    assert found["podIPs"] == now["podIPs"] and found["podIP"] == "10.0.0.2"
    assert {c["type"]: c["status"] for c in found["conditions"]} == {"Ready": "False", "example.com/gate": "True"}


def test_a_status_without_addresses_is_left_as_it_is() -> None:
    assert replacing({"phase": "Pending"}) == {"phase": "Pending"}
