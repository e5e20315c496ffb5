"""Kernel parameters of a pod's own namespaces (securityContext.sysctls): which may be set; pure (pkg/kubelet/sysctl)."""

from __future__ import annotations

from typing import Any

from seaway.api.tree import get

Tree = dict[str, Any]
SAFE = frozenset(
    f"net.ipv4.{name}"
    for name in (
        "ip_local_port_range",
        "tcp_syncookies",
        "ping_group_range",
        "ip_unprivileged_port_start",
        "ip_local_reserved_ports",
        "tcp_keepalive_time",
        "tcp_fin_timeout",
        "tcp_keepalive_intvl",
        "tcp_keepalive_probes",
        "tcp_rmem",
        "tcp_wmem",
    )
)


def wanted(pod: Tree) -> dict[str, str]:
    """file below /proc/sys -> value."""
    entries = get(pod, "spec", "securityContext", "sysctls") or ()
    return {str(e["name"]).replace(".", "/"): str(e.get("value", "")) for e in entries}


def forbidden(pod: Tree) -> str:
    """Why the node refuses the pod; empty where it does not."""
    for entry in get(pod, "spec", "securityContext", "sysctls") or ():
        name = str(entry["name"]).replace("/", ".")
        if name not in SAFE:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if pod["spec"].get("hostNetwork"):
            return f'forbidden sysctl: "{name}" not allowed with host net enabled'
    return ""
