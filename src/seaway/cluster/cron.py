"""Cron schedules as Kubernetes reads them (github.com/robfig/cron/v3 ParseStandard): five fields, descriptors, names, steps,
time zones, and what is wrong with one in that parser's words; pure. Times are seconds since the epoch."""

from __future__ import annotations

import math
import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

MONTHS = {n: i + 1 for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())}
DAYS = {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())}
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
DURATION = re.compile(rf"[-+]?(?:0|(?:{PART.pattern})+)\Z")
MOST_INT = (1 << 63) - 1


class CronError(ValueError):
    """A schedule that cannot be read; the text says why, in the parser's words."""


class Bounds(NamedTuple):
    """What one field may hold."""

    low: int
    high: int
    names: dict[str, int]


FIELDS = (Bounds(0, 59, {}), Bounds(0, 23, {}), Bounds(1, 31, {}), Bounds(1, 12, MONTHS), Bounds(0, 6, DAYS))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Minutes, hours, days of the month, months and days of the week that fit; `every`: a fixed distance instead."""

    fields: tuple[frozenset[int], ...]
    any_day: bool
    any_weekday: bool
    zone: tzinfo
    every: int = 0

    def _fits_day(self, local: datetime) -> bool:
        """A restricted day of the month and a restricted day of the week are alternatives (crontab(5))."""
        day = local.day in self.fields[2]
        weekday = local.isoweekday() % 7 in self.fields[4]
        return (day and weekday) if self.any_day or self.any_weekday else (day or weekday)

    def after(self, moment: float) -> float | None:
        """The first time after `moment` that fits; None where none does within five years."""
        if self.every:
            return math.floor(moment) + self.every
        at = float(math.floor(moment) // 60 * 60 + 60)
        last = datetime.fromtimestamp(at, self.zone).year + 5
        while True:
            local = datetime.fromtimestamp(at, self.zone)
            if local.year > last:
                return None
            if local.month not in self.fields[3]:
                year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
                at = max(datetime(year, month, 1, tzinfo=self.zone).timestamp(), at + 60)
            elif not self._fits_day(local):
                noon = datetime(local.year, local.month, local.day, 12, tzinfo=self.zone).timestamp() + 86400
                day = datetime.fromtimestamp(noon, self.zone)
                at = max(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp(), at + 60)
            elif local.hour not in self.fields[1]:
                at += 3600 - local.minute * 60
            elif local.minute not in self.fields[0]:
                at += 60
            else:
                return at


def zone_of(name: str) -> tzinfo:
    """A time zone of the zone files; `Local` is the cluster's, UTC."""
    if name in ("UTC", "Local", ""):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise CronError(f"provided bad location {name}: unknown time zone {name}") from None


def known_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    try:
        zone_of(name)
    except CronError:
        return False
    return True


def _integer(text: str) -> int:
    if not re.fullmatch("[-+]?[0-9]+", text):
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text[:30])
    if not -MOST_INT - 1 <= number <= MOST_INT:
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if number < 0:
        raise CronError(f"negative number ({number}) not allowed: {text}")
    return number


def _number(text: str, bounds: Bounds) -> int:
    return bounds.names[text.lower()] if text.lower() in bounds.names else _integer(text)


def _range(text: str, bounds: Bounds) -> tuple[set[int], bool]:
    """(the values of one part of a field, whether it is a star)."""
    parts = text.split("/")
    ends = parts[0].split("-")
    star = ends[0] in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high
    else:
        start = end = _number(ends[0], bounds)
        if len(ends) == 2:
            end = _number(ends[1], bounds)
        elif len(ends) > 2:
            raise CronError(f"too many hyphens: {text}")
    step = 1
    if len(parts) == 2:
        step = _integer(parts[1])
        end = bounds.high if len(ends) == 1 else end
    elif len(parts) > 2:
        raise CronError(f"too many slashes: {text}")
    if start < bounds.low:
        raise CronError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise CronError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise CronError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return set(range(start, end + 1, step)), star and step <= 1


def _field(text: str, bounds: Bounds) -> tuple[frozenset[int], bool]:
    """(what a field allows, whether it allows everything by a star)."""
    parts = [_range(part, bounds) for part in text.split(",") if part]
    return frozenset().union(*(values for values, _ in parts)), any(star for _, star in parts)


def _every(text: str) -> int:
    """The distance of `@every DURATION` in whole seconds, no less than one."""
    duration = text.removeprefix("@every ")
    if not DURATION.match(duration):
        unit = re.match(r"[-+]?(?:\d+\.?\d*|\.\d+)(\D*)", duration)
        why = f'time: invalid duration "{duration}"'
        if unit and unit[1]:
            why = f'time: unknown unit "{unit[1]}" in duration "{duration}"'
        elif unit:
            why = f'time: missing unit in duration "{duration}"'
        raise CronError(f"failed to parse duration {text}: {why}")
    total = sum(float(number) * UNITS[unit] for number, unit in PART.findall(duration))
    if total * 1e9 >= 1 << 63:  # a time.Duration is 64 bits of nanoseconds
        raise CronError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    return max(int(-total if duration.startswith("-") else total), 1)


def parse(text: str, zone: str = "") -> Schedule:
    """A schedule; `TZ=` or `CRON_TZ=` before it wins over `zone`."""
    if not text:
        raise CronError("empty spec string")
    place = zone_of(zone)
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, space, rest = text.partition(" ")
        if not space:
            raise CronError("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        place, text = zone_of(head.partition("=")[2]), rest.strip()
    if text.startswith("@every "):
        return Schedule((), False, False, place, _every(text))
    if text.startswith("@"):
        if text not in DESCRIPTORS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = DESCRIPTORS[text]
    words = text.split()
    if len(words) != len(FIELDS):
        raise CronError(f"expected exactly {len(FIELDS)} fields, found {len(words)}: [{' '.join(words)}]")
    found = [_field(word, bounds) for word, bounds in zip(words, FIELDS, strict=True)]
    return Schedule(tuple(values for values, _ in found), found[2][1], found[4][1], place)


def problem(schedule: str) -> str:
    """What is wrong with a schedule, empty where nothing is."""
    try:
        parse(schedule)
    except CronError as e:
        return str(e)
    return ""
