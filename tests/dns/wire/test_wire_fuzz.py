"""Twenty thousand packets that nobody should send, and broken framing by TCP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wirefuzz import PACKETS, judge, packets
from wirenet import sibling


@pytest.mark.kernel
def test_no_packet_harms_the_server_or_makes_it_harm_others() -> None:
    found = json.loads("".join(sibling(str(Path(__file__).parent / "wirefuzz.py"), [str(PACKETS)])))
    assert not found["bad"], found


def test_the_judge_knows_what_is_wrong() -> None:
    query = next(p for p in packets(1000, 1) if len(p) > 20 and not p[2] & 0x80)
    head = query[:2]
    assert judge(head + b"\x81\x80" + bytes(8), b"x" * 20) == "an answer was answered"
    assert judge(head + b"\1\0" + bytes(8), head + b"\1\0" + bytes(8)) == "the reply is not an answer"
    assert "limit" in judge(head + b"\1\0" + bytes(8), head + b"\x81\0" + bytes(2000))
