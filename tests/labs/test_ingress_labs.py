"""The ingress labs: what they make, how their programs behave, and what becomes of the figures."""

from __future__ import annotations

import asyncio
import json
import sys
import xml.etree.ElementTree as xml

import pytest

from seaway.cli import lab
from seaway.labs import ingresscost, ingresshop, keptload, oneatatime

TEXT = "{http://www.w3.org/2000/svg}text"


def test_a_worker_takes_one_request_at_a_time() -> None:
    worker = oneatatime.Worker(0.5)
    assert [worker.done(now) for now in (10.0, 10.1, 12.0)] == [10.5, 11.0, 12.5]


def test_the_client_counts_answers_by_pod_and_keeps_its_connections() -> None:
    async def play() -> tuple[dict[str, object], int]:
        opened = 0

        def made() -> oneatatime.Connection:
            nonlocal opened
            opened += 1
            return oneatatime.Connection(oneatatime.Worker(0.001))

        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        program = f"import runpy, asyncio; m = runpy.run_path({keptload.__file__!r}); o = asyncio.open_connection; " \
                  f"asyncio.open_connection = lambda h, p: o(h, {port}); asyncio.run(m['main']('127.0.0.1', 'web', 200.0, 1))"
        process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        assert process.stdin and process.stdout and await process.stdout.readline() == b"ready\n"
        await asyncio.sleep(0.3)
        process.stdin.close()
        found = json.loads(await process.stdout.readline())
        await process.wait()
        server.close()
        return found, opened

    found, opened = asyncio.run(asyncio.wait_for(play(), 20))
    (count,) = found["pods"].values()  # type: ignore[attr-defined]
    assert found["failed"] == {} and count == found["sent"] and count >= 10 and opened < count


def test_the_second_service_has_the_first_ones_address_as_its_only_endpoint() -> None:
    service, endpoints, *routes = ingresshop.by_its_address("10.96.0.77")
    assert "selector" not in service["spec"] and endpoints["endpoints"] == [{"addresses": ["10.96.0.77"], "conditions": {"ready": True}}]
    assert endpoints["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
    assert {r["spec"]["hostnames"][0]: r["spec"]["rules"][0]["backendRefs"][0]["name"] for r in routes} == {
        "pods.example.com": "web", "service.example.com": "web-by-its-address"}


def test_the_hop_lab_tells_how_requests_lie_on_pods_and_what_an_end_costs() -> None:
    counted = {
        "straight to pods": [ingresshop.Counted(900.0, (10.0,) * 99 + (12.0,), (30,) * 10, 0, 2, 0.1)],
        "through the ClusterIP": [ingresshop.Counted(700.0, (20.0,) * 99 + (900.0,), (150, 100, 50), 3, 1, 2.2)],
    }
    found = ingresshop.result(counted)
    assert found.rows == (
        ("straight to pods", "900/s", "10.0 ms", "12.0 ms", "10 of 10", "10%", "0.1 s", "0", "2"),
        ("through the ClusterIP", "700/s", "20.0 ms", "900.0 ms", "3 of 10", "50%", "2.2 s", "3", "1"),
    )
    texts = {e.text for e in xml.fromstring(found.picture).iter(TEXT)}
    assert {"50%", "900 ms", "straight to pods", "through the ClusterIP"} <= texts


def test_runs_without_an_answer_are_told_and_break_nothing() -> None:
    found = ingresshop.result({way: [ingresshop.Counted(0.0, (), (), 5, 5, 0.0)] for way in ingresshop.WAYS})
    assert found.rows[0][1:6] == ("0/s", "0.0 ms", "0.0 ms", "0 of 10", "0%")


def test_addresses_are_read_from_services_ingresses_and_gateways() -> None:
    trees = [
        {"status": {"loadBalancer": {"ingress": [{"ip": "172.30.255.1"}, {"ip": "fd00::1"}]}}},
        {"status": {"addresses": [{"type": "IPAddress", "value": "172.30.255.2"}]}},
        {"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}},
        {},
    ]
    assert ingresscost.addresses(trees) == [{"172.30.255.1"}, {"172.30.255.2"}, set(), set()]


@pytest.mark.parametrize(("way", "kinds"), [
    ("a LoadBalancer Service each", ["Service"]), ("a Gateway each", ["Service", "Gateway", "HTTPRoute"]),
    ("one Gateway", ["Service", "Gateway", "HTTPRoute"]), ("one Ingress class", ["Service", "Ingress"])])
def test_each_way_makes_a_service_reachable(way: str, kinds: list[str]) -> None:
    first, second = ingresscost.objects(way, 1), ingresscost.objects(way, 2)
    assert [t["kind"] for t in first] == kinds
    gateways = {t["metadata"]["name"] for t in (*first, *second) if t["kind"] == "Gateway"}
    assert len(gateways) == {"a Gateway each": 2, "one Gateway": 1}.get(way, 0)
    assert (first[0]["spec"].get("type") == "LoadBalancer") is (kinds == ["Service"])


def test_a_price_makes_a_bill() -> None:
    counted = {
        "a LoadBalancer Service each": {2: ingresscost.Counted(2, 0, 0), 4: ingresscost.Counted(4, 0, 0)},
        "one Ingress class": {2: ingresscost.Counted(1, 1, 30_000_000), 4: ingresscost.Counted(1, 1, 31_000_000)},
    }
    found = ingresscost.result(counted, 18.25)
    assert found.rows[2] == ("4 Services, a LoadBalancer Service each", "4", "0", "0 MB", "73.00")
    assert found.rows[3] == ("4 Services, one Ingress class", "1", "1", "31 MB", "18.25")
    assert found.notes[-1] == "At 18.25 an address, 4 Services cost 73.00 with an address each and 18.25 behind one entry point: 54.75 less."
    without = ingresscost.result(counted, 0.0)
    assert len(without.columns) == 4 and "--price-per-address" in without.notes[-1]


@pytest.mark.parametrize(("words", "said"), [
    (["ingress-cost", "--price-per-address", "much"], "is not a price"), (["ingress-cost", "--price-per-address", "-1"], "is not a price"),
    (["ingress-cost", "--price-per-address", "nan"], "is not a price"), (["ndots", "--price-per-address", "5"], "ndots has no bill")])
def test_a_price_that_is_none_or_has_no_use_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lab.main(words)
    assert said in capsys.readouterr().err
