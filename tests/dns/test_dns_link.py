"""What the processes say to each other arrives as it was said."""

from __future__ import annotations

import msgspec
import pytest

from seaway.dns import link
from seaway.dns.serving.workers import OWNERS, _parts
from seaway.dns.zone.store import Changes

MESSAGES = [
    link.Hello(0xFFFFFFFF),
    link.Ask(b"\x03web\x03red\0", 28),
    link.Stats(3, b"\x90", False),
    link.Looped("2001:db8::53", 53),
    link.Names(7, [b"\x03web\x03red"], [b"\x0a\x60\0\1"], 1700000000, True, False),
    link.Told(b"\xff\0", 1, True, 0x0400, (2, 0, 0), bytes(range(256)), (0, 16, 2), (b"@\x0a\0\0\1", b"/red"), b"\x03www\0"),
    link.Told(b"\0", 65535, known=False),
    link.Change([b"\x03web\x03red"], [b""], [b"\x02db\x03red"], [b"!"], 2),
    link.Count(9),
]
FROM_WORKER = (link.Hello, link.Ask, link.Stats, link.Looped)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_arrives_as_it_was_said(message: link.FromWorker | link.FromControl) -> None:
    data = link.encode(message)
    if isinstance(message, FROM_WORKER):
        assert link.from_worker(data) == message
    if not isinstance(message, (link.Hello, link.Ask, link.Stats)):
        assert link.from_control(data) == message


def test_each_side_takes_only_what_the_other_says() -> None:
    for message in MESSAGES:
        data = link.encode(message)
        if not isinstance(message, FROM_WORKER):
            with pytest.raises(msgspec.ValidationError):
                link.from_worker(data)
        if isinstance(message, (link.Hello, link.Ask, link.Stats)):
            with pytest.raises(msgspec.ValidationError):
                link.from_control(data)


def test_no_message_is_more_than_a_socket_takes_however_long_the_names() -> None:
    longest = b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63
    names = link.Names(1, [longest] * link.NAMES, [bytes(20)] * link.NAMES, 1, True, True)
    change = link.Change([longest] * OWNERS, [bytes(20)] * OWNERS, [longest] * OWNERS, [longest] * OWNERS, 1)
    assert max(len(link.encode(message)) for message in (names, change)) < link.LARGEST


def test_a_large_change_is_told_in_parts_that_hold_all_of_it() -> None:
    changes = Changes()
    changes.come = {b"c%d" % i for i in range(2 * OWNERS + 1)}
    changes.gone = {b"g%d" % i for i in range(OWNERS)}
    changes.owners = {b"o%d" % i for i in range(3 * OWNERS + 5)}
    parts = list(_parts(changes))
    assert len(parts) == 4
    for number, whole in enumerate((changes.come, changes.gone, changes.owners)):
        told = [one for part in parts for one in part[number]]
        assert len(told) == len(whole)
        assert set(told) == whole
