"""Schedules of CronJobs: what is wrong with one, in the words of the parser that Kubernetes uses (robfig/cron, standard form)."""

from __future__ import annotations

import re
import zoneinfo
from typing import NamedTuple

DAYS = {name: i for i, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
MONTHS = {
    name: i
    for i, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
DURATION = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)\Z")
MOST_INT = (1 << 63) - 1


class ScheduleError(ValueError):
    """A schedule that cannot be read; the text is the parser's."""


class Bounds(NamedTuple):
    low: int
    high: int
    names: dict[str, int]


FIELDS = (Bounds(0, 59, {}), Bounds(0, 23, {}), Bounds(1, 31, {}), Bounds(1, 12, MONTHS), Bounds(0, 6, DAYS))


def known_zone(name: str) -> bool:
    """Whether a time zone of that name is in the zone files."""
    if name in ("", "UTC"):
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _integer(text: str) -> int:
    if not re.fullmatch("[-+]?[0-9]+", text):
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text[:30])
    if not -MOST_INT - 1 <= number <= MOST_INT:
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number


def _number(text: str, bounds: Bounds) -> int:
    return bounds.names[text.lower()] if text.lower() in bounds.names else _integer(text)


def _range(text: str, bounds: Bounds) -> None:
    parts = text.split("/")
    ends = parts[0].split("-")
    if ends[0] in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = end = _number(ends[0], bounds)
        if len(ends) == 2:
            end = _number(ends[1], bounds)
        elif len(ends) > 2:
            raise ScheduleError(f"too many hyphens: {text}")
    step = 1
    if len(parts) == 2:
        step = _integer(parts[1])
        end = bounds.high if len(ends) == 1 else end
    elif len(parts) > 2:
        raise ScheduleError(f"too many slashes: {text}")
    if start < bounds.low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")


def _descriptor(text: str) -> None:
    if text in DESCRIPTORS:
        return
    if not text.startswith("@every "):
        raise ScheduleError(f"unrecognized descriptor: {text}")
    duration = text.removeprefix("@every ")
    if not DURATION.match(duration):
        unit = re.match(r"[-+]?(?:\d+\.?\d*|\.\d+)(\D*)", duration)
        why = f'time: invalid duration "{duration}"'
        if unit and unit[1]:
            why = f'time: unknown unit "{unit[1]}" in duration "{duration}"'
        elif unit:
            why = f'time: missing unit in duration "{duration}"'
        raise ScheduleError(f"failed to parse duration {text}: {why}")


def check(schedule: str) -> None:
    """Raises ScheduleError where the schedule cannot be read."""
    text = schedule
    if not text:
        raise ScheduleError("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, space, rest = text.partition(" ")
        if not space:
            raise ScheduleError("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        zone = head.partition("=")[2]
        if not known_zone(zone) and zone != "Local":
            raise ScheduleError(f"provided bad location {zone}: unknown time zone {zone}")
        text = rest.strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ScheduleError(f"expected exactly {len(FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    for field, bounds in zip(fields, FIELDS, strict=True):
        for part in filter(None, field.split(",")):
            _range(part, bounds)
    return None


def problem(schedule: str) -> str:
    """What is wrong with a schedule, empty where nothing is."""
    try:
        check(schedule)
    except ScheduleError as e:
        return str(e)
    return ""
