"""`make bench PART=gateway`: its client tells the right answer from others, and what it writes is what it says."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import gatewaychanges  # noqa: E402
import gatewayproxies  # noqa: E402
import gatewayroutes  # noqa: E402
from gatewayproxies import Run  # noqa: E402

ANSWERS = [
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-version: 6\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX-Version: 7\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
]


def serve(listener: socket.socket) -> None:
    """One connection; each request gets the next answer."""
    client, _ = listener.accept()
    with client:
        for answer in ANSWERS:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += client.recv(4096)
            client.sendall(answer)


def test_the_client_outside_asks_until_the_answer_is_the_right_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        asked = [{"host": "a", "path": "/", "mark": ["x-version", "7"]}, {"host": "a", "path": "/", "status": 404}]
        words = [sys.executable, "-I", str(BENCH / "gatewayprobe.py"), "127.0.0.1", str(listener.getsockname()[1])]
        done = subprocess.run(words, input="".join(json.dumps(one) + "\n" for one in asked), capture_output=True, text=True, timeout=20)
        serving.join(5)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["asked"] == 3 and second["asked"] == 1 and first["at"] < second["at"], done.stderr


@pytest.mark.parametrize(("shape", "hosts", "paths"), [("hosts", 20, 1), ("one host", 1, 20)])
def test_routes_are_each_on_a_host_of_its_own_or_all_on_one(shape: str, hosts: int, paths: int) -> None:
    trees = [gatewayroutes.route(shape, n, "v") for n in range(20)]
    assert len({t["spec"]["hostnames"][0] for t in trees}) == hosts
    assert len({t["spec"]["rules"][0]["matches"][0]["path"]["value"] for t in trees}) == paths
    assert len({t["metadata"]["name"] for t in trees}) == 20


def test_figures_are_medians_and_the_99th_of_a_hundred() -> None:
    times = [n / 1000 for n in range(1, 101)]
    assert gatewaychanges.median(times) == pytest.approx(50.5) and gatewaychanges.high(times) == pytest.approx(100.0)
    assert [gatewayproxies._milliseconds(f"  99%  {text}", "99%") for text in ("812.00us", "3.50ms", "1.20s")] == [0.812, 3.5, 1200.0]


def test_proxies_stand_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    rates = {"ours": 10.0, "quiet": 12.0, "plain": 16.0, "nginx": 40.0, "haproxy": 30.0, "none": 90.0}
    assert set(rates) == set(gatewayproxies.PROXIES)
    gatewayproxies.tell({p: [Run(r * 1000, 1.0, 2.0, 0, 1000 / r if p != "none" else 0.0)] for p, r in rates.items()}, 3.0, 1)
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if line.startswith("the same without its access log"))
    assert line.split()[6:] == ["12,000", "12,000", "-", "12,000", "0.30", "0.40", "12,000", "1.00", "2.00", "0"]
    assert "of a plain Envoy, for a CPU second             0.75" in said and "of nginx, for a CPU second                   0.30" in said
