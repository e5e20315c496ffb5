"""What the proxy keeps of objects says the same as all of them, for every world of the packet-flow cases, and takes a third."""

from __future__ import annotations

import copy
import gc
import json
import sys
from typing import Any

import flowdata
import pytest

from seaway.labs import manyservices
from seaway.proxy import kept
from seaway.proxy.metrics import TRIGGER
from seaway.services.resolve import resolve

WORLDS = flowdata.read().worlds
FULL: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Service",
    "metadata": {"namespace": "shop", "name": "web", "uid": "u", "resourceVersion": "7", "labels": {"app": "web"},
                 "annotations": {"seaway.dev/ipvs-scheduler": "lc", "kubectl.kubernetes.io/last-applied-configuration": "{}"}, "managedFields": [{}]},
    "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"], "externalIPs": ["192.0.2.1"],
             "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local", "healthCheckNodePort": 31000, "selector": {"app": "web"},
             "loadBalancerSourceRanges": [" 10.0.0.0/8"], "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}},
             "ports": [{"name": "a", "protocol": "UDP", "port": 1, "targetPort": 2, "nodePort": 30001}, {"port": 2}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9", "ipMode": "VIP"}, {"ip": "192.0.2.8", "ipMode": "Proxy"}, {"hostname": "x"}]}},
}  # fmt: skip


def pairs() -> list[tuple[str, dict, list[dict]]]:
    found = []
    for name, world in WORLDS.items():
        for service in (*world.services, *world.removed):
            meta = service["metadata"]
            own = [s for s in (*world.slices, *world.removed_slices)
                   if s["metadata"]["namespace"] == meta["namespace"] and s["metadata"]["labels"]["kubernetes.io/service-name"] == meta["name"]]
            found.append((f"{name}-{meta['name']}", service, own))
    return found


@pytest.mark.parametrize(("name", "service", "slices"), pairs(), ids=[p[0] for p in pairs()])
def test_what_is_kept_is_resolved_as_the_whole(name: str, service: dict, slices: list[dict]) -> None:
    before = copy.deepcopy((service, slices))
    own = [kept.endpoint_slice(s) for s in slices]
    for family in (4, 6):
        whole = resolve(service, slices, family)
        for _ in range(2):  # what is kept can be read again
            assert resolve(kept.service(service), own, family) == whole
    assert (service, slices) == before


@pytest.mark.parametrize("change", [
    {}, {"type": "ClusterIP"}, {"type": "ExternalName"}, {"clusterIP": "None", "clusterIPs": ["None"]}, {"clusterIPs": None}, {"ports": None},
    {"sessionAffinity": "None"}, {"sessionAffinityConfig": None}, {"externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"},
    {"loadBalancerSourceRanges": []}, {"healthCheckNodePort": 0}, {"externalIPs": None}, {"clusterIP": ""}])
def test_every_field_that_is_read_is_kept(change: dict) -> None:
    tree = {**FULL, "spec": {**FULL["spec"], **change}}
    for family in (4, 6):
        assert resolve(kept.service(tree), [], family) == resolve(tree, [], family)


@pytest.mark.parametrize("label", ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"])
def test_a_service_that_has_opted_out_has_still(label: str) -> None:
    tree = {**FULL, "metadata": {**FULL["metadata"], "labels": {label: ""}}}
    assert resolve(kept.service(tree), [], 4) is None and resolve(kept.service(FULL), [], 4) is not None


def test_a_version_a_uid_for_events_and_the_time_of_a_change_are_kept() -> None:
    meta = kept.service(FULL)["metadata"]
    assert (meta["uid"], meta["resourceVersion"], meta["annotations"]) == ("u", "7", {"seaway.dev/ipvs-scheduler": "lc"})
    tree = manyservices.slice_of(1, ("10.0.0.1",))
    tree["metadata"]["annotations"] = {TRIGGER: "2026-01-01T00:00:00Z", "other": "x"}
    assert kept.endpoint_slice(tree)["metadata"]["annotations"] == {TRIGGER: "2026-01-01T00:00:00Z"}


def test_a_bookmark_and_an_object_with_nothing_pass() -> None:
    bookmark = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "9"}}
    for shape in (kept.service, kept.endpoint_slice):
        assert shape(bookmark)["metadata"]["resourceVersion"] == "9"
    found = kept.endpoint_slice({"metadata": {"name": "x", "namespace": "y"}, "endpoints": [{"addresses": []}, {"addresses": ["10.0.0.1"]}]})
    assert [e["addresses"] for e in found["endpoints"]] == [[], ["10.0.0.1"]] and len(found["endpoints"]) == 2


def size(*objects: object) -> int:
    """Bytes of objects and of all that they refer to."""
    seen: dict[int, int] = {}
    waiting = list(objects)
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, type):
            seen[id(one)] = sys.getsizeof(one)
            waiting += gc.get_referents(one)
    return sum(seen.values())


def test_many_services_take_a_third() -> None:
    services = [json.loads(json.dumps(manyservices.service(n))) for n in range(2000)]  # as they come from the API
    slices = [json.loads(json.dumps(manyservices.slice_of(n, manyservices.endpoints(n)))) for n in range(2000)]
    whole = size(*services, *slices)
    assert size(*map(kept.service, services), *map(kept.endpoint_slice, slices)) < whole / 3
