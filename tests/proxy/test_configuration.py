"""Flags and files: what they become, and what is told of those that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from seaway.proxy.configfile import from_document
from seaway.proxy.configuration import DETECT, BadConfiguration, Settings, cidrs, duration, endpoint
from seaway.proxy.flags import options, settings
from seaway.proxy.run import main

KUBEADM = """
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}}, verbosity: 0}
metricsBindAddress: ""
mode: ""
nftables: {masqueradeAll: true, masqueradeBit: 20, minSyncPeriod: 1s, syncPeriod: 1m30s}
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel: {enableDSR: false, forwardHealthCheckVip: false, networkName: "", rootHnsEndpointName: "", sourceVip: ""}
"""


def test_kubeadms_own_file_is_read() -> None:
    document = yaml.safe_load(KUBEADM.replace("masqueradeBit: null, minSyncPeriod", "minSyncPeriod"))
    found, told = from_document(document, Settings(node="here"))
    assert found == Settings(
        "here", "nftables", (4, 6), ("10.244.0.0/16", "fd00:10:244::/56"), (), "ClusterCIDR", True, 20, (), 1.0, 90.0,
        kubeconfig="/var/lib/kube-proxy/kubeconfig.conf")
    assert told == []  # it has every field, and says nothing with those that mean nothing here


INVALID = "failed validate: KubeProxyConfiguration."
PAIR = "must be a either a single CIDR or dual-stack pair of CIDRs (e.g. [10.100.0.0/16, fde4:8dba:82e1::/48]"
BAD = [
    ({"kind": "Other"}, "no KubeProxyConfiguration"),
    ({"nftables": [1]}, "nftables: must be an object"),
    ({"nftables": {"syncPeriod": "often"}}, "nftables.syncPeriod: 'often' is no duration"),
    ({"nftables": {"syncPeriod": 30}}, "nftables.syncPeriod: 30 must be a duration"),
    ({"bindAddressHardFail": "yes"}, 'bindAddressHardFail: "yes" must be true or false'),
    ({"oomScoreAdj": True}, "oomScoreAdj: true must be a whole number"),
    ({"nodePortAddresses": "primary"}, 'nodePortAddresses: "primary" must be a list of strings'),
    ({"nodePortAddresses": [1]}, "nodePortAddresses: [1] must be a list of strings"),
    ({"healthzBindAddress": "here:10256"}, "healthzBindAddress: 'here' is no IP address"),
    # kube-proxy's own words
    ({"mode": "ipvss"}, INVALID + 'Mode.ProxyMode: Invalid value: "ipvss": must be ebpf, iptables, ipvs, nftables, userspace or blank'),
    ({"nftables": {"masqueradeBit": 32}}, INVALID + "KubeProxyNFTablesConfiguration.MasqueradeBit: Invalid value: 32: must be within the range [0, 31]"),
    ({"iptables": {"masqueradeBit": -1}}, INVALID + "KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: -1: must be within"),
    ({"mode": "iptables", "nftables": {"masqueradeBit": 32}}, None),
    ({"nftables": {"syncPeriod": "-1s"}}, 'KubeProxyConfiguration.SyncPeriod: Invalid value: "-1s": must be greater than 0, KubeProxyConfiguration.SyncPeriod: '),
    ({"nftables": {"minSyncPeriod": "-1s"}}, INVALID + 'MinSyncPeriod: Invalid value: "-1s": must be greater than or equal to 0'),
    ({"nftables": {"minSyncPeriod": "1m"}}, INVALID + 'SyncPeriod: Invalid value: "1m": must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod'),
    ({"nftables": {"minSyncPeriod": "1m", "syncPeriod": "1h"}}, None),
    ({"configSyncPeriod": "-15m"}, INVALID + "ConfigSyncPeriod: Invalid value"),
    ({"conntrack": {"maxPerCore": -1}}, INVALID + "KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.MaxPerCore: Invalid value: -1: must be greater than or equal to 0"),
    ({"conntrack": {"tcpCloseWaitTimeout": "-1s"}}, INVALID + 'KubeProxyLinuxConfiguration.KubeProxyConntrackConfiguration.TCPCloseWaitTimeout: Invalid value: "-1s"'),
    ({"oomScoreAdj": 1001}, INVALID + "KubeProxyLinuxConfiguration.OOMScoreAdj: Invalid value: 1001: must be within the range [-1000, 1000]"),
    ({"clientConnection": {"burst": -1}}, INVALID + "ClientConnection.Burst: Invalid value: -1"),
    ({"bindAddress": "here"}, INVALID + 'BindAddress: Invalid value: "here": not a valid textual representation of an IP address'),
    ({"nodePortAddresses": ["10.0.0.0/8", "10.0.0.1"]}, INVALID + 'NodePortAddresses[1]: Invalid value: "10.0.0.1": must be a valid CIDR'),
    ({"nodePortAddresses": ["10.0.0.0/8", "primary"]}, INVALID + """NodePortAddresses[1]: Invalid value: "primary": can't use both 'primary' and CIDRs"""),
    ({"mode": "ipvs", "ipvs": {"udpTimeout": "-1s"}}, INVALID + 'KubeProxyIPVSConfiguration.UDPTimeout: Invalid value: "-1s": must be'),
    ({"mode": "ipvs", "ipvs": {"excludeCIDRs": ["x"]}}, INVALID + 'KubeProxyIPVSConfiguration.ExcludeCidrs[0]: Invalid value: "x": must be a valid CIDR'),
    ({"ipvs": {"udpTimeout": "-1s"}}, None),
    ({"clusterCIDR": "10.0.0.0/33"}, INVALID + 'DetectLocalConfiguration.ClusterCIDRs[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR block'),
    ({"clusterCIDR": "10.0.0.0/8,11.0.0.0/8"}, INVALID + 'DetectLocalConfiguration.ClusterCIDRs: Invalid value: ["10.0.0.0/8","11.0.0.0/8"]: ' + PAIR),
    ({"clusterCIDR": "10.0.0.0/8,fd00::/8,fd01::/16"}, INVALID + "DetectLocalConfiguration.ClusterCIDRs: Invalid value: "),
    ({"detectLocalMode": "Bridge"}, INVALID + 'DetectLocalMode: Unsupported value: "Bridge": supported values: "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", ""'),
    ({"detectLocalMode": "BridgeInterface"}, INVALID + 'DetectLocalConfiguration.InterfaceName: Invalid value: "": must not be empty'),
    ({"detectLocalMode": "InterfaceNamePrefix"}, INVALID + 'DetectLocalConfiguration.InterfacePrefix: Invalid value: "": must not be empty'),
    # what a rule would read as more than a name
    ({"detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": 'x" drop'}}, "detectLocal.bridgeInterface: 'x\" drop' is no name of an interface"),
    ({"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": "veth+"}}, "detectLocal.interfaceNamePrefix: 'veth+' is no name"),
    ({"mode": "userspace", "detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": "cni0"}}, "BridgeInterface: in userspace mode pods are told by their ranges only"),
]


def read(**change: object) -> tuple[Settings, list[str]]:
    document = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", **change}
    return from_document(document, Settings())


@pytest.mark.parametrize(("change", "told"), BAD)
def test_what_makes_no_sense_is_named_with_its_field(change: dict, told: str | None) -> None:
    if told is None:
        read(**change)
        return
    with pytest.raises(BadConfiguration) as e:
        read(**change)
    assert told in str(e.value)


def test_several_mistakes_are_told_together() -> None:
    with pytest.raises(BadConfiguration) as e:
        read(oomScoreAdj=2000, bindAddress="x")
    assert str(e.value).startswith("failed validate: [KubeProxyConfiguration.KubeProxyLinux") and str(e.value).count("Invalid value") == 2


def test_what_is_no_field_is_named_and_left_out() -> None:
    found, told = read(clusterCidr="10.0.0.0/8", nftables={"bit": 3, "masqueradeBit": 5}, ipv4Only=True, udpIdleTimeout="250ms")
    assert (found.cluster_cidrs, found.masquerade_bit) == ((), 5)
    assert told == [
        'using lenient decoding, as strict decoding failed: unknown field "clusterCidr", unknown field "nftables.bit", '
        'unknown field "ipv4Only", unknown field "udpIdleTimeout"']


def test_each_field_that_has_no_use_here_is_named_with_the_reason() -> None:
    _, told = read(
        conntrack={"maxPerCore": 32768, "min": 0, "tcpEstablishedTimeout": "24h0m0s", "udpTimeout": "0s", "tcpBeLiberal": True},
        winkernel={"sourceVip": "10.0.0.1"}, logging={"verbosity": 4, "format": "json"}, featureGates={"A": True}, enableProfiling=True,
        oomScoreAdj=-999, portRange="1-2", clientConnection={"qps": 5, "burst": 10}, configSyncPeriod="15m", bindAddress="0.0.0.0",
        detectLocal={"bridgeInterface": "cni0"}, ipvs={"tcpTimeout": "1m", "strictARP": True}, iptables={"syncPeriod": "1s"},
        detectLocalMode="NodeCIDR", clusterCIDR="10.0.0.0/8")
    assert [line.partition(" is not used: ")[0] for line in told] == [
        "conntrack.maxPerCore", "conntrack.tcpEstablishedTimeout", "conntrack.tcpBeLiberal", "winkernel.sourceVip", "logging.verbosity",
        "logging.format", "featureGates", "enableProfiling", "oomScoreAdj", "portRange", "clientConnection.qps", "clientConnection.burst",
        "configSyncPeriod", "detectLocal.bridgeInterface", "clusterCIDR"]
    assert "clusterCIDR is not used: detectLocalMode is NodeCIDR" in told


def test_ipvs_has_the_masquerade_fields_of_iptables() -> None:
    found, told = read(mode="ipvs", iptables={"masqueradeBit": 9, "masqueradeAll": True, "syncPeriod": "1s"},
                       ipvs={"syncPeriod": "7s", "excludeCIDRs": ["10.0.0.0/8"], "strictARP": True, "scheduler": "lc"})
    assert (found.masquerade_bit, found.masquerade_all, found.sync_period, found.scheduler) == (9, True, 7.0, "lc") and not told
    assert (found.exclude_cidrs, found.strict_arp, found.ipvs_timeouts) == (("10.0.0.0/8",), True, (0, 0, 0))
    assert read(mode="ipvs", ipvs={"tcpTimeout": "15m", "udpTimeout": "1m30s"})[0].ipvs_timeouts == (900, 0, 90)
    args = options().parse_args(["--proxy-mode", "ipvs", "--ipvs-tcpfin-timeout", "2m", "--ipvs-exclude-cidrs", "10.0.0.0/8", "--ipvs-strict-arp"])
    assert (settings(args).ipvs_timeouts, settings(args).exclude_cidrs, settings(args).strict_arp) == ((0, 120, 0), ("10.0.0.0/8",), True)


@pytest.mark.parametrize(("change", "ranges", "link"), [
    ({}, ("10.244.0.0/16",), ""), ({"detectLocalMode": "NodeCIDR"}, ("10.244.7.0/24",), ""),
    ({"detectLocalMode": "BridgeInterface", "detectLocal": {"bridgeInterface": "cni0"}}, (), "cni0"),
    ({"detectLocalMode": "InterfaceNamePrefix", "detectLocal": {"interfaceNamePrefix": "veth"}}, (), "veth*")])
def test_pods_are_told_by_a_range_or_by_an_interface(change: dict, ranges: tuple, link: str) -> None:
    found, _ = read(clusterCIDR="10.244.0.0/16", **change)
    place = found.place("", ("172.30.0.2",), ("10.244.7.0/24",), tuple)
    assert (place.cluster_cidrs, place.pod_link) == (ranges, link)


def test_pods_are_told_by_flags_too(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--detect-local-mode", "InterfaceNamePrefix", "--pod-interface-name-prefix", "cali"]
    assert settings(options().parse_args(args)).place("", (), (), tuple).pod_link == "cali*"
    for mode, flag in zip(DETECT[2:], ("--pod-bridge-interface", "--pod-interface-name-prefix"), strict=True):
        assert main(["--detect-local-mode", mode]) == 1
        assert capsys.readouterr().err == f"seaway kube-proxy: {flag}: '' is no name of an interface\n"
    with pytest.raises(SystemExit):
        options().parse_args(["--min-sync-period", "-1s"])


def test_a_bind_address_stands_for_the_nodes_own_of_its_family() -> None:
    found, told = read(bindAddress="192.0.2.7")
    assert not told and found.place("", ("172.30.0.2", "fd00::2"), (), tuple).addresses == ("192.0.2.7", "fd00::2")
    assert read(bindAddress="::")[0].place("", ("172.30.0.2",), (), tuple).addresses == ("172.30.0.2",)
    args = options().parse_args(["--bind-address", "fd00::9"])
    assert settings(args).place("", ("172.30.0.2", "fd00::2"), (), tuple).addresses == ("fd00::9", "172.30.0.2")


def test_a_file_counts_instead_of_flags_but_for_the_nodes_name(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nclusterCIDR: 10.1.0.0/16\n")
    args = options().parse_args(["--config", str(path), "--cluster-cidr", "10.2.0.0/16", "--hostname-override", "n1"])
    assert (settings(args).cluster_cidrs, settings(args).node) == (("10.1.0.0/16",), "n1")


def test_a_command_line_that_makes_no_sense_ends_with_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--cluster-cidr", "10.0.0.0/40"]) == 1
    assert capsys.readouterr().err == "seaway kube-proxy: --cluster-cidr: '10.0.0.0/40' is no range such as 10.244.0.0/16\n"
    assert main(["--config", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err
    assert main(["trace", "--kubeconfig", str(tmp_path / "none"), "--from", "node", "--to", "10.96.0.1:443"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), ("0", 0), ("2us", 2e-6), ("-1m30s", -90)])
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1s2", "--1s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadConfiguration):
        duration(text)


def test_flags_of_kube_proxy_are_taken_or_named_as_idle(caplog: pytest.LogCaptureFixture) -> None:
    args = ["--v=4", "--profiling", "--conntrack-min", "0", "--iptables-sync-period", "7s", "--ipvs-min-sync-period", "2s", "--metrics-port", "0",
            "--proxy-mode", "iptables", "--iptables-masquerade-bit", "9"]
    found = settings(options().parse_args(args))
    assert (found.sync_period, found.min_sync_period, found.metrics[1], found.masquerade_bit) == (7.0, 0.0, 0, 9)
    assert [r.getMessage().partition(" is not used: ")[0] for r in caplog.records] == ["--profiling", "--conntrack-min", "--v"]
    caplog.clear()
    assert settings(options().parse_args(["--proxy-mode", "ipvs", "--ipvs-min-sync-period", "2s"])).min_sync_period == 2.0 and not caplog.records


def test_a_nodes_name_is_read_as_kubelets_read_it() -> None:
    assert settings(options().parse_args(["--hostname-override", " Node-A "])).node == "node-a"
    assert main(["--hostname-override", " "]) == 1


def test_addresses_and_ranges() -> None:
    assert cidrs(" 10.0.0.1/8, fd00::/8 ", "f") == ("10.0.0.0/8", "fd00::/8")
    assert endpoint("[::]:1", ("", 2), "f") == ("::", 1) and endpoint("127.0.0.1", ("", 2), "f") == ("127.0.0.1", 2)
    assert endpoint(":9", ("", 2), "f") == ("", 9) and endpoint("", ("", 2), "f") == ("", 2)


@pytest.mark.parametrize(
    ("mode", "ranges", "want"),
    [("nftables", (), None), ("nftables", ("primary",), None), ("iptables", (), ("172.30.0.2", "127.0.0.1", "fd00::2")), ("nftables", ("0.0.0.0/0", "::/0"), ("172.30.0.2", "fd00::2")),
     ("iptables", ("127.0.0.0/8", "fd00::/8"), ("127.0.0.1", "fd00::2")), ("iptables", ("primary",), None)])
def test_node_ports_are_served_where_they_are_asked_for(mode: str, ranges: tuple, want: tuple | None) -> None:
    there = ("172.30.0.2", "127.0.0.1", "fd00::2", "::1")
    assert Settings(mode=mode, node_port_addresses=ranges).served_addresses(("172.30.0.2",), lambda: there) == want
