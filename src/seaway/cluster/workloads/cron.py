"""Cron schedules as Kubernetes reads them (github.com/robfig/cron/v3 ParseStandard): five fields, macros, names, steps,
time zones; pure. Times are seconds since the epoch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

MONTHS = {n: i + 1 for i, n in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())}
DAYS = {n: i for i, n in enumerate("sun mon tue wed thu fri sat".split())}
FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


class CronError(ValueError):
    """A schedule that cannot be read; the text says why, in the library's words."""


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
    if name in ("UTC", ""):
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise CronError(f"provided bad location {name}: unknown time zone {name}") from None


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    value = int(text)
    if value < 0:
        raise CronError(f"negative number ({value}) not allowed: {text}")
    return value


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[set[int], bool]:
    """(the values of one part of a field, whether it is a star)."""
    parts = text.split("/")
    bounds = parts[0].split("-")
    star = False
    if bounds[0] in ("*", "?"):
        first, last, star = low, high, True
    else:
        first = _number(bounds[0], names)
        last = first
        if len(bounds) == 2:
            last = _number(bounds[1], names)
        elif len(bounds) > 2:
            raise CronError(f"too many hyphens: {text}")
    step = 1
    if len(parts) == 2:
        step = _number(parts[1], {})
        if len(bounds) == 1 and not star:
            last = high
        star = star and step <= 1
    elif len(parts) > 2:
        raise CronError(f"too many slashes: {text}")
    if first < low:
        raise CronError(f"beginning of range ({first}) below minimum ({low}): {text}")
    if last > high:
        raise CronError(f"end of range ({last}) above maximum ({high}): {text}")
    if first > last:
        raise CronError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return set(range(first, last + 1, step)), star


def _duration(text: str) -> int:
    """Go's duration, in whole seconds, no less than one."""
    total, at = 0.0, 0
    for part in DURATION.finditer(text):
        if part.start() != at:
            break
        total += float(part[1]) * UNITS[part[2]]
        at = part.end()
    if not text or at != len(text):
        raise CronError(f'failed to parse duration @every {text}: time: invalid duration "{text}"')
    return max(int(total), 1)


def parse(text: str, zone: str = "") -> Schedule:
    """A schedule; `TZ=` or `CRON_TZ=` before it wins over `zone`."""
    if not text:
        raise CronError("empty spec string")
    place = zone_of(zone)
    if text.startswith(("TZ=", "CRON_TZ=")):
        name, _, text = text.partition(" ")
        place, text = zone_of(name.partition("=")[2]), text.strip()
    if text.startswith("@every "):
        return Schedule((), False, False, place, _duration(text.removeprefix("@every ")))
    if text.startswith("@"):
        if text not in MACROS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = MACROS[text]
    words = text.split()
    if len(words) != 5:
        raise CronError(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
    found, stars = [], []
    for word, (low, high, names) in zip(words, FIELDS, strict=True):
        values: set[int] = set()
        any_star = False
        for part in filter(None, word.split(",")):
            more, star = _range(part, low, high, names)
            values |= more
            any_star = any_star or star
        found.append(frozenset(values))
        stars.append(any_star)
    return Schedule(tuple(found), stars[2], stars[4], place)
