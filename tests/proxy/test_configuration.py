"""Flags and files: what they become, and what is told of those that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from seaway.proxy.configuration import BadConfiguration, Settings, cidrs, duration, endpoint, from_document
from seaway.proxy.run import main, options, settings

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
    found, idle = from_document(document, Settings(node="here"))
    assert found == Settings(
        "here", "nftables", (4, 6), ("10.244.0.0/16", "fd00:10:244::/56"), (), "ClusterCIDR", True, 20, (), 1.0, 90.0,
        kubeconfig="/var/lib/kube-proxy/kubeconfig.conf")
    assert "conntrack: left to the node" in idle and "winkernel: not Windows" in idle


BAD = [
    ({"kind": "Other"}, "no KubeProxyConfiguration"),
    ({"mode": "ipvss"}, "mode: 'ipvss' is none of nftables, iptables, ipvs, ebpf, userspace"),
    ({"clusterCidr": "10.0.0.0/8"}, 'unknown field "clusterCidr"'),
    ({"nftables": {"bit": 3}}, 'unknown field "nftables.bit"'),
    ({"nftables": []}, None),
    ({"nftables": [1]}, "nftables: must be an object"),
    ({"nftables": {"masqueradeBit": 32}}, "masqueradeBit: 32 is not within 0 and 31"),
    ({"nftables": {"syncPeriod": "often"}}, "'often' is no duration"),
    ({"clusterCIDR": "10.0.0.0/33"}, "clusterCIDR: '10.0.0.0/33' is no range"),
    ({"nodePortAddresses": "primary"}, "nodePortAddresses: must be a list"),
    ({"healthzBindAddress": "here:10256"}, "healthzBindAddress: 'here' is no IP address"),
    ({"detectLocalMode": "BridgeInterface"}, "detectLocalMode: 'BridgeInterface' is not supported here"),
]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_what_makes_no_sense_is_named_with_its_field(change: dict, told: str | None) -> None:
    document = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", **change}
    if told is None:
        from_document(document, Settings())
        return
    with pytest.raises(BadConfiguration) as e:
        from_document(document, Settings())
    assert told in str(e.value)


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
    ("text", "seconds"), [("1s", 1), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), ("0", 0), ("2us", 2e-6)])
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1s2", "-1s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadConfiguration):
        duration(text)


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
