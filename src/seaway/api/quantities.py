"""Resource quantities (k8s.io/apimachinery/pkg/api/resource): `100m`, `1.5Gi`, `2e3`."""

from __future__ import annotations

import functools
import re
from fractions import Fraction

_FORM = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E))?\Z")
_UNIT: dict[str, Fraction] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    **{unit: Fraction(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


_SHAPE = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)\Z")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_DIGITS = 400  # more than any quantity needs: exact arithmetic on millions of them would take for ever
_FEW = 10**_DIGITS
_MOST = (1 << 63) - 1  # a quantity with a binary suffix holds no more


def parse(text: str | int | float) -> Fraction:
    """The exact value; ValueError where the text is no quantity."""
    return _known(text) if isinstance(text, str) and len(text) < 24 else _parse(text)


def _parse(text: str | int | float) -> Fraction:
    if isinstance(text, int) and abs(text) >= _FEW:
        raise ValueError("unable to parse numeric part of quantity")
    form = _FORM.match(str(text))
    if form and (len(form[1]) > _DIGITS or len(form[2] or "") > 5):
        raise ValueError("unable to parse numeric part of quantity")
    if not form:
        if _SHAPE.match(str(text)) and str(text).count(".") < 2:
            raise ValueError("unable to parse quantity's suffix")
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    value = Fraction(form[1])
    if form[2]:
        value *= Fraction(10) ** int(form[2][1:])
    elif form[3]:
        value *= _UNIT[form[3]]
    return value


_known = functools.lru_cache(4096)(_parse)  # a cluster's pods ask for the same few amounts


def canonical(text: str | int | float) -> str:
    """The form that the API server stores: no fraction, the largest suffix of the same kind (`1024Mi` is `1Gi`)."""
    text = str(text).strip()
    value = parse(text)
    form = _FORM.match(text)
    assert form is not None
    return render(value, form[3] or "", bool(form[2]))


def render(value: Fraction, suffix: str = "", exponent: bool = False) -> str:
    """A value in the family of a suffix: `Ki` for powers of 1024, anything else for powers of 1000."""
    if not value:
        return "0"
    sign, value = ("-", -value) if value < 0 else ("", value)
    if suffix.endswith("i") and value >= 1024:
        whole, power = min(-(-value.numerator // value.denominator), _MOST), 0
        while whole % 1024 == 0 and power < 6:
            whole, power = whole // 1024, power + 1
        return f"{sign}{whole}{_BINARY[power]}"
    nanos = -(-(value * 10**9).numerator // (value * 10**9).denominator)
    power = -9
    while nanos % 1000 == 0 and (power < 18 or exponent):
        nanos, power = nanos // 1000, power + 3
    if exponent:
        return f"{sign}{nanos}e{power}" if power else f"{sign}{nanos}"
    return f"{sign}{nanos}{_DECIMAL[power]}"


def rounded_up(text: str, places: int = 3) -> str:
    """The quantity rounded up to so many decimal places, in canonical form (`0.0001` cpu is `1m`)."""
    form = _FORM.match(text)
    value = parse(text) * 10**places
    if form is None or value.denominator == 1:
        return canonical(text)
    return render(Fraction(-(-value.numerator // value.denominator), 10**places), form[3] or "", bool(form[2]))
