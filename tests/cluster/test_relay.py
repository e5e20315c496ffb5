"""The router's name server: what it forwards, what it believes, whom it asks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from seaway.cluster.relay import packets, upstreams

HERE = Path(__file__).resolve().parent
NAME = b"\x01a\x07Example\x00"
QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + NAME + b"\x00\x01\x00\x01"
ANSWER = b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + NAME + b"\x00\x01\x00\x01" + b"rest"
LONGEST = b"".join(b"\x3f" + b"x" * 63 for _ in range(3)) + b"\x3d" + b"x" * 61 + b"\0"  # 255 bytes


@pytest.mark.parametrize(
    ("packet", "want"),
    [
        (QUERY, True),
        (QUERY + b"\0\0\x29\x04\xd0\0\0\0\0\0\0", True),  # EDNS0
        (QUERY[:12] + LONGEST + QUERY[-4:], True),
        (QUERY[:12] + b"\x01x" + LONGEST + QUERY[-4:], False),
        (ANSWER, False),
        (QUERY[:11], False),
        (b"", False),
        (QUERY[:-1], False),
        (QUERY[:4] + b"\0\0" + QUERY[6:], False),
        (QUERY[:4] + b"\0\2" + QUERY[6:], False),
        (QUERY[:2] + b"\x29" + QUERY[3:], False),  # UPDATE
        (QUERY[:12] + b"\xc0\x0c" + QUERY[-4:], False),
        (QUERY[:12] + b"\x3f" + QUERY[13:], False),
    ],
)
def test_a_query_is_forwarded_and_nothing_else(packet: bytes, want: bool) -> None:
    assert packets.is_query(packet) is want


@pytest.mark.parametrize(
    ("packet", "want"),
    [
        (ANSWER, True),
        (ANSWER.lower(), True),
        (b"\x12\x35" + ANSWER[2:], False),
        (ANSWER.replace(b"\x01a", b"\x01b"), False),
        (ANSWER[:12] + NAME + b"\x00\x1c\x00\x01", False),
        (QUERY, False),
        (ANSWER[:2] + b"\xa9" + ANSWER[3:], False),
        (b"\x12\x34\x81\x81" + b"\0" * 8, True),  # FORMERR without a question
        (b"\x12\x34\x81\x80" + b"\0" * 8, False),
        (ANSWER[:11], False),
    ],
)
def test_an_answer_has_the_id_and_the_question(packet: bytes, want: bool) -> None:
    assert packets.is_answer(QUERY, packet) is want


def test_a_failure_echoes_the_question_and_nothing_more() -> None:
    assert packets.failure(QUERY + b"more") == b"\x12\x34\x81\x82\0\1\0\0\0\0\0\0" + QUERY[12:]


def test_no_packet_is_too_odd() -> None:
    source = random.Random(5)
    for _ in range(20_000):
        packet = bytearray(source.choice((QUERY, ANSWER)))
        for _ in range(source.randrange(6)):
            packet[source.randrange(len(packet))] = source.randrange(256)
        cut = bytes(packet[: source.randrange(len(packet) + 1)])
        if packets.is_query(cut):
            assert packets.question_end(cut) <= len(cut) and packets.is_query(packets.failure(cut)) is False
        packets.is_answer(QUERY, cut)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("nameserver 192.0.2.1\n nameserver\t192.0.2.2 # two\n#nameserver 192.0.2.3\nsearch a", ["192.0.2.1", "192.0.2.2"]),
        ("nameserver 2001:db8::1", ["2001:db8::1"]),
        ("nameserver ns.example\nnameserver 192.0.2.1", ["192.0.2.1"]),
        ("search a", ["127.0.0.1"]),
        ("", ["127.0.0.1"]),
        ("".join(f"nameserver 192.0.2.{i}\n" for i in range(20)), [f"192.0.2.{i}" for i in range(8)]),
    ],
)
def test_the_machines_servers_are_read_from_its_file(text: str, want: list[str]) -> None:
    found = upstreams.addresses(text)
    assert [address[0] for _, address in found] == want and {address[1] for _, address in found} == {53}


def test_a_server_that_failed_stands_behind_the_others_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\nnameserver 192.0.2.2\n")
    made = upstreams.Upstreams(str(path))
    first, second = made.order(100.0)
    made.failed(first, 100.0)
    assert made.order(101.0) == [second, first] and made.order(111.0) == [first, second]
    made.failed(first, 111.0)
    made.answered(first)
    assert made.order(111.5) == [first, second]
    path.write_text("nameserver 192.0.2.3\n")
    assert made.order(111.9) == [first, second], "looked at once a second"
    assert [a[0] for _, a in made.order(112.5)] == ["192.0.2.3"]
    path.unlink()
    assert [a[0] for _, a in made.order(114.0)] == ["127.0.0.1"]


@pytest.mark.kernel
@pytest.mark.parametrize(
    "scenario",
    ["passes_questions_on", "takes_no_forged_answer", "goes_on_to_the_next_server", "fails_in_time_and_in_bounds", "joins_streams"],
)
def test_the_relay(scenario: str) -> None:
    command = [sys.executable, str(HERE / "relay_scenarios.py"), scenario]
    flags = ["--net"] if os.geteuid() == 0 else ["--net", "--user", "--map-root-user"]
    done = subprocess.run(["unshare", *flags, *command], capture_output=True, text=True, timeout=60)
    assert done.stdout == "well\n", done.stderr


def test_the_relay_needs_little_memory() -> None:
    """It waits beside every cluster: no module that is large and not needed."""
    script = (
        f"import sys; sys.path.insert(0, {str(HERE.parents[1] / 'src')!r})\n"
        "from seaway.cluster import hostside\nfrom seaway.cluster.fetcher import Fetcher\nfrom seaway.cluster.relay import inside, serve\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "seaway.cluster.relay.serve" in loaded
    assert not loaded & {"typing", "json", "re", "ctypes", "dataclasses", "traceback", "subprocess", "asyncio", "inspect", "struct"}
