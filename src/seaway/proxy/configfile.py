"""A kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration as settings; pure.

As upstream, a file given by --config holds alone: of the flags only --hostname-override, --cleanup and those that a file has no
field for (--service-cidr, --iptables-backend, --cgroup-path) still count, and --kubeconfig where the file names none. What is no
field is named and left out (kube-proxy decodes strictly, and where that fails leniently: cmd/kube-proxy/app/options.go), what
makes no sense is refused in kube-proxy's words (pkg/proxy/apis/config/validation), and what has no use here is named.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from seaway.proxy.configuration import (
    BRIDGE,
    CLUSTER_CIDR,
    DETECT,
    MODES,
    PREFIX,
    PRIMARY,
    BadConfiguration,
    Settings,
    cidrs,
    duration,
    endpoint,
    pod_link,
)

Tree = dict[str, Any]
API_VERSION, KIND = "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration"
TEXT, FLAG, WHOLE, NUMBER, DURATION, TEXTS, MAP, ANY = (
    "string",
    "bool",
    "int",
    "number",
    "duration",
    "list",
    "object",
    "",
)
_RULES = {"masqueradeBit": WHOLE, "masqueradeAll": FLAG, "syncPeriod": DURATION, "minSyncPeriod": DURATION}
Fields = dict[str, Any]  # name -> kind, or the fields of an object
FIELDS: Fields = {
    "apiVersion": TEXT, "kind": TEXT, "featureGates": MAP, "hostnameOverride": TEXT, "bindAddress": TEXT,
    "healthzBindAddress": TEXT, "metricsBindAddress": TEXT, "bindAddressHardFail": FLAG, "enableProfiling": FLAG,
    "showHiddenMetricsForVersion": TEXT, "mode": TEXT, "detectLocalMode": TEXT, "clusterCIDR": TEXT, "nodePortAddresses": TEXTS,
    "oomScoreAdj": WHOLE, "configSyncPeriod": DURATION, "portRange": TEXT, "windowsRunAsService": FLAG,
    "clientConnection": {"kubeconfig": TEXT, "acceptContentTypes": TEXT, "contentType": TEXT, "qps": NUMBER, "burst": WHOLE},
    "logging": {"format": TEXT, "flushFrequency": ANY, "verbosity": WHOLE, "vmodule": TEXTS, "options": ANY},
    "iptables": {**_RULES, "localhostNodePorts": FLAG},
    "nftables": _RULES,
    "ipvs": {"syncPeriod": DURATION, "minSyncPeriod": DURATION, "scheduler": TEXT, "excludeCIDRs": TEXTS, "strictARP": FLAG,
             "tcpTimeout": DURATION, "tcpFinTimeout": DURATION, "udpTimeout": DURATION},
    "winkernel": {"networkName": TEXT, "sourceVip": TEXT, "enableDSR": FLAG, "rootHnsEndpointName": TEXT,
                  "forwardHealthCheckVip": FLAG},
    "detectLocal": {"bridgeInterface": TEXT, "interfaceNamePrefix": TEXT},
    "conntrack": {"maxPerCore": WHOLE, "min": WHOLE, "tcpEstablishedTimeout": DURATION, "tcpCloseWaitTimeout": DURATION,
                  "tcpBeLiberal": FLAG, "udpTimeout": DURATION, "udpStreamTimeout": DURATION},
}  # fmt: skip
# Fields that have no use here, by the beginning of their path, with the reason.
UNUSED = {
    "featureGates": "there are no gates here",
    "clientConnection.acceptContentTypes": "the client chooses",
    "clientConnection.contentType": "the client chooses",
    "clientConnection.qps": "requests are few, and not held back",
    "clientConnection.burst": "requests are few, and not held back",
    "logging": "there is one format, and one verbosity",
    "enableProfiling": "there is no profiler here",
    "showHiddenMetricsForVersion": "no metric is hidden",
    "oomScoreAdj": "left to who starts the process",
    "configSyncPeriod": "changes are watched",
    "portRange": "kube-proxy does not use it either",
    "windowsRunAsService": "this is not Windows",
    "winkernel": "this is not Windows",
    "conntrack": "the node's connection tracking stays as the node has it",
}
ONLY_FOR = {
    "clusterCIDR": CLUSTER_CIDR,
    "detectLocal.bridgeInterface": BRIDGE,
    "detectLocal.interfaceNamePrefix": PREFIX,
}


class Read(NamedTuple):
    """`told`: what in a file is not used, a line each."""

    settings: Settings
    told: list[str]


def from_document(document: object, base: Settings, service_cidrs: tuple[str, ...] = ()) -> Read:
    """The settings of a file; BadConfiguration names what makes no sense."""
    if not isinstance(document, dict) or document.get("kind") != KIND or document.get("apiVersion") != API_VERSION:
        raise BadConfiguration(f"no {KIND} of {API_VERSION}")
    unknown = [f'unknown field "{path}"' for path in _unknown(document, FIELDS, "")]
    told = [f"using lenient decoding, as strict decoding failed: {', '.join(unknown)}"] if unknown else []
    found = dict(_leaves(document, FIELDS, ""))
    mode = found.get("mode") or base.mode
    wrong = list(problems(found, mode))
    if wrong:
        raise BadConfiguration(f"failed validate: {wrong[0] if len(wrong) == 1 else '[' + ', '.join(wrong) + ']'}")
    settings = _settings(found, mode, base, service_cidrs)
    return Read(settings, told + [f"{path} is not used: {why}" for path, why in unused(found, settings.detect_local)])


def _unknown(tree: Tree, fields: Fields, path: str) -> Iterator[str]:
    """The paths of what is no field."""
    for name, value in tree.items():
        inner = fields.get(name)
        if inner is None:
            yield f"{path}{name}"
        elif isinstance(inner, dict) and isinstance(value, dict):
            yield from _unknown(value, inner, f"{path}{name}.")


def _leaves(tree: Tree, fields: Fields, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of the fields that have one, each of its kind."""
    for name, value in tree.items():
        kind, whole = fields.get(name), f"{path}{name}"
        if value is None or kind is None:
            continue
        if isinstance(kind, dict):
            if not isinstance(value, dict):
                raise BadConfiguration(f"{whole}: must be an object")
            yield from _leaves(value, kind, f"{whole}.")
        else:
            yield whole, _of_kind(whole, kind, value)


_KINDS: dict[str, tuple[type, ...]] = {
    TEXT: (str,), FLAG: (bool,), WHOLE: (int,), NUMBER: (int, float), TEXTS: (list,), MAP: (dict,), DURATION: (str,),
    ANY: (object,),
}  # fmt: skip
_CALLED = {TEXT: "a string", FLAG: "true or false", WHOLE: "a whole number", NUMBER: "a number", DURATION: "a duration",
           TEXTS: "a list of strings", MAP: "an object"}  # fmt: skip


def _of_kind(path: str, kind: str, value: Any) -> Any:
    right = isinstance(value, _KINDS[kind]) and (kind in (FLAG, ANY) or not isinstance(value, bool))
    if kind == TEXTS and right:
        right = all(isinstance(item, str) for item in value)
    if not right:
        raise BadConfiguration(f"{path}: {json.dumps(value, default=str)} must be {_CALLED[kind]}")
    if kind == DURATION:
        try:
            duration(value)
        except BadConfiguration as e:
            raise BadConfiguration(f"{path}: {e}") from None
    return value


def unused(found: Tree, detect: str) -> Iterator[tuple[str, str]]:
    """(path, reason) of the fields that say something and mean nothing here. What belongs to a mode means something in that."""
    for path, value in found.items():
        if not _says(value):
            continue
        if path in ONLY_FOR and detect != ONLY_FOR[path]:
            yield path, f"detectLocalMode is {detect}"
        why = UNUSED.get(path) or UNUSED.get(path.partition(".")[0])
        if why:
            yield path, why


def _says(value: Any) -> bool:
    """Whether a value is more than a nothing written out, such as false, "" and 0s."""
    if isinstance(value, dict):
        return any(map(_says, value.values()))
    try:
        return bool(value) and not (isinstance(value, str) and duration(value) == 0)
    except BadConfiguration:
        return True


def _rules_section(mode: str) -> str:
    """The section with the masquerade fields: IPVS mode has iptables' (conversion of v1alpha1)."""
    return "iptables" if mode in ("iptables", "ipvs") else "nftables"


def _periods_section(mode: str) -> str:
    return mode if mode in ("iptables", "ipvs") else "nftables"


def problems(found: Tree, mode: str) -> Iterator[str]:
    """What kube-proxy's validation says (validation.go), in its words and order."""

    def invalid(path: str, value: Any, detail: str) -> str:
        return f"{KIND}.{path}: Invalid value: {json.dumps(value, ensure_ascii=False)}: {detail}"

    for section, title in (
        ("iptables", "KubeProxyIPTablesConfiguration"),
        ("nftables", "KubeProxyNFTablesConfiguration"),
    ):
        bit = found.get(f"{section}.masqueradeBit", 14)
        if (section == "iptables" or _rules_section(mode) == section) and not 0 <= bit <= 31:
            yield invalid(f"{title}.MasqueradeBit", bit, "must be within the range [0, 31]")
    if mode == "ipvs":
        yield from _no_less_than_zero(
            found, "ipvs", "KubeProxyIPVSConfiguration", ("tcpTimeout", "tcpFinTimeout", "udpTimeout")
        )
        for number, text in enumerate(found.get("ipvs.excludeCIDRs", [])):
            if not _is_range(text):
                yield invalid(f"KubeProxyIPVSConfiguration.ExcludeCidrs[{number}]", text, "must be a valid CIDR")
    tracking = ("maxPerCore", "min", "tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout", "udpStreamTimeout")
    yield from _no_less_than_zero(
        found, "conntrack", "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration", tracking
    )
    score = found.get("oomScoreAdj", 0)
    if not -1000 <= score <= 1000:
        yield invalid("KubeProxyLinuxConfiguration.OOMScoreAdj", score, "must be within the range [-1000, 1000]")
    if mode not in MODES:
        valid = ", ".join(sorted(MODES))
        yield invalid(
            "Mode.ProxyMode",
            mode,
            f"must be {valid} or blank (blank means the best-available proxy [currently nftables])",
        )
    if found.get("clientConnection.burst", 0) < 0:
        yield invalid("ClientConnection.Burst", found["clientConnection.burst"], "must be greater than or equal to 0")
    yield from _period_problems(found, mode)
    if found.get("bindAddress") and not _is_address(found["bindAddress"]):
        yield invalid("BindAddress", found["bindAddress"], "not a valid textual representation of an IP address")
    for number, text in enumerate(found.get("nodePortAddresses", [])):
        if text == PRIMARY:
            if len(found["nodePortAddresses"]) != 1:
                yield invalid(f"NodePortAddresses[{number}]", text, "can't use both 'primary' and CIDRs")
            break
        if not _is_range(text):
            yield invalid(f"NodePortAddresses[{number}]", text, "must be a valid CIDR")
    yield from _detect_problems(found)


def _no_less_than_zero(found: Tree, section: str, title: str, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = found.get(f"{section}.{name}", 0)
        if (duration(value) if isinstance(value, str) else value) < 0:
            field = (
                name.replace("tcp", "TCP").replace("udp", "UDP")
                if name[:3] in ("tcp", "udp")
                else name[0].upper() + name[1:]
            )
            yield f"{KIND}.{title}.{field}: Invalid value: {json.dumps(value)}: must be greater than or equal to 0"


def _period_problems(found: Tree, mode: str) -> Iterator[str]:
    section = _periods_section(mode)
    named = (
        ("ConfigSyncPeriod", "configSyncPeriod", "greater than 0"),
        ("SyncPeriod", f"{section}.syncPeriod", "greater than 0"),
        ("MinSyncPeriod", f"{section}.minSyncPeriod", "greater than or equal to 0"),
    )
    for title, path, bound in named:
        if duration(found.get(path) or "0") < 0:  # none at all is the default
            yield f"{KIND}.{title}: Invalid value: {json.dumps(found[path])}: must be {bound}"
    least, most = (found.get(f"{section}.{n}") or "0" for n in ("minSyncPeriod", "syncPeriod"))
    if duration(least) > (duration(most) or Settings().sync_period):
        yield f"{KIND}.SyncPeriod: Invalid value: {json.dumps(least)}: must be greater than or equal to {KIND}.MinSyncPeriod"


def _detect_problems(found: Tree) -> Iterator[str]:
    title = f"{KIND}.DetectLocalConfiguration"
    detect = found.get("detectLocalMode") or CLUSTER_CIDR
    if detect not in DETECT:
        valid = ", ".join(f'"{each}"' for each in (*DETECT, ""))
        yield f"{KIND}.DetectLocalMode: Unsupported value: {json.dumps(detect)}: supported values: {valid}"
    for mode, path, name in (
        (BRIDGE, "bridgeInterface", "InterfaceName"),
        (PREFIX, "interfaceNamePrefix", "InterfacePrefix"),
    ):
        if detect == mode and not found.get(f"detectLocal.{path}"):
            yield f'{title}.{name}: Invalid value: "": must not be empty'
    ranges = found["clusterCIDR"].split(",") if found.get("clusterCIDR") else []
    if detect != CLUSTER_CIDR or not ranges:
        return
    pair = "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]"
    bad = [(n, r) for n, r in enumerate(ranges) if not _is_range(r)]
    if len(ranges) > 2 or (len(ranges) == 2 and not bad and (":" in ranges[0]) == (":" in ranges[1])):
        yield f"{title}.ClusterCIDRs: Invalid value: {json.dumps(ranges, separators=(',', ':'))}: {pair}"
        return
    for number, text in bad:
        detail = "must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)"
        yield f"{title}.ClusterCIDRs[{number}]: Invalid value: {json.dumps(text)}: {detail}"


def _is_range(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _settings(found: Tree, mode: str, base: Settings, service_cidrs: tuple[str, ...]) -> Settings:
    rules, periods = _rules_section(mode), _periods_section(mode)
    detect = found.get("detectLocalMode") or CLUSTER_CIDR
    bind = ipaddress.ip_address(found.get("bindAddress") or "0.0.0.0")
    ranges = found.get("nodePortAddresses", [])
    return base._replace(
        node=found.get("hostnameOverride") or base.node,
        mode=mode,
        cluster_cidrs=cidrs(found.get("clusterCIDR", ""), "clusterCIDR") if detect == CLUSTER_CIDR else (),
        service_cidrs=service_cidrs or base.service_cidrs,
        detect_local=detect,
        pod_link=pod_link(
            detect,
            mode,
            found.get("detectLocal.bridgeInterface", ""),
            found.get("detectLocal.interfaceNamePrefix", ""),
            ("detectLocal.bridgeInterface", "detectLocal.interfaceNamePrefix"),
        ),
        masquerade_all=found.get(f"{rules}.masqueradeAll", False),
        masquerade_bit=found.get(f"{rules}.masqueradeBit", base.masquerade_bit),
        node_port_addresses=(PRIMARY,) if ranges == [PRIMARY] else cidrs(",".join(ranges), "nodePortAddresses"),
        min_sync_period=duration(found.get(f"{periods}.minSyncPeriod") or "0") or base.min_sync_period,
        sync_period=duration(found.get(f"{periods}.syncPeriod") or "0") or base.sync_period,
        healthz=endpoint(found.get("healthzBindAddress", ""), base.healthz, "healthzBindAddress"),
        metrics=endpoint(found.get("metricsBindAddress", ""), base.metrics, "metricsBindAddress"),
        hard_fail=found.get("bindAddressHardFail", False),
        kubeconfig=found.get("clientConnection.kubeconfig") or base.kubeconfig,
        localhost_node_ports=found.get("iptables.localhostNodePorts", True),
        scheduler=found.get("ipvs.scheduler") or base.scheduler,
        exclude_cidrs=cidrs(",".join(found.get("ipvs.excludeCIDRs", [])), "ipvs.excludeCIDRs"),
        strict_arp=found.get("ipvs.strictARP", False),
        ipvs_timeouts=(
            int(duration(found.get("ipvs.tcpTimeout") or "0")),
            int(duration(found.get("ipvs.tcpFinTimeout") or "0")),
            int(duration(found.get("ipvs.udpTimeout") or "0")),
        ),
        bind_address="" if bind.is_unspecified else str(bind),
    )
