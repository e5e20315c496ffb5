"""Cron schedules: which texts are read how, and what comes next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from seaway.cluster.cron import CronError, parse


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def show(moment: float | None) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S") if moment is not None else "never"


NEXT = [
    ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
    ("* * * * *", "2026-01-01T00:01:00", "2026-01-01T00:02:00"),
    ("*/15 * * * *", "2026-01-01T00:01:00", "2026-01-01T00:15:00"),
    ("5/20 * * * *", "2026-01-01T00:26:00", "2026-01-01T00:45:00"),
    ("30 6-16/4 * * *", "2026-01-01T11:00:00", "2026-01-01T14:30:00"),
    ("0 0 1 1 *", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
    ("0 0 * * 0", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),  # a Thursday before
    ("0 0 * * SUN", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
    ("0 12 * * mon-fri", "2026-01-02T13:00:00", "2026-01-05T12:00:00"),
    ("0 0 13 * 5", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),  # the 13th or a Friday
    ("0 0 */2 * 5", "2026-01-02T00:00:00", "2026-01-03T00:00:00"),
    ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ("0 0 1 feb,NOV *", "2026-02-01T00:00:00", "2026-11-01T00:00:00"),
    ("59 23 31 12 ?", "2026-01-01T00:00:00", "2026-12-31T23:59:00"),
    ("0 0 31 2 *", "2026-01-01T00:00:00", "never"),
    ("@hourly", "2026-01-01T00:30:00", "2026-01-01T01:00:00"),
    ("@daily", "2026-01-01T00:30:00", "2026-01-02T00:00:00"),
    ("@midnight", "2026-01-01T00:30:00", "2026-01-02T00:00:00"),
    ("@weekly", "2026-01-01T00:30:00", "2026-01-04T00:00:00"),
    ("@monthly", "2026-01-01T00:30:00", "2026-02-01T00:00:00"),
    ("@yearly", "2026-01-01T00:30:00", "2027-01-01T00:00:00"),
    ("@annually", "2026-01-01T00:30:00", "2027-01-01T00:00:00"),
    ("@every 90s", "2026-01-01T00:00:00", "2026-01-01T00:01:30"),
    ("@every 1h30m", "2026-01-01T00:00:00", "2026-01-01T01:30:00"),
    ("@every 1ms", "2026-01-01T00:00:00", "2026-01-01T00:00:01"),
]


@pytest.mark.parametrize(("text", "after", "want"), NEXT)
def test_what_comes_next(text: str, after: str, want: str) -> None:
    assert show(parse(text).after(at(after))) == want


ZONES = [
    ("Europe/Berlin", "0 9 * * *", "2026-01-01T00:00:00", "2026-01-01T08:00:00"),
    ("Europe/Berlin", "0 9 * * *", "2026-07-01T00:00:00", "2026-07-01T07:00:00"),
    ("America/New_York", "30 2 * * *", "2026-03-08T00:00:00", "2026-03-09T06:30:00"),  # 02:30 is not there that night
    ("Asia/Kolkata", "0 0 * * *", "2026-01-01T00:00:00", "2026-01-01T18:30:00"),
]


@pytest.mark.parametrize(("zone", "text", "after", "want"), ZONES)
def test_zones_and_their_summer_time(zone: str, text: str, after: str, want: str) -> None:
    assert show(parse(text, zone).after(at(after))) == want
    assert show(parse(f"TZ={zone} {text}").after(at(after))) == want


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("* * * foo *", 'failed to parse int from foo: strconv.Atoi: parsing "foo": invalid syntax'),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
        ("TZ=Nowhere/Town 0 0 * * *", "provided bad location Nowhere/Town: unknown time zone Nowhere/Town"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str) -> None:
    with pytest.raises(CronError) as error:
        parse(text)
    assert str(error.value) == why


def test_a_duration_of_more_than_64_bits_is_none() -> None:
    with pytest.raises(CronError, match=r"^failed to parse duration @every 9{400}h: time: invalid duration "):
        parse("@every " + "9" * 400 + "h")
