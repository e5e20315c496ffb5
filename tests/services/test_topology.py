"""Which endpoints may answer: the rows of the behaviour table."""

from __future__ import annotations

import pytest

from seaway.services.resolve import Endpoint, resolve
from seaway.services.topology import cluster_choice, local_choice

NODE, ZONE = "here", "z1"


def endpoint(address: str, state: str = "ready", node: str = NODE, zones: tuple = (), nodes: tuple = ()) -> Endpoint:
    ready, serving, terminating = {"ready": (1, 1, 0), "unready": (0, 0, 0), "ending": (0, 1, 1), "gone": (0, 0, 1)}[state]
    return Endpoint(address, 80, bool(ready), bool(serving), bool(terminating), node, "", zones, nodes)


def chosen(choice: tuple) -> list[str]:
    return [e.address for e in choice[0]]


@pytest.mark.parametrize(
    ("states", "want"),
    [
        (["ready", "unready", "ending"], ["0"]),
        (["unready", "ending", "gone"], ["1"]),
        (["unready", "gone"], []),
        ([], []),
    ],
)
def test_ready_ones_first_then_those_that_end_but_serve(states: list[str], want: list[str]) -> None:
    assert chosen(cluster_choice([endpoint(str(i), s) for i, s in enumerate(states)], NODE, ZONE)) == want


@pytest.mark.parametrize(
    ("endpoints", "want", "anywhere"),
    [
        ([endpoint("a"), endpoint("b", node="there")], ["a"], True),
        ([endpoint("b", node="there")], [], True),
        ([endpoint("a", "ending"), endpoint("b", node="there")], ["a"], True),
        ([endpoint("a", "unready")], [], False),
    ],
)
def test_policy_local_stays_on_the_node(endpoints: list[Endpoint], want: list[str], anywhere: bool) -> None:
    found = local_choice(endpoints, NODE)
    assert (chosen(found), found.anywhere) == (want, anywhere)


@pytest.mark.parametrize(
    ("endpoints", "want"),
    [
        ([endpoint("a", zones=("z1",)), endpoint("b", zones=("z2",))], ["a"]),
        ([endpoint("a", zones=("z1",)), endpoint("b")], ["a", "b"]),
        ([endpoint("a", zones=("z2",)), endpoint("b", zones=("z3",))], ["a", "b"]),
        ([endpoint("a", zones=("z1",), nodes=("here",)), endpoint("b", zones=("z1",), nodes=("there",))], ["a"]),
        ([endpoint("a", zones=("z1",), nodes=("x",)), endpoint("b", zones=("z2",), nodes=("y",))], ["a"]),
    ],
)
def test_hints_are_obeyed_when_they_are_complete(endpoints: list[Endpoint], want: list[str]) -> None:
    assert chosen(cluster_choice(endpoints, NODE, ZONE)) == want


SERVICE = {
    "metadata": {"namespace": "n", "name": "s"},
    "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"], "type": "NodePort", "ports": [{"name": "p", "port": 80, "nodePort": 30000}]},
}


def piece(family: str, *endpoints: dict, port: int = 8080, **labels: str) -> dict:
    return {"metadata": {"labels": labels}, "addressType": family, "ports": [{"name": "p", "port": port, "protocol": "TCP"}], "endpoints": list(endpoints)}


def test_each_family_sees_its_own_slices() -> None:
    slices = [piece("IPv4", {"addresses": ["10.1.0.1"]}), piece("IPv6", {"addresses": ["fd00:1::1"]})]
    for family, address, vip in ((4, "10.1.0.1", "10.0.0.1"), (6, "fd00:1::1", "fd00::1")):
        found = resolve(SERVICE, slices, family)
        assert found and found.cluster_ip == vip
        assert [(e.address, e.port, e.ready) for e in found.ports[0].endpoints] == [(address, 8080, True)]


def test_an_address_in_two_slices_is_ready_if_it_is_in_either() -> None:
    slices = [piece("IPv4", {"addresses": ["10.1.0.1"], "conditions": {"ready": False}}), piece("IPv4", {"addresses": ["10.1.0.1"]})]
    found = resolve(SERVICE, slices, 4)
    assert found and [e.ready for e in found.ports[0].endpoints] == [True]


@pytest.mark.parametrize(
    "change",
    [{"spec": {**SERVICE["spec"], "clusterIP": "None"}}, {"spec": {**SERVICE["spec"], "type": "ExternalName"}},
     {"metadata": {**SERVICE["metadata"], "labels": {"service.kubernetes.io/service-proxy-name": ""}}}],
)
def test_headless_external_and_opted_out_services_are_ignored(change: dict) -> None:
    assert resolve({**SERVICE, **change}, [], 4) is None


# The rows of "endpoint choice" and "no endpoints" (CategorizeEndpoints; KEP-1669), state by state: what policy Cluster
# leaves, what policy Local leaves, and whether there is any endpoint at all (none: REJECT; some, none here: DROP).
ROWS = [
    # endpoints as "<name>:<state>@<node>"            Cluster     Local       anywhere
    ("",                                              "",         "",         False),
    ("a:ready@here",                                  "a",        "a",        True),
    ("a:ready@there",                                 "a",        "",         True),
    ("a:ready@here b:ready@there",                    "a b",      "a",        True),
    ("a:unready@here b:ready@there",                  "b",        "",         True),
    ("a:ending@here b:ready@there",                   "b",        "a",        True),
    ("a:ready@here b:ending@there",                   "a",        "a",        True),
    ("a:ending@here b:ending@there",                  "a b",      "a",        True),
    ("a:unready@here b:ending@there",                 "b",        "",         True),
    ("a:gone@here b:ending@there",                    "b",        "",         True),
    ("a:ready@here b:ending@here",                    "a",        "a",        True),
    ("a:gone@here",                                   "",         "",         False),
    ("a:unready@here b:unready@there",                "",         "",         False),
    ("a:unready@here b:gone@there",                   "",         "",         False),
]


def row(text: str) -> list[Endpoint]:
    found = []
    for word in text.split():
        name, _, rest = word.partition(":")
        state, _, node = rest.partition("@")
        found.append(endpoint(name, state, node))
    return found


@pytest.mark.parametrize(("text", "cluster", "local", "anywhere"), ROWS)
def test_each_row_of_the_behaviour_table(text: str, cluster: str, local: str, anywhere: bool) -> None:
    everywhere, here = cluster_choice(row(text), NODE, ZONE), local_choice(row(text), NODE)
    assert (" ".join(chosen(everywhere)), " ".join(chosen(here))) == (cluster, local)
    assert everywhere.anywhere == here.anywhere == anywhere


def test_unready_endpoints_neither_complete_nor_spoil_hints() -> None:
    hinted = [endpoint("a", zones=("z1",)), endpoint("b", zones=("z2",)), endpoint("c", "unready")]
    assert chosen(cluster_choice(hinted, NODE, ZONE)) == ["a"]


def test_terminating_endpoints_are_chosen_without_regard_to_hints() -> None:
    ending = [endpoint("a", "ending", zones=("z1",)), endpoint("b", "ending", zones=("z2",))]
    assert chosen(cluster_choice(ending, NODE, ZONE)) == ["a", "b"]


def test_a_node_without_a_zone_ignores_zone_hints() -> None:
    zoned = [endpoint("a", zones=("z1",)), endpoint("b", zones=("z2",))]
    assert chosen(cluster_choice(zoned, NODE, "")) == ["a", "b"]


def test_policy_local_does_not_know_hints() -> None:
    hinted = [endpoint("a", zones=("z2",)), endpoint("b", zones=("z1",)), endpoint("c", node="there", zones=("z1",))]
    assert chosen(local_choice(hinted, NODE)) == ["a", "b"]
