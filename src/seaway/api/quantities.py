"""Resource quantities (k8s.io/apimachinery/pkg/api/resource): `100m`, `1.5Gi`, `2e3`."""

from __future__ import annotations

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


def parse(text: str | int | float) -> Fraction:
    """The exact value; ValueError where the text is no quantity."""
    form = _FORM.match(str(text))
    if not form:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    value = Fraction(form[1])
    if form[2]:
        value *= Fraction(10) ** int(form[2][1:])
    elif form[3]:
        value *= _UNIT[form[3]]
    return value
