"""`make bench PART=policies`: its policies are ones that the API server takes, its client asks in turn, its ratios are of a round."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
import yaml

from seaway.cluster.apiserver import structural

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import policies  # noqa: E402
import policyroutes  # noqa: E402
from policies import Cost  # noqa: E402
from policyroutes import PLAIN, Measured  # noqa: E402

MEASURED = policyroutes.measured()


@pytest.mark.parametrize("one", MEASURED, ids=lambda one: one.name)
def test_a_measured_policy_is_one_that_the_api_server_takes(one: Measured) -> None:
    trees = policyroutes.route(one)
    assert trees[0]["spec"]["hostnames"] == [policyroutes.host(one)] and len(trees) == (2 if one.kind else 1)
    for policy in trees[1:]:
        file = ROOT / "src/seaway/deploy/gatewayapi" / f"{one.kind.lower().removesuffix('y')}ies.yaml"
        version = yaml.safe_load(file.read_text())["spec"]["versions"][0]
        schema = structural.compiled(version["schema"]["openAPIV3Schema"])
        assert not schema.prune(policy) and not schema.validate(policy)


def test_the_plain_route_is_measured_beside_each_policy() -> None:
    assert MEASURED[0] == Measured(PLAIN)
    assert len({policyroutes.slug(one.name) for one in MEASURED}) == len(MEASURED)
    assert all(one.fields and one.kind for one in MEASURED[1:])


def test_the_client_asks_one_request_after_the_other() -> None:
    seen: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            for status in (b"200 OK", b"200 OK", b"429 Too Many"):
                seen.append(client.recv(4096))
                client.sendall(b"HTTP/1.1 " + status + b"\r\ncontent-length: 2\r\n\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        asked = {"host": "a", "headers": [["x-key", "k"]], "count": 9}
        words = [sys.executable, str(ROOT / "bench" / "policyprobe.py"), "127.0.0.1", str(listener.getsockname()[1])]
        done = subprocess.run(words, input=json.dumps(asked) + "\n", capture_output=True, text=True, timeout=20)
        serving.join(5)
    told = json.loads(done.stdout)
    assert told["status"] == 429 and len(told["took"]) == 3, done.stderr
    assert all(b"\r\nx-key: k\r\n" in asking for asking in seen)


def test_a_policy_stands_against_the_plain_route_of_its_own_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = [Cost(1000.0, 100.0, 1.0, 2.0, 0), Cost(500.0, 200.0, 2.0, 4.0, 0), Cost(1000.0, 100.0, 1.0, 2.0, 0)]
    slow = [Cost(500.0, 150.0, 1.5, 3.0, 0), Cost(250.0, 300.0, 3.0, 6.0, 1), Cost(500.0, 150.0, 1.5, 3.0, 0)]
    policies.tell({PLAIN: beside, "JWT": slow}, beside, 1, tmp_path / "p.svg")
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if line.startswith("JWT"))
    assert line.split() == ["JWT", "500", "0.50", "150", "1.50", "1.50", "1.50", "3.00", "1"]
    assert "1.50   JWT" in said and xml.fromstring((tmp_path / "p.svg").read_text()).tag.endswith("svg")
