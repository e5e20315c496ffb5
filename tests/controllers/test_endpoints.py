"""Endpoints objects of Services with a selector: who is listed where, and when the object is written."""

from __future__ import annotations

import copy

import pytest

from seaway.api.merge import merge
from seaway.controllers.endpoints import MANAGED_BY, MANAGER, OVER_CAPACITY, plan
from seaway.controllers.triggers import ANNOTATION
from seaway.controllers.writes import Create, Patch

HEADLESS = "service.kubernetes.io/headless"


def service(labels: dict | None = None, **spec: object) -> dict:
    base = {"selector": {"app": "x"}, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"], "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}
    return {"metadata": {"namespace": "shop", "name": "web", "uid": "u", "labels": labels or {}}, "spec": {**base, **spec}}


def pod(number: int, ready: bool = True, **change: object) -> dict:
    ips = [{"ip": f"10.244.{number // 250}.{number % 250 + 1}"}, {"ip": f"fd00::{number + 1:x}"}]
    tree: dict = {
        "metadata": {"namespace": "shop", "name": f"p{number}", "uid": f"uid{number}", "resourceVersion": "1"},
        "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "web", "containerPort": 8000 + number % 2}]}]},
        "status": {"phase": "Running", "podIP": ips[0]["ip"], "podIPs": ips, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }
    for path, value in change.items():
        section, _, name = path.partition("__")
        tree[section][name] = value
    return tree


def made(*arguments: object) -> dict:
    (write,) = plan(*arguments, None, "t")  # type: ignore[arg-type]
    assert isinstance(write, Create)
    return write.tree


def listed(tree: dict) -> list[tuple[list[str], list[str], list[int]]]:
    """(ready addresses, others, ports) of each subset, in short."""
    return [([a["ip"] for a in s.get("addresses", ())], [a["ip"] for a in s.get("notReadyAddresses", ())], [p["port"] for p in s.get("ports", ())])
            for s in tree.get("subsets", ())]


ONE, TWO = "10.244.0.2", "10.244.0.3"
GOING = {"metadata__deletionTimestamp": "t"}
PUBLISH = {"publishNotReadyAddresses": True}
LISTED: dict[str, tuple[dict, list, list]] = {
    "no pods": ({}, [], []),
    "ready and not": ({}, [pod(1), pod(2, False)], [([ONE], [TWO], [8080])]),
    "no Ready condition": ({}, [pod(1, status__conditions=[])], [([], [ONE], [8080])]),
    "terminating": ({}, [pod(1, **GOING), pod(2)], [([TWO], [], [8080])]),
    "published": (PUBLISH, [pod(1, False), pod(2)], [([ONE, TWO], [], [8080])]),
    "published and terminating": (PUBLISH, [pod(1, False, **GOING)], [([ONE], [], [8080])]),
    "published and finished": (PUBLISH, [pod(1, status__phase="Succeeded")], []),
    "failed": ({}, [pod(1, status__phase="Failed")], []),
    "no address": ({}, [pod(1, status__podIP="", status__podIPs=[])], []),
    "no node, yet an address": ({}, [pod(1, spec__nodeName="")], [([ONE], [], [8080])]),
    "IPv6 first": ({"ipFamilies": ["IPv6", "IPv4"], "clusterIP": "fd00:10:96::1"}, [pod(1)], [(["fd00::2"], [], [8080])]),
    "no families: the ClusterIP's": ({"ipFamilies": None, "clusterIP": "fd00:10:96::1"}, [pod(1)], [(["fd00::2"], [], [8080])]),
    "IPv6 Service, IPv4 pod": ({"ipFamilies": ["IPv6"]}, [pod(1, status__podIPs=[{"ip": ONE}])], []),
    "two port sets": ({"ports": [{"name": "http", "port": 80, "targetPort": "web"}]}, [pod(1), pod(2)], [([ONE], [], [8001]), ([TWO], [], [8000])]),
    "a named port that is missing": ({"ports": [{"port": 80, "targetPort": "none"}]}, [pod(1)], []),
    "one of two named ports is missing": (
        {"ports": [{"name": "a", "port": 80, "targetPort": "none"}, {"name": "b", "port": 81, "targetPort": 81}]}, [pod(1)], [([ONE], [], [81])]),
    "two ports": ({"ports": [{"name": "a", "port": 80, "targetPort": 8080}, {"name": "b", "port": 443, "targetPort": 8443}]}, [pod(1)], [([ONE], [], [8080, 8443])]),
    "headless without ports": ({"ports": [], "clusterIP": "None"}, [pod(1), pod(2, False)], [([ONE], [TWO], [])]),
    "a ClusterIP without ports": ({"ports": []}, [pod(1)], []),
}


@pytest.mark.parametrize("case", LISTED)
def test_who_is_listed(case: str) -> None:
    spec, pods, want = LISTED[case]
    assert listed(made(service(**spec), pods)) == want


def test_an_address_says_whose_it_is() -> None:
    tree = made(service(), [pod(1, spec__hostname="db-0", spec__subdomain="web"), pod(2, spec__hostname="db-1", spec__subdomain="other")])
    first, second = tree["subsets"][0]["addresses"]
    assert first == {"ip": ONE, "hostname": "db-0", "nodeName": "n", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "p1", "uid": "uid1"}}
    assert "hostname" not in second
    assert tree["subsets"][0]["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("labels", "address", "want"),
    [
        ({}, "10.96.0.1", {MANAGED_BY: MANAGER}),
        ({"own": "x"}, "10.96.0.1", {"own": "x", MANAGED_BY: MANAGER}),
        ({"own": "x"}, "None", {"own": "x", MANAGED_BY: MANAGER, HEADLESS: ""}),
        ({HEADLESS: "yes"}, "10.96.0.1", {MANAGED_BY: MANAGER}),
    ],
)
def test_labels_are_the_services_and_the_controllers(labels: dict, address: str, want: dict) -> None:
    assert made(service(labels, clusterIP=address), [pod(1)])["metadata"]["labels"] == want


class Kept:
    """One Endpoints object that lives through steps."""

    def __init__(self, tree: dict, pods: list, trigger: str = "t0") -> None:
        (write,) = plan(tree, pods, None, trigger)
        assert isinstance(write, Create)
        self.tree = {**write.tree, "metadata": {**write.tree["metadata"], "resourceVersion": "1"}}

    def step(self, tree: dict, pods: list, trigger: str = "t1") -> bool:
        """Whether it was written."""
        writes = plan(tree, pods, copy.deepcopy(self.tree), trigger)
        for write in writes:
            assert isinstance(write, Patch) and write.version == self.tree["metadata"]["resourceVersion"]
            self.tree = merge(self.tree, write.patch)
        return bool(writes)


@pytest.mark.parametrize(
    ("change", "written"),
    [
        ({}, False),
        ({"metadata__resourceVersion": "9"}, False),
        ({"metadata__annotations": {"a": "b"}}, False),
        ({"status__conditions": []}, True),
        ({"metadata__deletionTimestamp": "t"}, True),
        ({"status__podIP": "10.244.0.99", "status__podIPs": [{"ip": "10.244.0.99"}]}, True),
        ({"metadata__uid": "again"}, True),
    ],
)
def test_only_what_shows_is_written(change: dict, written: bool) -> None:
    kept = Kept(service(), [pod(1), pod(2)])
    assert kept.step(service(), [pod(1, **change), pod(2)]) is written
    assert not kept.step(service(), [pod(1, **change), pod(2)])


def test_the_order_of_pods_does_not_show() -> None:
    assert not Kept(service(), [pod(1), pod(2), pod(3)]).step(service(), [pod(3), pod(1), pod(2)])


def test_changed_labels_are_written_old_ones_go_and_the_trigger_follows() -> None:
    kept = Kept(service({"old": "x"}), [pod(1)])
    assert kept.tree["metadata"]["annotations"] == {ANNOTATION: "t0"}
    assert kept.step(service({"new": "y"}), [pod(1)], "")
    assert kept.tree["metadata"]["labels"] == {"new": "y", MANAGED_BY: MANAGER}
    assert not kept.tree["metadata"].get("annotations"), "no new trigger: the old one goes"
    assert kept.step(service({"new": "y"}), [], "t2")
    assert kept.tree["metadata"]["annotations"] == {ANNOTATION: "t2"} and not kept.tree.get("subsets")


def test_a_service_that_becomes_headless_gets_the_label_and_loses_it_again() -> None:
    kept = Kept(service(), [pod(1)])
    assert kept.step(service(clusterIP="None"), [pod(1)]) and kept.tree["metadata"]["labels"][HEADLESS] == ""
    assert kept.step(service(), [pod(1)]) and HEADLESS not in kept.tree["metadata"]["labels"]


def test_annotations_of_others_live_on() -> None:
    kept = Kept(service(), [pod(1)])
    kept.tree["metadata"]["annotations"]["mine"] = "x"
    kept.step(service(), [pod(1), pod(2)])
    assert kept.tree["metadata"]["annotations"] == {"mine": "x", ANNOTATION: "t1"}


def test_a_thousand_addresses_are_truncated_said_so_and_left_alone() -> None:
    many = [pod(i) for i in range(1001)]
    kept = Kept(service(), many)
    assert len(kept.tree["subsets"][0]["addresses"]) == 1000
    assert kept.tree["metadata"]["annotations"][OVER_CAPACITY] == "truncated"
    assert not kept.step(service(), many)
    assert kept.step(service(), many[:1000]), "one less: nothing is cut any more"
    assert OVER_CAPACITY not in kept.tree["metadata"]["annotations"]


def test_ready_addresses_push_waiting_ones_out() -> None:
    found = made(service(), [*(pod(i) for i in range(600)), *(pod(i, False) for i in range(600, 1200))])
    assert [(len(s["addresses"]), len(s["notReadyAddresses"])) for s in found["subsets"]] == [(600, 400)]


@pytest.mark.parametrize("value", ["warning", ""])
def test_a_wrong_word_on_capacity_is_put_right(value: str) -> None:
    kept = Kept(service(), [pod(i) for i in range(1001)])
    kept.tree["metadata"]["annotations"][OVER_CAPACITY] = value
    assert kept.step(service(), [pod(i) for i in range(1001)])
    assert kept.tree["metadata"]["annotations"][OVER_CAPACITY] == "truncated"
