"""The flags of `seaway kube-proxy`, and the settings that they make; upstream's names, where upstream has the flag."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os

import yaml

from seaway.proxy.configfile import UNUSED, from_document
from seaway.proxy.configuration import (
    CLUSTER_CIDR,
    DETECT,
    HEALTHZ,
    METRICS,
    MODES,
    PRIMARY,
    BadConfiguration,
    Settings,
    cidrs,
    duration,
    endpoint,
    pod_link,
)
from seaway.proxy.iptables.tool import BACKENDS

log = logging.getLogger("kube-proxy")
# kube-proxy's flags that mean nothing here, by the field that says the same (`configfile.UNUSED` has the reason).
IDLE = {
    "--feature-gates": "featureGates",
    "--profiling": "enableProfiling",
    "--show-hidden-metrics-for-version": "showHiddenMetricsForVersion",
    "--oom-score-adj": "oomScoreAdj",
    "--config-sync-period": "configSyncPeriod",
    "--kube-api-content-type": "clientConnection.contentType",
    "--kube-api-qps": "clientConnection.qps",
    "--kube-api-burst": "clientConnection.burst",
    "--conntrack-max-per-core": "conntrack",
    "--conntrack-min": "conntrack",
    "--conntrack-tcp-timeout-established": "conntrack",
    "--conntrack-tcp-timeout-close-wait": "conntrack",
    "--conntrack-tcp-be-liberal": "conntrack",
    "--conntrack-udp-timeout": "conntrack",
    "--conntrack-udp-timeout-stream": "conntrack",
    "--v": "logging",
    "--vmodule": "logging",
    "--log-flush-frequency": "logging",
    "--logging-format": "logging",
}


def _duration(text: str) -> float:
    try:
        found = duration(text)
    except BadConfiguration as e:
        raise argparse.ArgumentTypeError(str(e)) from None
    if found < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is less than nothing")
    return found


def _bit(text: str) -> int:
    if not text.isdecimal() or int(text) > 31:
        raise argparse.ArgumentTypeError(f"{text!r} is not within 0 and 31")
    return int(text)


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address") from None
    return "" if found.is_unspecified else str(found)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seaway kube-proxy",
        description="Programs this node's kernel for Services.",
        epilog="`seaway kube-proxy trace` tells what a node does with a packet, and why.",
    )
    add = parser.add_argument
    add("--config", default="", help="a KubeProxyConfiguration file; other flags but a few then do not count")
    add("--kubeconfig", default="", help="path to a kubeconfig; the pod's ServiceAccount otherwise")
    add("--hostname-override", default="", help="the node's name (default: $NODE_NAME, else the host's name)")
    add("--proxy-mode", default="nftables", choices=MODES, help="how packets are steered")
    add("--cluster-cidr", default="", help="pod ranges, separated by commas: sources outside them are masqueraded")
    add("--service-cidr", default="", help="Service ranges: unallocated addresses in them are dropped")
    add(
        "--detect-local-mode",
        default=CLUSTER_CIDR,
        choices=DETECT,
        help="how pods are told: by the cluster's or the node's ranges, or by the interface that they come by",
    )
    add("--pod-bridge-interface", default="", help="the bridge that pods come by, for BridgeInterface")
    add(
        "--pod-interface-name-prefix",
        default="",
        help="what the names of pods' interfaces begin with, for InterfaceNamePrefix",
    )
    add("--masquerade-all", action="store_true", help="masquerade everything that goes to a ClusterIP")
    add("--iptables-masquerade-bit", type=_bit, default=14, help="the bit of packet marks that is ours (default 14)")
    add("--ipvs-scheduler", default="rr", help="in ipvs mode, the scheduler of Services that name none (default rr)")
    add("--ipvs-exclude-cidrs", default="", help="in ipvs mode, ranges in which virtual servers are somebody else's")
    add(
        "--ipvs-strict-arp",
        action="store_true",
        help="in ipvs mode, only the interface with an address answers ARP for it",
    )
    for name, of in (("tcp", "idle TCP connections"), ("tcpfin", "TCP connections after a FIN"), ("udp", "UDP")):
        add(
            f"--ipvs-{name}-timeout",
            type=_duration,
            default=0.0,
            help=f"in ipvs mode, how long {of} is known (0: as it is)",
        )
    add("--bind-address", type=_address, default="", help="the node's address, where it is not what its Node says")
    add(
        "--bind-address-hard-fail",
        action="store_true",
        help="end where the ports of /healthz and /metrics cannot be opened",
    )
    add("--nodeport-addresses", default="", help="ranges of the node's addresses that serve node ports, or `primary`")
    add("--healthz-bind-address", default="", help="address and port of /healthz and /livez")
    add("--healthz-port", type=int, default=HEALTHZ, help="port of /healthz and /livez; 0 turns it off")
    add("--metrics-bind-address", default="", help=f"address and port of /metrics (default 127.0.0.1:{METRICS})")
    add("--sync-period", type=_duration, default=30.0, help="how often the kernel's state is audited (default 30s)")
    add(
        "--min-sync-period",
        type=_duration,
        default=0.0,
        help="the least time between two syncs, such as 1s (default: none)",
    )
    add(
        "--iptables-backend",
        default="auto",
        choices=BACKENDS,
        help="which of the two iptables is used (default: the one in use)",
    )
    add(
        "--cgroup-path", default="/", help="in ebpf mode, the cgroup (version 2) of the node's processes (default: all)"
    )
    add(
        "--iptables-localhost-nodeports",
        type=lambda text: text.lower() not in ("false", "0"),
        nargs="?",
        const=True,
        default=True,
        help="in iptables mode, serve node ports on 127.0.0.1 as well (default true)",
    )
    for mode in ("iptables", "ipvs"):  # as kube-proxy has them, each for its mode
        for name in ("sync-period", "min-sync-period"):
            add(f"--{mode}-{name}", type=_duration, default=None, help=f"--{name}, in {mode} mode only")
    add("--metrics-port", type=int, default=METRICS, help="port of /metrics; 0 turns it off")
    for flag, field in IDLE.items():
        add(flag, nargs="?", const="true", default=None, dest=flag, metavar="VALUE", help=f"not used: {UNUSED[field]}")
    add("--cleanup", action="store_true", help="remove what proxies in any mode have made here, and end")
    return parser


def _of_mode(args: argparse.Namespace, name: str) -> float:
    """A period, by the flag of the mode where that is given."""
    own: float | None = getattr(args, f"{args.proxy_mode}_{name}", None)
    plain: float = getattr(args, name)
    return plain if own is None else own


def _node_name(text: str) -> str:
    """As kube-proxy and kubelets read a host's name (component-helpers/node/util GetHostname)."""
    if not text.strip():
        raise BadConfiguration("empty hostname-override is invalid")
    return text.strip().lower()


def settings(args: argparse.Namespace) -> Settings:
    """The settings of a command line; BadConfiguration where they make no sense."""
    node = _node_name(args.hostname_override or os.environ.get("NODE_NAME") or os.uname().nodename)
    base = Settings(node=node, kubeconfig=args.kubeconfig, backend=args.iptables_backend, cgroup=args.cgroup_path)
    services = cidrs(args.service_cidr, "--service-cidr")
    for flag, field in IDLE.items():
        if getattr(args, flag) is not None:
            log.warning("%s is not used: %s", flag, UNUSED[field])
    if args.config:
        try:
            with open(args.config, encoding="utf-8") as f:
                document = yaml.safe_load(f)
        except (OSError, ValueError, yaml.YAMLError) as e:
            raise BadConfiguration(str(e)) from None
        found, told = from_document(document, base, services)
        for line in told:
            log.warning("%s: %s", args.config, line)
        return found._replace(node=_node_name(args.hostname_override or found.node))
    ports = args.nodeport_addresses
    host, port = endpoint(args.healthz_bind_address, ("", args.healthz_port), "--healthz-bind-address")
    return base._replace(
        mode=args.proxy_mode,
        cluster_cidrs=cidrs(args.cluster_cidr, "--cluster-cidr"),
        service_cidrs=services,
        detect_local=args.detect_local_mode,
        pod_link=pod_link(
            args.detect_local_mode,
            args.proxy_mode,
            args.pod_bridge_interface,
            args.pod_interface_name_prefix,
            ("--pod-bridge-interface", "--pod-interface-name-prefix"),
        ),
        bind_address=args.bind_address,
        hard_fail=args.bind_address_hard_fail,
        masquerade_all=args.masquerade_all,
        masquerade_bit=args.iptables_masquerade_bit,
        scheduler=args.ipvs_scheduler,
        exclude_cidrs=cidrs(args.ipvs_exclude_cidrs, "--ipvs-exclude-cidrs"),
        strict_arp=args.ipvs_strict_arp,
        ipvs_timeouts=(int(args.ipvs_tcp_timeout), int(args.ipvs_tcpfin_timeout), int(args.ipvs_udp_timeout)),
        node_port_addresses=(PRIMARY,) if ports == PRIMARY else cidrs(ports, "--nodeport-addresses"),
        min_sync_period=_of_mode(args, "min_sync_period"),
        sync_period=_of_mode(args, "sync_period") or 30.0,
        healthz=(host, port),
        metrics=endpoint(args.metrics_bind_address, ("127.0.0.1", args.metrics_port), "--metrics-bind-address"),
        localhost_node_ports=args.iptables_localhost_nodeports,
        backend=args.iptables_backend,
    )
