"""The eBPF mode: the object is what the source says, the maps hold what the table says, and real sockets go where they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_plan import HERE, A, B, at, service

from seaway.proxy import plan
from seaway.proxy.ebpf import cgroup, elf, entries, layout, sockets
from seaway.proxy.ebpf.plane import OBJECT
from seaway.proxy.kernel import KernelError
from seaway.proxy.table import Facts, Way
from seaway.services.resolve import Port

FACTS = plan.facts(4, HERE)
X, Y = at("10.244.0.1"), at("10.244.1.1", "there")


def test_the_object_is_what_clang_makes_of_the_source(tmp_path: Path) -> None:
    clang = shutil.which("clang")
    assert clang, "tools/setup dev installs clang"
    version = subprocess.run([clang, "--version"], capture_output=True, text=True).stdout
    if "version 14." not in version:
        pytest.skip(f"the object was made by clang 14; here is {version.splitlines()[0]}")
    made = tmp_path / "sockets.o"
    flags = ["-O2", "-g0", "-target", "bpf", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([clang, *flags, "-c", str(OBJECT.with_suffix(".c").name), "-o", str(made)], check=True, cwd=OBJECT.parent)
    assert made.read_bytes() == OBJECT.read_bytes(), "make ebpf"


def test_the_object_has_the_programs_and_maps_that_the_plane_writes() -> None:
    found = elf.read(OBJECT.read_bytes())
    hooks = ("cgroup/connect", "cgroup/sendmsg", "cgroup/recvmsg", "cgroup/getpeername", "cgroup_skb/egress")
    assert sorted(found.programs) == sorted(f"{hook}{family}" for hook in hooks for family in (4, 6))
    assert sorted(found.maps) == ["backends", "clients", "flows", "members", "pins", "services"]
    assert (found.maps["services"].key, found.maps["services"].value) == (len(layout.vip("10.0.0.1", "tcp", 1)), layout.SERVICE.size)
    assert (found.maps["backends"].key, found.maps["backends"].value) == (layout.SLOT.size, len(layout.backend(("10.0.0.1", 1))))
    assert found.maps["flows"].key == len(layout.flow(1, ("10.0.0.1", 1)))
    code = elf.linked(found.programs["cgroup/connect4"], {name: 7 for name in found.maps})
    where = min(found.programs["cgroup/connect4"].uses)
    assert code[where + 1] >> 4 == elf.MAP_FD and code[where + 4] == 7


def ways(**change: object) -> dict[str, Way]:
    names = {"10.96.0.1": "cluster", "192.0.2.1": "external", "172.30.255.1": "balancer"}
    return {names[k[0]]: w for k, w in plan.part(service(X, Y, **change), HERE).vips.items()}


# change of the Service, change of the facts -> which ways a socket program decides
ROWS = [
    ({}, {}, {"cluster", "external", "balancer"}),
    ({"external_local": True}, {}, {"cluster", "external", "balancer"}),
    ({"external_local": True}, {"cluster_cidrs": ()}, {"cluster"}),
    ({"source_ranges": ("10.0.0.0/8",)}, {}, {"cluster", "external"}),
    ({}, {"masquerade_all": True}, {"external", "balancer"}),
    ({"ports": (Port("http", "TCP", 80, 0, ()),)}, {}, set()),
]


@pytest.mark.parametrize(("change", "facts", "want"), ROWS)
def test_what_a_socket_cannot_know_is_left_to_the_packets_rules(change: dict, facts: dict, want: set) -> None:
    known = Facts(4, FACTS.node_addresses, **{"cluster_cidrs": FACTS.cluster_cidrs, **facts})
    assert {name for name, way in ways(**change).items() if entries.of_way(way, known)} == want


def test_members_are_candidates_for_affinity_and_servers_of_udp_flows() -> None:
    found = entries.of_way(ways(affinity=60)["cluster"], FACTS)
    assert found and found.seconds == 60 and {bits for _, bits in found.members} == {layout.CANDIDATE} and found.sticky
    udp = plan.part(service(ports=(Port("dns", "UDP", 53, 0, (X, Y)),)), HERE).vips[("10.96.0.1", "udp", 53)]
    found = entries.of_way(udp, FACTS)
    assert found and not found.sticky and {bits for _, bits in found.members} == {layout.SERVING}


def test_a_node_port_is_an_address_of_each_address_of_the_node() -> None:
    facts = Facts(4, frozenset({"172.30.0.2", "192.0.2.7"}))
    assert entries.addresses(("tcp", 30080), facts) == [layout.vip(a, "tcp", 30080) for a in ("172.30.0.2", "192.0.2.7")]
    assert entries.addresses(("sctp", 30080), facts) == entries.addresses(("10.96.0.1", "sctp", 1), facts) == []


def test_udp_endpoints_that_serve_no_more_are_lost() -> None:
    def way(*endpoints: object) -> Way:
        ports = (Port("dns", "UDP", 53, 0, endpoints),)  # type: ignore[arg-type]
        return plan.part(service(ports=ports), HERE).vips[("10.96.0.1", "udp", 53)]

    assert entries.lost([(way(A, B), way(A))]) == {("b", 8080)}
    assert entries.lost([(way(A), None), (None, way(B))]) == {("a", 8080)}


def test_the_cgroup_hierarchy_is_found_where_it_is_mounted() -> None:
    assert cgroup.mounted("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n") == "/sys/fs/cgroup/unified"
    assert cgroup.mounted("tmpfs / tmpfs rw 0 0\n") == ""


def test_a_hierarchy_that_is_not_mounted_is_had_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    monkeypatch.setattr(cgroup, "mounted", lambda text: "")
    with open("/proc/mounts") as f:
        before = f.read()
    try:
        found = cgroup.folder("/")
    except KernelError as e:
        pytest.skip(str(e))
    try:
        assert Path(found, "cgroup.controllers").exists() and sockets.namespaces(found)
        with open("/proc/mounts") as f:
            assert f.read() == before, "the mount is in no tree"
    finally:
        os.close(int(found.split("/")[4]))
    assert not Path(found, "cgroup.controllers").exists()


KERNEL = Path(__file__).with_name("ebpfsockets.py")


@pytest.mark.kernel
def test_sockets_are_connected_to_endpoints_and_see_the_services_address() -> None:
    """In a network namespace and a cgroup of its own."""
    with open("/proc/mounts") as f:
        root = cgroup.mounted(f.read())
    if os.geteuid() != 0 or not root or not os.access(root, os.W_OK):
        pytest.skip("socket programs need root and a cgroup hierarchy of version 2")
    group = Path(root, f"seaway-test-{os.getpid()}")
    group.mkdir()
    try:
        environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        done = subprocess.run(
            ["unshare", "--net", sys.executable, str(KERNEL), str(group)], capture_output=True, text=True, env=environment, timeout=100)
        assert done.stdout.strip().endswith("well"), done.stdout + done.stderr
    finally:
        group.rmdir()
