"""The ndots lab: its name server, its client with the machine's own resolver, and what becomes of the figures."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from seaway.labs import lookups, nameserver, ndots
from seaway.labs.ndots import WAYS, Counted, Way

SEARCH = "default.svc.cluster.local svc.cluster.local cluster.local corp.example"
# In namespaces of its own: a name server on the loopback, and a resolv.conf that names it.
PLAY = """
set -e
ip link set lo up
mount --bind "$1/resolv.conf" /etc/resolv.conf
"$2" -I "$3" 127.0.0.1 shop.example 0.001 > "$1/asked" &
until grep -q ready "$1/asked"; do sleep 0.05; done
"$2" -I "$4" 6 www "$5"
"""


def question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes((len(x),)) + x.encode() for x in name.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


@pytest.mark.parametrize(
    ("name", "kind", "code", "answers", "authority"),
    [
        ("www.shop.example", nameserver.A, 0, 1, 0),
        ("WWW.shop.EXAMPLE", nameserver.AAAA, 0, 1, 0),
        ("www.shop.example", 16, 0, 0, 1),
        ("www.shop.example.corp.example", nameserver.A, 3, 0, 1),
        ("workshop.example", nameserver.A, 3, 0, 1),
    ],
)
def test_the_world_outside_knows_its_domain_and_nothing_else(name: str, kind: int, code: int, answers: int, authority: int) -> None:
    packet = question(name, kind)
    reply = nameserver.answer(packet, "shop.example")
    assert struct.unpack_from("!6H", reply) == (7, 0x8580 | code, 1, answers, authority, 0)
    assert reply[12 : len(packet)] == packet[12:], "the question as it was asked"
    if answers:
        assert reply.endswith(nameserver.DATA[kind])


@pytest.mark.kernel
@pytest.mark.parametrize(("options", "suffix", "each"), [("ndots:5", ".shop.example", 10), ("ndots:1", ".shop.example", 2), ("ndots:5", ".shop.example.", 2)])
def test_the_resolver_asks_five_times_for_both_families_unless_it_is_told_better(tmp_path: Path, options: str, suffix: str, each: int) -> None:
    (tmp_path / "resolv.conf").write_text(f"nameserver 127.0.0.1\nsearch {SEARCH}\noptions {options}\n")
    flags = ["--net", "--mount", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        flags = ["--user", "--map-root-user", *flags]
    words = [str(tmp_path), sys.executable, nameserver.__file__, lookups.__file__, suffix]
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    done = subprocess.run(["unshare", *flags, "sh", "-c", PLAY, "sh", *words], capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # Each question has an answer, which is a packet of this namespace too.
    assert told["failed"] == [] and told["queries"] == 2 * each * 6 and len(told["milliseconds"]) == 6
    asked = (tmp_path / "asked").read_text().splitlines()[1:]
    assert len(asked) == each * 6 and {f"www{n}.shop.example 1" for n in range(6)} <= set(asked)


def test_a_pod_says_only_what_is_not_kubernetes_own() -> None:
    default, one = ndots.pod(WAYS[0]), ndots.pod(Way("ndots:1", 1))
    assert "dnsConfig" not in default["spec"]
    assert one["spec"]["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}
    assert len({ndots.client(way) for way in WAYS}) == len(WAYS)


def test_nodes_ask_the_name_server_outside_and_have_a_domain_of_their_own() -> None:
    config, address = ndots.configuration()
    dns = config.networking.dns
    assert (dns.upstreams, dns.searches) == ((address,), (ndots.SEARCH,)) and address == "172.30.0.254"


def test_the_lab_says_how_many_queries_and_how_much_time_each_way_saves() -> None:
    counted = {
        "ndots:5": [Counted(2, 20, 8, (30.0, 50.0), ()), Counted(2, 20, 8, (40.0, 40.0), ())],
        "ndots:1": [Counted(4, 8, 8, (10.0,) * 4, ())],
        "autopath": [Counted(4, 8, 12, (20.0,) * 4, ("www.shop.example: none",))],
    }
    found = ndots.result(counted)
    assert found.rows[0] == ("ndots:5", "4", "10.0", "4.0", "40.0 ms", "50.0 ms", "0")
    assert found.rows[2] == ("autopath", "4", "2.0", "3.0", "20.0 ms", "20.0 ms", "1")
    told = "\n".join(found.notes)
    assert "ndots:1: 5.0 times fewer queries of the pod than ndots:5, 4.0 times quicker." in told
    assert found.numbers["queries/autopath"] == 2.0 and found.numbers["failed/autopath"] == 1.0
    texts = [e.text for e in xml.fromstring(found.picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"10", "2", "40 ms", "10 ms"} <= set(texts)
