"""Topology hints: trafficDistribution of each kind, and topology-mode Auto by the numbers of KEP-2433."""

from __future__ import annotations

import asyncio
import math
import random

import pytest
import virtual_time

from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.controllers import hints
from seaway.controllers.endpointslices import EndpointSliceController
from seaway.controllers.packing import Draft, Drafts
from seaway.controllers.podendpoints import ZONE
from seaway.controllers.run import Caches, run

EVEN = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}


def service(distribution: str | None = None, **annotations: str) -> dict:
    names = {"mode": "service.kubernetes.io/topology-mode", "old": "service.kubernetes.io/topology-aware-hints"}
    spec = {"trafficDistribution": distribution} if distribution else {}
    return {"metadata": {"annotations": {names[k]: v for k, v in annotations.items()}}, "spec": spec}


AUTO = service(mode="Auto")


def entry(zone: str, ready: bool = True, number: int = 0, for_zone: str = "", node: str = "n") -> dict:
    tree: dict = {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": ready, "serving": ready}, "nodeName": node}
    if zone:
        tree["zone"] = zone
    if for_zone:
        tree["hints"] = {"forZones": [{"name": for_zone}]}
    return tree


def untouched(name: str, *entries: dict) -> Draft:
    """A slice that `pack` has left alone: the drafts have what the pods say, the old object what was written."""
    return Draft({"metadata": {"name": name}, "endpoints": list(entries)}, None, [{k: v for k, v in e.items() if k != "hints"} for e in entries])


def fresh(*zones: str) -> Draft:
    return Draft(None, None, [entry(z, number=i) for i, z in enumerate(zones)])


def given(drafts: Drafts) -> dict[str, int]:
    """How many endpoints each zone is hinted to have."""
    found: dict[str, int] = {}
    for draft in (*drafts.create, *drafts.update, *drafts.unchanged):
        rows = draft.endpoints if draft not in drafts.unchanged else draft.old["endpoints"]  # type: ignore[index]
        for row in rows:
            for zone in (row.get("hints") or {}).get("forZones") or ():
                found[zone["name"]] = found.get(zone["name"], 0) + 1
    return found


def hinted(drafts: Drafts) -> list[dict | None]:
    return [e.get("hints") for d in (*drafts.create, *drafts.update) for e in d.endpoints]


# trafficDistribution

Z, N = {"forZones": [{"name": "a"}]}, {"forNodes": [{"name": "n"}]}


@pytest.mark.parametrize(
    ("distribution", "zone", "ready", "node", "want"),
    [
        ("PreferClose", "a", True, "n", Z),
        ("PreferSameZone", "a", True, "n", Z),
        ("PreferSameNode", "a", True, "n", {**Z, **N}),
        ("PreferSameNode", "", True, "n", N),
        ("PreferSameNode", "a", True, "", Z),
        ("PreferSameNode", "", True, "", None),
        ("PreferClose", "", True, "n", None),
        ("PreferClose", "a", False, "n", None),
        ("PreferSameNode", "a", False, "n", None),
        (None, "a", True, "n", None),
        ("SomethingNew", "a", True, "n", None),
    ],
)
def test_traffic_distribution_hints_each_endpoints_own_place(distribution: str | None, zone: str, ready: bool, node: str, want: dict | None) -> None:
    row = entry(zone, ready, node=node)
    if not node:
        del row["nodeName"]
    drafts = Drafts(create=[Draft(None, None, [row])])
    assert hints.apply(service(distribution), drafts, EVEN) == ""
    assert hinted(drafts) == [want]


@pytest.mark.parametrize(
    ("distribution", "have", "rewritten"),
    [
        ("PreferClose", "a", False),
        ("PreferClose", "b", True),
        ("PreferClose", "", True),
        ("PreferSameNode", "a", True),
        (None, "a", True),
        (None, "", False),
    ],
)
def test_only_slices_whose_hints_are_wrong_are_written_again(distribution: str | None, have: str, rewritten: bool) -> None:
    drafts = Drafts(unchanged=[untouched("s", entry("a", for_zone=have))])
    hints.apply(service(distribution), drafts, None)
    assert (len(drafts.update), len(drafts.unchanged)) == ((1, 0) if rewritten else (0, 1))


def test_a_slice_with_two_zones_hinted_where_one_is_right_is_written_again() -> None:
    row = {**entry("a"), "hints": {"forZones": [{"name": "a"}, {"name": "b"}]}}
    drafts = Drafts(unchanged=[untouched("s", row)])
    hints.apply(service("PreferClose"), drafts, None)
    assert hinted(drafts) == [Z]


@pytest.mark.parametrize(
    ("annotations", "asked"),
    [
        ({}, False), ({"mode": "Auto"}, True), ({"mode": "auto"}, True), ({"mode": "AUTO"}, False), ({"mode": "Disabled"}, False),
        ({"old": "Auto"}, True), ({"old": "auto"}, True),
        # the deprecated annotation wins (endpointslice hintsEnabled)
        ({"old": "Disabled", "mode": "Auto"}, False), ({"old": "Auto", "mode": "Disabled"}, True),
    ],
)
def test_which_annotations_ask_for_auto(annotations: dict, asked: bool) -> None:
    assert hints.automatic(service(**annotations)) is asked


def test_auto_switches_traffic_distribution_off() -> None:
    drafts = Drafts(create=[fresh("a")])
    tree = service("PreferClose", mode="Auto")
    assert hints.apply(tree, drafts, EVEN) != ""
    assert hinted(drafts) == [None]


# the zones' shares of CPU

def node(zone: str = "a", cpu: str = "1", ready: str = "True", **labels: str) -> dict:
    found = {f"node-role.kubernetes.io/{k.replace('_', '-')}": v for k, v in labels.items()}
    if zone:
        found[ZONE] = zone
    return {"metadata": {"labels": found}, "status": {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize(
    ("nodes", "want"),
    [
        ([], None),
        ([node("a", "1"), node("b", "3")], {"a": 0.25, "b": 0.75}),
        ([node("a", "500m"), node("a", "500m"), node("b", "1000m")], {"a": 0.5, "b": 0.5}),
        ([node("a"), node("b", ready="False")], {"a": 1.0}),
        ([node("a"), node("b", ready="Unknown")], {"a": 1.0}),
        ([node("a"), node("b"), node("c", control_plane="")], {"a": 0.5, "b": 0.5}),
        ([node("a"), node("b"), node("c", master="true")], {"a": 0.5, "b": 0.5}),
        ([node("a"), node("")], None),
        ([node("a"), node("b", "0")], None),
        ([node("a"), node("", ready="False")], {"a": 1.0}),
        ([node("a"), node("", control_plane="")], {"a": 1.0}),
    ],
)
def test_ratios_are_those_of_ready_workers(nodes: list, want: dict | None) -> None:
    assert hints.zone_ratios(nodes) == want


# shares of endpoints: (ratios, endpoints) -> {zone: (minimum, maximum)} or the reason

@pytest.mark.parametrize(
    ("ratios", "endpoints", "want"),
    [
        (None, 10, "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"),
        ({"a": 1.0}, 10, "Nodes only ready in one zone"),
        (EVEN, 2, "Insufficient number of endpoints (2 endpoints, 3 zones)"),
        (EVEN, 0, "Insufficient number of endpoints (0 endpoints, 3 zones)"),
        # ceil(4/3/1.2) = 2 each, 6 of 4
        (EVEN, 4, "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (4 endpoints, 3 zones)"),
        (EVEN, 3, {"a": (1, 1), "b": (1, 1), "c": (1, 1)}),
        (EVEN, 6, {"a": (2, 2), "b": (2, 2), "c": (2, 2)}),
        (EVEN, 9, {"a": (3, 3), "b": (3, 3), "c": (3, 3)}),
        # ceil(12/3/1.2) = 4 each; ceil(18/3/1.2) = 5 each and three to spare
        (EVEN, 12, {"a": (4, 4), "b": (4, 4), "c": (4, 4)}),
        (EVEN, 18, {"a": (5, 8), "b": (5, 8), "c": (5, 8)}),
        ({"a": 0.5, "b": 0.5}, 3, "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 endpoints, 2 zones)"),
        ({"a": 0.5, "b": 0.5}, 2, {"a": (1, 1), "b": (1, 1)}),
        ({"a": 0.25, "b": 0.75}, 4, {"a": (1, 1), "b": (3, 3)}),
        ({"a": 0.1, "b": 0.9}, 10, {"a": (1, 2), "b": (8, 9)}),
    ],
)
def test_shares_stay_under_the_overload_threshold(ratios: dict | None, endpoints: int, want: dict | str) -> None:
    found = hints.shares(ratios, endpoints)
    assert (found if isinstance(found, str) else {z: (s.minimum, s.maximum) for z, s in found.items()}) == want


@pytest.mark.parametrize("seed", range(20))
def test_shares_hold_by_hand_computed_bounds(seed: int) -> None:
    chooser = random.Random(seed)
    cpus = {z: chooser.randint(1, 40) for z in "abcd"[: chooser.randint(2, 4)]}
    ratios = {z: c / sum(cpus.values()) for z, c in cpus.items()}
    for number in range(0, 120, 7):
        found = hints.shares(ratios, number)
        if isinstance(found, str):
            continue
        for zone, share in found.items():
            # With the minimum, each endpoint of the zone gets at most 1.2 times its part of the traffic.
            assert ratios[zone] * number / share.minimum <= 1.2 + 1e-9
            assert share.minimum == 1 or ratios[zone] * number / (share.minimum - 1) > 1.2 - 1e-9
            assert share.desired == max(ratios[zone] * number, share.minimum)
            assert share.maximum - share.minimum == number - sum(s.minimum for s in found.values())


# giving and receiving zones: (desired, given) -> (who gives, who gets)

@pytest.mark.parametrize(
    ("desired", "have", "want"),
    [
        ({"a": 2.0, "b": 2.0}, {"a": 2, "b": 2}, ({}, {})),
        ({"a": 2.0, "b": 2.0}, {"a": 4}, ({"a": 2}, {"b": 2})),
        ({"a": 4.0, "b": 1.0, "c": 1.0}, {"a": 6}, ({"a": 2}, {"b": 1, "c": 1})),
        ({"a": 2.7, "b": 2.3}, {"a": 3, "b": 2}, ({}, {})),  # less than one whole on both sides
        ({"a": 1.9, "b": 1.6}, {"a": 3, "b": 1}, ({"a": 1}, {"b": 1})),  # 1.1 to give, 0.6 to get
        ({"a": 3.0, "b": 1.4, "c": 1.4}, {"a": 4, "b": 1, "c": 1}, ({}, {})),  # 0.4 is less than half a one
        ({"a": 1.5, "b": 1.5, "c": 4.0}, {"a": 2, "b": 2, "c": 3}, ({"a": 1}, {"c": 1})),  # 0.5 to give is enough, once
        ({"a": 2.0, "b": 2.0}, {"x": 4}, ({"x": 4}, {"a": 2, "b": 2})),  # a zone that is none any more
    ],
)
def test_the_largest_differences_move_first(desired: dict, have: dict, want: tuple) -> None:
    shares = {z: hints.Share(math.floor(d), math.ceil(d) + 9, d) for z, d in desired.items()}
    assert hints._moves(shares, have) == want


# whole drafts

@pytest.mark.parametrize(
    ("zones", "ratios", "want"),
    [
        ("aaabbbccc", EVEN, {"a": 3, "b": 3, "c": 3}),
        ("aaaaaaaaa", EVEN, {"a": 3, "b": 3, "c": 3}),
        ("aaaaaabbb", EVEN, {"a": 3, "b": 3, "c": 3}),
        ("aabb", {"a": 0.25, "b": 0.75}, {"a": 1, "b": 3}),
        ("aaaabbbb", {"a": 0.5, "b": 0.5}, {"a": 4, "b": 4}),
    ],
)
def test_auto_gives_each_zone_its_share(zones: str, ratios: dict, want: dict) -> None:
    drafts = Drafts(create=[fresh(*zones)])
    assert hints.apply(AUTO, drafts, ratios) == ""
    assert given(drafts) == want
    assert all(len(h["forZones"]) == 1 for h in hinted(drafts) if h), "each endpoint is for one zone"


def test_auto_moves_as_few_as_it_can() -> None:
    drafts = Drafts(create=[fresh(*"aaaabbccc")])
    assert hints.apply(AUTO, drafts, EVEN) == ""
    moved = [e for d in drafts.create for e in d.endpoints if e["hints"]["forZones"][0]["name"] != e["zone"]]
    assert [(e["zone"], e["hints"]["forZones"][0]["name"]) for e in moved] == [("a", "b")]


def test_auto_counts_and_hints_ready_endpoints_only() -> None:
    rows = [entry(z, number=i) for i, z in enumerate("aabbcc")] + [entry("a", ready=False, number=9)]
    drafts = Drafts(create=[Draft(None, None, rows)])
    assert hints.apply(AUTO, drafts, EVEN) == ""
    assert given(drafts) == {"a": 2, "b": 2, "c": 2} and "hints" not in drafts.create[0].endpoints[-1]


def test_auto_needs_the_zone_of_each_ready_endpoint() -> None:
    drafts = Drafts(create=[fresh("a", "b", "")], unchanged=[untouched("s", entry("c", for_zone="c"))])
    assert hints.apply(AUTO, drafts, {"a": 0.5, "b": 0.5}) == "One or more endpoints do not have a zone specified"
    assert given(drafts) == {} and [d.name for d in drafts.update] == ["s"], "all hints go"
    unready = Drafts(create=[Draft(None, None, [entry("a"), entry("b", number=1), entry("", ready=False, number=2)])])
    assert hints.apply(AUTO, unready, {"a": 0.5, "b": 0.5}) == ""


def right(name: str, zones: str) -> Draft:
    return untouched(name, *(entry(z, number=i, for_zone=z) for i, z in enumerate(zones)))


def test_a_slice_whose_hints_are_good_is_left_alone_while_another_takes_the_change() -> None:
    drafts = Drafts(create=[fresh(*"aaa")], unchanged=[right("s", "abcabc")])
    assert hints.apply(AUTO, drafts, EVEN) == ""
    assert [d.name for d in drafts.unchanged] == ["s"] and not drafts.update
    assert given(drafts) == {"a": 3, "b": 3, "c": 3}


@pytest.mark.parametrize(
    "rows",
    [
        [entry("a", for_zone="a"), entry("b", number=1), entry("c", number=2, for_zone="c")],  # one has none
        [entry("a", for_zone="a"), entry("b", number=1, for_zone="gone"), entry("c", number=2, for_zone="c")],
        [entry("a", for_zone="a"), entry("b", number=1, for_zone="a"), entry("c", number=2, for_zone="c")],  # a has 2, at most 1
    ],
)
def test_a_slice_whose_hints_turned_wrong_is_written_again(rows: list) -> None:
    drafts = Drafts(unchanged=[untouched("s", *rows)])
    assert hints.apply(AUTO, drafts, EVEN) == ""
    assert [d.name for d in drafts.update] == ["s"] and given(drafts) == {"a": 1, "b": 1, "c": 1}


def test_hints_go_when_they_cannot_be_given_any_more() -> None:
    drafts = Drafts(unchanged=[right("s", "ab"), untouched("t", entry("a", number=8))])
    assert hints.apply(AUTO, drafts, None) == hints.NO_NODE_INFO
    assert hinted(drafts) == [None, None] and [d.name for d in drafts.unchanged] == ["t"]


@pytest.mark.parametrize("seed", range(40))
def test_auto_settles_in_one_pass_within_bounds(seed: int) -> None:
    """Random zones and sizes: bounds hold, and a second look at what was written wants nothing."""
    chooser = random.Random(seed)
    zones = "abcd"[: chooser.randint(2, 4)]
    cpus = {z: chooser.randint(1, 20) for z in zones}
    ratios = {z: c / sum(cpus.values()) for z, c in cpus.items()}
    rows = [entry(chooser.choice(zones), chooser.random() < 0.9, i) for i in range(chooser.randint(1, 60))]
    cut = chooser.randint(0, len(rows))
    drafts = Drafts(create=[Draft(None, None, rows[:cut]), Draft(None, None, rows[cut:])])
    why = hints.apply(AUTO, drafts, ratios)
    ready = sum(1 for r in rows if r["conditions"]["ready"])
    found, shares = given(drafts), hints.shares(ratios, ready)
    if isinstance(shares, str):
        assert why == shares and not found
    else:
        assert sum(found.values()) == ready
        for zone, share in shares.items():
            assert abs(found.get(zone, 0) - share.desired) < len(zones), (zone, found, shares)
    again = Drafts(unchanged=[untouched(f"s{i}", *d.endpoints) for i, d in enumerate(drafts.create)])
    assert hints.apply(AUTO, again, ratios) == why
    assert not again.update


class Told:
    """Stands for Events: keeps what was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def tell(self, about: dict, kind: str, reason: str, message: str, path: str = "") -> None:
        self.said.append((kind, reason, message))


ENABLED = ("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled, addressType: IPv4")
DISABLED = ("Warning", "TopologyAwareHintsDisabled", "Topology Aware Hints has been disabled, addressType: IPv4")
FEW = ("Warning", "TopologyAwareHintsDisabled", "Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4")


# what happens to a Service with two pods in two zones, one after the other -> what is told in the end
@pytest.mark.parametrize(
    ("steps", "want"),
    [
        (["on"], [ENABLED]),
        (["on", "label"], [ENABLED]),
        (["on", "off"], [ENABLED, DISABLED]),
        (["on", "off", "label"], [ENABLED, DISABLED]),
        (["on", "fewer"], [ENABLED, FEW]),
        (["on", "fewer", "label"], [ENABLED, FEW]),
        (["on", "fewer", "more"], [ENABLED, FEW, ENABLED]),
        (["fewer", "on", "off"], [FEW]),
        (["label", "off"], []),
    ],
)
def test_hints_that_come_and_go_are_told(steps: list, want: list) -> None:
    async def go() -> None:
        api, told = FakeApi(), Told()
        caches = Caches(api)
        controller = EndpointSliceController(caches, 100, told)  # type: ignore[arg-type]
        for zone in "ab":
            tree = node(zone)
            api.put({"apiVersion": "v1", "kind": "Node", **tree, "metadata": {"name": zone, **tree["metadata"]}})

        def pod(zone: str) -> None:
            api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": zone, "labels": {"app": "x"}}, "spec": {"nodeName": zone, "containers": []},
                     "status": {"phase": "Running", "podIP": f"10.0.0.{ord(zone)}", "conditions": [{"type": "Ready", "status": "True"}]}})

        pod("a")
        pod("b")
        web = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web", "labels": {}, "annotations": {}},
               "spec": {"selector": {"app": "x"}, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "targetPort": 80}]}}
        api.put(web)
        task = asyncio.ensure_future(run(caches, [controller]))
        await asyncio.sleep(1)
        for step in steps:
            match step:
                case "on" | "off":
                    web["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"} if step == "on" else {}
                    api.put(web)
                case "label":
                    web["metadata"]["labels"] = {"n": str(api.version)}
                    api.put(web)
                case "fewer":
                    api.remove(kind_of("pods"), "shop", "b")
                case "more":
                    pod("b")
            await asyncio.sleep(1)
        assert told.said == want
        (found,) = api.of(kind_of("endpointslices.discovery.k8s.io"))
        assert any("hints" in e for e in found["endpoints"]) is (want[-1:] == [ENABLED])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_time.run(go())
