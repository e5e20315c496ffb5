"""Host ports: what pods ask for, the tables that come of it, and when the kernel is told."""

from __future__ import annotations

from pathlib import Path

from seaway.cluster.node.hostports import TABLE, HostPorts, Lead, of_pod, render

FOUR, SIX = "10.244.0.5", "fd00:10:244::5"
EMPTY = render(())


def pod(*ports: dict, **spec: object) -> dict:
    return {"spec": {"containers": [{"name": "c", "ports": list(ports)}], **spec}}


def test_a_port_leads_to_each_address_of_its_hosts_family() -> None:
    assert of_pod(pod({"containerPort": 80}), [FOUR]) == ()
    assert of_pod(pod({"containerPort": 80, "hostPort": 8080}), [FOUR, SIX]) == (Lead("tcp", "", 8080, FOUR, 80), Lead("tcp", "", 8080, SIX, 80))
    one = pod({"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "172.30.0.2"}, {"containerPort": 1, "hostPort": 2, "hostIP": "::"})
    assert of_pod(one, [FOUR, SIX]) == (Lead("udp", "172.30.0.2", 53, FOUR, 53), Lead("tcp", "", 2, FOUR, 1), Lead("tcp", "", 2, SIX, 1))
    assert of_pod(pod({"containerPort": 80, "hostPort": 80}, hostNetwork=True), ["172.30.0.2"]) == ()
    beside = pod(initContainers=[{"name": "s", "restartPolicy": "Always", "ports": [{"containerPort": 9, "hostPort": 9}]},
                                 {"name": "i", "ports": [{"containerPort": 8, "hostPort": 8}]}])
    assert of_pod(beside, [FOUR]) == (Lead("tcp", "", 9, FOUR, 9),)


def test_the_tables_are_replaced_whole_and_stay_the_same_in_any_order() -> None:
    leads = [Lead("tcp", "", 8080, FOUR, 80), Lead("udp", "172.30.0.2", 53, FOUR, 53), Lead("tcp", "", 8080, SIX, 80)]
    text = render(leads)
    assert text == render(reversed(leads)) and text.startswith(f"add table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{")
    assert f"elements = {{ tcp . 8080 : {FOUR} . 80 }}" in text and f"elements = {{ tcp . 8080 : {SIX} . 80 }}" in text
    assert f"elements = {{ 172.30.0.2 . udp . 53 : {FOUR} . 53 }}" in text
    assert EMPTY.count("delete table") == 2 and "chain" not in EMPTY


class Kernel:
    def __init__(self) -> None:
        self.told: list[str] = []

    def nft(self, text: str) -> None:
        self.told.append(text)

    def list(self, family: int, table: str = "seaway") -> bytes:
        return b""


def test_the_kernel_is_told_of_changes_only_and_what_a_predecessor_left_is_cleared(tmp_path: Path) -> None:
    leads = of_pod(pod({"containerPort": 80, "hostPort": 8080}), [FOUR])
    kernel = Kernel()
    ports = HostPorts(str(tmp_path), kernel)
    ports.apply()
    ports.set("other", ())
    assert kernel.told == [], "nobody ever asked"
    ports.set("a", leads)
    ports.set("a", leads)
    assert kernel.told == [render(leads)]
    after = Kernel()
    successor = HostPorts(str(tmp_path), after)
    successor.apply()
    assert after.told == [EMPTY], "killed with a table, and no pod asks any more"
    successor.apply()
    assert after.told == [EMPTY] and not list(tmp_path.iterdir())
