"""The proxy's process between a fake API and a fake kernel: when it writes, what it repeats, what it leaves alone."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from test_iptables import replay

from seaway.api.kinds import Kind
from seaway.client.errors import NotFound
from seaway.client.events import Recorder
from seaway.client.fake import FakeApi
from seaway.client.rest import kind_of
from seaway.metrics import exposition
from seaway.proxy import events, flows, health, run
from seaway.proxy import process as proxy_run
from seaway.proxy.configuration import Settings
from seaway.proxy.conntrack import NoConntrack
from seaway.proxy.iptables.plane import IptablesPlane
from seaway.proxy.kernel import FakeKernel, KernelError
from seaway.proxy.nftables.plane import NftablesPlane
from seaway.proxy.process import Proxy

SLICES = kind_of("endpointslices.discovery.k8s.io")


def node(zone: str = "z1", address: str = "172.30.0.2") -> dict:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here", "labels": {"topology.kubernetes.io/zone": zone}},
            "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": "here"}]}}


def service(number: int = 1, **labels: str) -> dict:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": f"s{number}", "labels": labels},
            "spec": {"clusterIP": f"10.96.0.{number}", "clusterIPs": [f"10.96.0.{number}", f"fd00:96::{number}"],
                     "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}


def piece(number: int = 1, *addresses: str, name: str = "", **notes: str) -> dict:
    meta = {"namespace": "shop", "name": name or f"s{number}-a", "labels": {"kubernetes.io/service-name": f"s{number}"},
            "annotations": notes}
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
            "endpoints": [{"addresses": [a]} for a in addresses], "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}


class Gated(FakeApi):
    """Lists of `held` resources wait until `open` is set."""

    def __init__(self, held: str = "") -> None:
        super().__init__()
        self.held, self.open = held, asyncio.Event()

    async def list(self, kind: Kind, namespace: str = "", query: Any = None) -> dict:
        if kind.resource == self.held:
            await self.open.wait()
        return await super().list(kind, namespace, query)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def pause() -> None:
    """Longer than the proxy coalesces: what it wanted to write by now, it has written."""
    await asyncio.sleep(proxy_run.COALESCE * 8)


def world(test: Callable[[Gated, FakeKernel, Proxy], Awaitable[None]], held: str = "", families: tuple = (4,)) -> None:
    async def go() -> None:
        api, kernel = Gated(held), FakeKernel()
        settings = Settings("here", "nftables", families, ("10.244.0.0/16",), ("10.96.0.0/16",))
        proxy = Proxy(api, NftablesPlane(kernel), NoConntrack(), settings)
        for tree in (node(), service(1), piece(1, "10.244.0.1"), service(2), piece(2, "10.244.0.2")):
            api.put(tree)
        task = asyncio.ensure_future(proxy.run())
        try:
            await test(api, kernel, proxy)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())


@pytest.mark.parametrize("held", ["services", "endpointslices", "nodes"])
def test_nothing_is_programmed_before_everything_is_listed(held: str) -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        others = [i for i in (proxy.services, proxy.slices, proxy.nodes) if i.kind.resource != held]
        await until(lambda: all(i.synced.is_set() for i in others))
        await pause()
        assert kernel.texts == [] and not proxy.healthy(0)
        api.open.set()
        await until(lambda: kernel.texts)
        await pause()
        (text,) = kernel.texts
        assert text.startswith("add table ip seaway\ndelete table ip seaway\n")
        assert "10.96.0.1 . tcp . 80 : 10.244.0.1 . 8080" in text and "10.96.0.2 . tcp . 80 : 10.244.0.2 . 8080" in text

    world(test, held)


def test_a_health_check_node_port_that_cannot_be_opened_is_an_event_of_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = socket.socket()
    taken.bind(("0.0.0.0", 0))
    taken.listen()
    port = taken.getsockname()[1]
    monkeypatch.setattr(health, "RETRY", 0.01)

    async def go() -> None:
        api = Gated()
        tree = service(1)
        tree["spec"].update(type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=port)
        for each in (node(), tree, piece(1, "10.244.0.1")):
            api.put(each)
        recorder = Recorder(api, "kube-proxy", "host")
        settings = Settings("here", "nftables", (4,), ("10.244.0.0/16",), ("10.96.0.0/16",))
        proxy = Proxy(api, NftablesPlane(FakeKernel()), NoConntrack(), settings, recorder=recorder)
        tasks = [asyncio.ensure_future(proxy.run()), asyncio.ensure_future(recorder.run())]
        events = kind_of("events.events.k8s.io")
        await until(lambda: api.of(events))
        await asyncio.sleep(0.05)  # it is tried again, and told once
        (found,) = api.of(events)
        uid = api.of(kind_of("services"))[0]["metadata"]["uid"]
        assert (found["regarding"]["kind"], found["regarding"]["uid"], found["type"]) == ("Service", uid, "Warning")
        title = f"{tree['metadata']['namespace']}/{tree['metadata']['name']}"
        assert (found["reason"], found["action"]) == ("FailedToStartServiceHealthcheck", "Listen") and "series" not in found
        assert found["note"].startswith(f'node here failed to start healthcheck "{title}" on port {port}: ')
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with taken:
        asyncio.run(go())


def test_a_port_of_the_proxys_own_that_is_taken_is_tried_again_or_ends_it() -> None:
    tried = 0

    async def serve() -> None:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise OSError(98, "Address already in use")

    failed = partial(events.healthz_failed, "here")
    asyncio.run(run.listen(serve, failed, "healthz server failed", False, 0.001))
    assert tried == 3
    tried = 0
    with pytest.raises(run.PortRefused) as e:
        asyncio.run(run.listen(serve, failed, "healthz server failed", True, 0.001))
    assert tried == 1 and str(e.value) == "healthz server failed: Address already in use"
    assert e.value.event[1:4] == ("Warning", "FailedToStartProxierHealthcheck", "StartKubeProxy")
    assert events.metrics_failed("here", "x")[2] == "FailedToStartMetricServer"


def test_a_proxy_ends_once_its_configuration_file_says_something_else(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a")

    async def go() -> None:
        task = asyncio.ensure_future(run.changed(str(path), b"a", 0.001))
        await asyncio.sleep(0.02)
        path.unlink()  # a volume between two states
        await asyncio.sleep(0.02)
        assert not task.done()
        path.write_text("b")
        with pytest.raises(run.Ending, match="configuration file was updated"):
            await asyncio.wait_for(task, 10)

    asyncio.run(go())


def test_service_ranges_that_nobody_has_named_are_those_of_the_service_cidrs(caplog: pytest.LogCaptureFixture) -> None:
    async def go(api: Gated, play: Callable[[FakeKernel, FakeApi], Awaitable[None]]) -> None:
        kernel = FakeKernel()
        proxy = Proxy(api, NftablesPlane(kernel), NoConntrack(), Settings("here", "nftables", (4,)))
        for tree in (node(), service(1), piece(1, "10.244.0.1"), ranges("default", "10.96.0.0/16", "fd00:96::/112")):
            api.put(tree)
        task = asyncio.ensure_future(proxy.run())
        await play(kernel, api)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def ranges(name: str, *cidrs: str) -> dict:
        return {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}}

    async def there(kernel: FakeKernel, api: FakeApi) -> None:
        await until(lambda: any("service-cidrs { 10.96.0.0/16 }" in t for t in kernel.texts))
        api.put(ranges("more", "10.97.0.0/16"))
        await until(lambda: any("10.97.0.0/16" in t for t in kernel.texts))
        del kernel.texts[:]
        api.remove(kind_of("servicecidrs.networking.k8s.io"), "", "more")
        await until(lambda: kernel.texts)
        assert all("10.97.0.0/16" not in t for t in kernel.texts)

    class Without(Gated):
        async def list(self, kind: Kind, namespace: str = "", query: Any = None) -> dict:
            if kind.resource == "servicecidrs":
                raise NotFound(404, {"reason": "NotFound", "message": "the server could not find the requested resource"}, "LIST")
            return await super().list(kind, namespace, query)

    async def missing(kernel: FakeKernel, api: FakeApi) -> None:
        await until(lambda: kernel.texts)
        await pause()
        assert "10.96.0.1 . tcp . 80" in kernel.texts[0] and "service-cidrs {" not in kernel.texts[0].partition("add element")[2]

    asyncio.run(go(Gated(), there))
    asyncio.run(go(Without(), missing))
    assert caplog.text.count("unless --service-cidr names their range") == 1


def test_nothing_is_programmed_before_the_node_is_there() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        api.remove(kind_of("nodes"), "", "here")
        api.open.set()
        await until(lambda: proxy.nodes.synced.is_set())
        await pause()
        assert kernel.texts == []
        api.put(node())
        await until(lambda: kernel.texts)
        assert "10.244.0.1 . 8080" in kernel.texts[0]

    world(test, "nodes")


def test_one_change_is_one_transaction_with_its_elements_only() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        api.put(piece(1, "10.244.0.9"))
        await until(lambda: kernel.texts)
        await pause()
        (text,) = kernel.texts
        assert text.splitlines() == [
            "delete element ip seaway hairpin { 10.244.0.1 . 10.244.0.1 }",
            "delete element ip seaway slot-0 { 10.96.0.1 . tcp . 80 }",
            "add element ip seaway hairpin { 10.244.0.9 . 10.244.0.9 }",
            "add element ip seaway slot-0 { 10.96.0.1 . tcp . 80 : 10.244.0.9 . 8080 }"]

    world(test)


def test_a_burst_of_changes_is_one_transaction() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        for number in range(3, 60):
            api.put(service(number))
            api.put(piece(number, f"10.244.1.{number}"))
        await until(lambda: "10.244.1.59" in "".join(kernel.texts))
        assert len(kernel.texts) == 1

    world(test)


def test_a_family_that_does_not_change_is_not_written() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: len(kernel.texts) == 2)
        del kernel.texts[:]
        api.put(piece(1, "10.244.0.9"))
        await until(lambda: kernel.texts)
        await pause()
        assert len(kernel.texts) == 1 and " ip seaway " in kernel.texts[0] and "ip6" not in kernel.texts[0]

    world(test, families=(4, 6))


def test_changes_that_change_no_packet_are_no_transaction() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        api.put(piece(1, "10.244.0.1", note="another annotation"))
        api.put(service(2, own="label"))
        api.put(node())
        before = proxy.last_sync
        await until(lambda: proxy.last_sync > before and not proxy.waiting)
        await pause()
        assert kernel.texts == []

    world(test)


def test_a_deleted_service_leaves_the_kernel_though_its_slices_stay() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        api.remove(kind_of("services"), "shop", "s1")
        await until(lambda: kernel.texts)
        (text,) = kernel.texts
        assert "delete element ip seaway service-ips { 10.96.0.1 . tcp . 80 }" in text and "add " not in text
        api.put(service(1))
        await until(lambda: len(kernel.texts) == 2)
        assert "10.244.0.1 . 8080" in kernel.texts[1]

    world(test)


def test_an_opt_out_label_takes_a_service_out() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        api.put(service(1, **{"service.kubernetes.io/service-proxy-name": "other"}))
        await until(lambda: kernel.texts)
        assert "delete element ip seaway cluster-ips { 10.96.0.1 }" in kernel.texts[0]

    world(test)


def test_a_slice_that_moves_to_another_service_changes_both() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        api.put({**piece(2, "10.244.0.1", name="s1-a")})
        await until(lambda: kernel.texts)
        assert "add element ip seaway no-endpoints { 10.96.0.1 . tcp . 80" in kernel.texts[0]
        assert "slot-1 { 10.96.0.2 . tcp . 80 : 10.244.0.2 . 8080 }" in kernel.texts[0]

    world(test)


def test_a_node_that_changes_its_zone_is_planned_anew() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        tree = piece(1, "10.244.0.1", "10.244.0.2")
        for entry, zone in zip(tree["endpoints"], ("z1", "z2"), strict=True):
            entry["hints"] = {"forZones": [{"name": zone}]}
        api.put(tree)
        await pause()
        del kernel.texts[:]
        api.put(node("z2"))
        await until(lambda: kernel.texts)
        assert "add element ip seaway slot-0 { 10.96.0.1 . tcp . 80 : 10.244.0.2 . 8080 }" in kernel.texts[0]

    world(test)


def test_a_refused_transaction_is_repeated_as_a_full_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_run, "RETRY", 0.01)

    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        kernel.fail = "no such table"
        api.put(piece(1, "10.244.0.9"))
        await until(lambda: kernel.texts)
        assert proxy.failures == 0 and not kernel.fail
        assert kernel.texts[0].startswith("add table ip seaway\ndelete table ip seaway\n")
        assert "10.244.0.9 . 8080" in kernel.texts[0] and "10.244.0.2 . 8080" in kernel.texts[0]
        api.put(piece(1, "10.244.0.8"))
        await until(lambda: len(kernel.texts) == 2)
        assert "table" not in kernel.texts[1], "after the repair differences go on"

    world(test)


def test_a_kernel_that_goes_on_refusing_makes_the_proxy_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_run, "RETRY", 60.0)

    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        assert proxy.healthy(proxy.last_sync)
        kernel.fail = "no"
        api.put(piece(1, "10.244.0.9"))
        await until(lambda: proxy.failures)
        assert proxy.queued_at
        assert proxy.healthy(proxy.queued_at + 1) and not proxy.healthy(proxy.queued_at + 61)

    world(test)


def test_a_history_that_was_forgotten_is_caught_up_with() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        del kernel.texts[:]
        api.put(piece(1, "10.244.0.9"))
        api.forget()
        api.remove(SLICES, "shop", "s2-a")
        await until(lambda: "no-endpoints" in "".join(kernel.texts) and "10.244.0.9" in "".join(kernel.texts))

    world(test)


def test_flows_are_never_listed_twice_at_once() -> None:
    """A late look at what was on the way may fall together with the next change's: one netlink socket serves both."""
    inside, most = 0, 0

    class Slow(NoConntrack):
        def udp(self, family: int) -> list:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1
            return []

    async def go() -> None:
        settings = Settings("here", "nftables", (4,), ("10.244.0.0/16",), ("10.96.0.0/16",))
        proxy = Proxy(FakeApi(), NftablesPlane(FakeKernel()), Slow(), settings)
        touched = [(4, flows.Affected({}, {30001: frozenset()}))] * 3
        await asyncio.gather(*(proxy._clean_all(touched, flows.stale) for _ in range(3)))

    asyncio.run(go())
    assert most == 1


def test_syncs_changes_and_latency_are_measured_under_upstreams_names() -> None:
    async def test(api: Gated, kernel: FakeKernel, proxy: Proxy) -> None:
        await until(lambda: kernel.texts)
        await pause()
        when = "2026-11-25T10:00:00Z"
        api.put(piece(1, "10.244.0.9", **{"endpoints.kubernetes.io/last-change-trigger-time": when}))
        await until(lambda: len(kernel.texts) == 2)
        text = exposition.render(proxy.metrics.registry)
        for line in (
            'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
            'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
            'kubeproxy_sync_proxy_rules_endpoint_changes_pending{ip_family="IPv4"} 0',
            'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1',
            'kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy="external",ip_family="IPv4"} 0',
        ):
            assert line in text.splitlines(), line
        kernel.fail = "no"
        api.put(piece(1, "10.244.0.8"))
        await until(lambda: proxy.failures)
        assert 'kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 1' in exposition.render(proxy.metrics.registry)

    world(test)


class FakeIptables:
    """The tool in memory; refuses the next text where `fail` is set."""

    backend, bounded = "legacy", False

    def __init__(self) -> None:
        self.held: dict[str, dict[str, list[str]]] = {t: {c: [] for c in ("INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING")} for t in ("nat", "filter")}
        self.fail = False

    def save(self, family: int) -> dict[str, dict[str, list[str]]]:
        return self.held

    def restore(self, family: int, text: str) -> None:
        if self.fail:
            self.fail = False
            raise KernelError("no")
        replay(re.sub(r"^(-I \S+) 1 ", r"\1 ", text, flags=re.MULTILINE), self.held)  # at its beginning in any case


def test_rules_are_counted_in_iptables_mode() -> None:
    async def go() -> None:
        api, tool = Gated(), FakeIptables()
        settings = Settings("here", "iptables", (4,), ("10.244.0.0/16",), ("10.96.0.0/16",))
        proxy = Proxy(api, IptablesPlane(tool), NoConntrack(), settings)
        for tree in (node(), service(1), piece(1, "10.244.0.1"), service(2), piece(2, "10.244.0.2")):
            api.put(tree)
        task = asyncio.ensure_future(proxy.run())

        def said(name: str, labels: str) -> int:
            line = f"kubeproxy_sync_proxy_rules_{name}{{{labels}}} "
            (found,) = [row for row in exposition.render(proxy.metrics.registry).splitlines() if row.startswith(line)]
            return int(float(found.rpartition(" ")[2]))

        nat = 'table="nat",ip_family="IPv4"'
        await until(lambda: proxy.last_sync)
        ours = sum(len(rules) for chain, rules in tool.held["nat"].items() if chain.startswith("KUBE-"))
        assert said("iptables_total", nat) == said("iptables_last", nat) == ours > 10
        syncs = proxy.syncs
        api.put(piece(1, "10.244.0.1", "10.244.0.9"))
        await until(lambda: proxy.syncs > syncs)
        assert said("iptables_total", nat) == ours + 3 and 0 < said("iptables_last", nat) < 8
        tool.fail = True
        api.put(piece(1, "10.244.0.3"))
        await until(lambda: proxy.failures)
        assert said("iptables_restore_failures_total", 'ip_family="IPv4"') == said("iptables_partial_restore_failures_total", 'ip_family="IPv4"') == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
