"""Limits as the kubelet's numbers, and where they go."""

from __future__ import annotations

import pytest

from seaway.cluster.node.cgroups import Limits, Parent, limits, oom_kills, parents, settings

V1 = """tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
HYBRID = V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
OWN = "9:name=systemd:/x\n4:memory:/session/1\n1:cpu,cpuacct:/\n0::/user\n"


@pytest.mark.parametrize(
    ("mounts", "own", "want"),
    [
        (V1, OWN, {"memory": Parent("/sys/fs/cgroup/memory/session/1", 1), "cpu": Parent("/sys/fs/cgroup/cpu,cpuacct", 1)}),
        (HYBRID, OWN, {"memory": Parent("/sys/fs/cgroup/memory/session/1", 1), "cpu": Parent("/sys/fs/cgroup/cpu,cpuacct", 1),
                       "sockets": Parent("/sys/fs/cgroup/unified", 2)}),
        (V2, "0::/user.slice/x\n", {"memory": Parent("/sys/fs/cgroup", 2), "cpu": Parent("/sys/fs/cgroup", 2)}),
        ("proc /proc proc rw 0 0\n", "", {}),
    ],
)
def test_controllers_are_found_in_both_versions(mounts: str, own: str, want: dict) -> None:
    assert parents(mounts, own) == want


@pytest.mark.parametrize(
    ("resources", "want"),
    [
        ({}, Limits()),
        ({"limits": {"memory": "64Mi", "cpu": "1500m"}}, Limits(64 << 20, 1500, 1500)),
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "250m", "memory": "1Gi"}}, Limits(None, 1000, 250)),
    ],
)
def test_limits_are_read(resources: dict, want: Limits) -> None:
    assert limits({"resources": resources}) == want


def test_a_group_for_programs_at_sockets_has_no_limits_to_write() -> None:
    assert settings(Limits(64 << 20, 1500, 1500), "sockets", 2) == []


@pytest.mark.parametrize(
    ("wanted", "controller", "version", "want"),
    [
        (Limits(1024), "memory", 1, {"memory.limit_in_bytes": "1024"}),
        (Limits(1024), "memory", 2, {"memory.max": "1024"}),
        (Limits(), "memory", 1, {"memory.limit_in_bytes": "-1"}),
        (Limits(), "memory", 2, {"memory.max": "max"}),
        (Limits(None, 500, 250), "cpu", 1, {"cpu.shares": "256", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
        (Limits(None, 500, 250), "cpu", 2, {"cpu.weight": "10", "cpu.max": "50000 100000"}),
        (Limits(None, 1, None), "cpu", 1, {"cpu.shares": "2", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "1000"}),
        (Limits(), "cpu", 1, {"cpu.shares": "2", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "-1"}),
        (Limits(), "cpu", 2, {"cpu.weight": "1", "cpu.max": "max 100000"}),
    ],
)
def test_limits_become_the_kubelets_numbers(wanted: Limits, controller: str, version: int, want: dict) -> None:
    assert dict(settings(wanted, controller, version)) == want


def test_kills_are_counted_in_both_versions() -> None:
    assert oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == 3
    assert oom_kills("low 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n") == 1
    assert oom_kills("") == 0
