"""Semantic versions (apiserver/pkg/cel/library/semverlib.go, on blang/semver)."""

from __future__ import annotations

from dataclasses import dataclass

from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import UINT_MAX, EvaluationError
from seaway.cluster.apiserver.status import quoted

DIGITS = frozenset("0123456789")
ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789")


@dataclass(frozen=True, slots=True)
class Version:
    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    unit_equality = True
    cel_type = "kubernetes.Semver"


def parse(text: str, normalize: bool = False) -> Version:
    if normalize:
        text = _normalized(text)
    if not text:
        raise EvaluationError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise EvaluationError("No Major.Minor.Patch elements found")
    numbers = [_number(part, name) for part, name in zip(parts[:2], ("major", "minor"), strict=True)]
    rest, plus, build = parts[2].partition("+")
    patch, dash, pre = rest.partition("-")
    numbers.append(_number(patch, "patch"))
    found = []
    for part in pre.split(".") if dash else ():
        if not part:
            raise EvaluationError("Prerelease is empty")
        if set(part) <= DIGITS:
            if len(part) > 1 and part[0] == "0":
                raise EvaluationError(f"Numeric PreRelease version must not contain leading zeroes {quoted(part)}")
        elif not set(part) <= ALPHANUMERIC:
            raise EvaluationError(f"Invalid character(s) found in prerelease {quoted(part)}")
        found.append(part)
    for part in build.split(".") if plus else ():
        if not part:
            raise EvaluationError("Build meta data is empty")
        if not set(part) <= ALPHANUMERIC:
            raise EvaluationError(f"Invalid character(s) found in build meta data {quoted(part)}")
    return Version(numbers[0], numbers[1], numbers[2], tuple(found))


def _number(text: str, name: str) -> int:
    if not text or not set(text) <= DIGITS:
        raise EvaluationError(f"Invalid character(s) found in {name} number {quoted(text)}")
    if len(text) > 1 and text[0] == "0":
        shown = f"{name.capitalize()} number"
        raise EvaluationError(f"{shown} must not contain leading zeroes {quoted(text)}")
    if len(text) > 20 or int(text) > UINT_MAX:
        raise EvaluationError(f"strconv.ParseUint: parsing {quoted(text)}: value out of range")
    return int(text)


def _normalized(text: str) -> str:
    """Without a leading v and leading zeros, with the numbers that are missing."""
    parts = text.removeprefix("v").split(".", 2)
    for i, part in enumerate(parts):
        if len(part) > 1:
            part = part.lstrip("0")
            parts[i] = part if part and part[0] in DIGITS else f"0{part}"
    if len(parts) < 3:
        if any(c in parts[-1] for c in "+-"):
            raise EvaluationError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def compare(a: Version, b: Version) -> int:
    left, right = (a.major, a.minor, a.patch), (b.major, b.minor, b.patch)
    if left != right:
        return 1 if left > right else -1
    if not a.pre or not b.pre:
        return bool(b.pre) - bool(a.pre)
    for x, y in zip(a.pre, b.pre, strict=False):
        if x == y:
            continue
        numeric = set(x) <= DIGITS, set(y) <= DIGITS
        if numeric == (True, True):  # without leading zeros, the longer number is the larger one
            return 1 if (len(x), x) > (len(y), y) else -1
        if numeric[0] != numeric[1]:
            return -1 if numeric[0] else 1
        return 1 if x > y else -1
    return (len(a.pre) > len(b.pre)) - (len(a.pre) < len(b.pre))


def _is_version(text: str, normalize: bool = False) -> bool:
    try:
        parse(text, normalize)
    except EvaluationError:
        return False
    return True


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "semver": (Overload((str,), parse), Overload((str, bool), parse)),
    "isSemver": (Overload((str,), _is_version), Overload((str, bool), _is_version)),
    "major": one(lambda v: v.major, Version),
    "minor": one(lambda v: v.minor, Version),
    "patch": one(lambda v: v.patch, Version),
    "isGreaterThan": one(lambda a, b: compare(a, b) > 0, Version, Version),
    "isLessThan": one(lambda a, b: compare(a, b) < 0, Version, Version),
    "compareTo": one(compare, Version, Version),
}
