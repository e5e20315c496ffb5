"""Which kernel parameters a pod may set."""

from __future__ import annotations

import pytest

from seaway.cluster.node.sysctls import forbidden, wanted


def pod(*entries: tuple[str, str], **spec: object) -> dict:
    return {"spec": {"securityContext": {"sysctls": [{"name": n, "value": v} for n, v in entries]}, **spec}}


@pytest.mark.parametrize(
    ("tree", "want"),
    [
        (pod(), ""),
        ({"spec": {}}, ""),
        (pod(("net.ipv4.ip_unprivileged_port_start", "0")), ""),
        (pod(("net/ipv4/tcp_rmem", "1 2 3")), ""),
        (pod(("kernel.msgmax", "1")), 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (pod(("net.ipv4.tcp_syncookies", "0"), hostNetwork=True),
         'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled'),
    ],
)
def test_safe_parameters_of_the_pods_own_network_may_be_set(tree: dict, want: str) -> None:
    assert forbidden(tree) == want


def test_names_become_files() -> None:
    assert wanted(pod(("net.ipv4.tcp_rmem", "1 2 3"))) == {"net/ipv4/tcp_rmem": "1 2 3"}
