"""The formats of strings that CRD schemas check (kube-openapi pkg/validation/strfmt); pure.

A format is known by its name without dashes: `date-time` and `datetime` are one. What is not known is not checked.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

from seaway.cluster.apiserver.rules import addresses
from seaway.cluster.apiserver.structural.godurations import is_go_duration
from seaway.cluster.apiserver.structural.gomail import is_address
from seaway.cluster.apiserver.structural.gourls import is_request_uri

UUID = r"(?i:[0-9a-f]{8}-?[0-9a-f]{4}-?%s-?%s-?[0-9a-f]{12})"
ANY, LATER = "[0-9a-f]{4}", "[89ab][0-9a-f]{3}"
BYTE = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})")
CREDIT_CARD = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})"
)
SPACES_AND_DASHES = re.compile(r"[\t\n\f\r -]+")
COLOR = r"[\t\n\f\r ]*(?:0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\f\r ]*"
MAC = re.compile(
    r"(?:[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?:(?:\1[0-9A-Fa-f]{2}){2}|(?:\1[0-9A-Fa-f]{2}){14})?"
    r"|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}(?:\.[0-9A-Fa-f]{4}|(?:\.[0-9A-Fa-f]{4}){7})?"
    r"|[0-9A-Fa-f]{12}(?:[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{24})?)?)"
)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")
NAME = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
# Scala's durations: a number and a unit, of which the last spelling may go on (minutes, mins).
SPAN = re.compile(r"([0-9]+)[\t\n\f\r ]*([A-Za-zµ]+)")
UNITS = (
    ("ns", "nano"),
    ("us", "µs", "micro"),
    ("ms", "milli"),
    ("s", "sec"),
    ("m", "min"),
    ("h", "hr", "hour"),
    ("d", "day"),
    ("w", "wk", "week"),
)

Check = Callable[[str], bool]


def _matching(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def is_date(text: str) -> bool:
    if not DATE.fullmatch(text):
        return False
    if text.startswith("0000"):  # a leap year to Go, nothing to Python
        text = "2000" + text[4:]
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_date_time(text: str) -> bool:
    """A date, a T and a time of day; what follows a second T is not looked at."""
    parts = text.lower().split("t")
    if len(text.encode()) < 4 or len(parts) < 2 or not is_date(parts[0]):
        return False
    clock = CLOCK.fullmatch(parts[1])
    return clock is not None and clock[1] <= "23" and clock[2] <= "59" and clock[3] <= "59"


def is_duration(text: str) -> bool:
    """A duration as Go writes it, or anywhere in the text one as Scala does (`22 ns`, `1 week`)."""
    if is_go_duration(text):
        return True
    known = False
    for number, unit in SPAN.findall(text):
        if int(number) >= 2**63:
            return False
        unit = unit.lower()
        known = known or any(unit in names or unit.startswith(names[-1]) for names in UNITS)
    return known


def is_ipv4(text: str) -> bool:
    return "." in text and addresses.sloppy(text) is not None


def is_ipv6(text: str) -> bool:
    return ":" in text and "%" not in text and addresses.sloppy(text) is not None


def is_cidr(text: str) -> bool:
    return addresses.sloppy_network(text) is not None


def is_isbn10(text: str) -> bool:
    digits = SPACES_AND_DASHES.sub("", text)
    if not re.fullmatch(r"[0-9]{9}X|[0-9]{10}", digits):
        return False
    values = [10 if d == "X" else int(d) for d in digits]
    return sum((i + 1) * d for i, d in enumerate(values)) % 11 == 0


def is_isbn13(text: str) -> bool:
    digits = SPACES_AND_DASHES.sub("", text)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits[:12]))
    return int(digits[12]) == -total % 10


def is_credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not CREDIT_CARD.fullmatch(digits):
        return False
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def is_ssn(text: str) -> bool:
    return len(text.encode()) == 11 and re.fullmatch(r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}", text) is not None


def _is_symbol(character: str) -> bool:
    """A letter or a symbol of any script, or a digit of ours."""
    import unicodedata

    return unicodedata.category(character)[0] in "LS" or "0" <= character <= "9"


def is_hostname(text: str) -> bool:
    """The pattern and the lengths of strfmt.IsHostname; its alternation binds loosely, so one label, or dots and a top."""
    if len(text.encode()) > 255 or any(len(part.encode()) > 63 for part in text.split(".")):
        return False
    labels = text.split(".")
    if len(labels) == 1:
        return _is_single_label(text) or _is_top(text)
    return all(map(_is_inner_label, labels[:-1])) and _is_top(labels[-1])


def _is_single_label(label: str) -> bool:
    rest = label[1:].removeprefix("-")
    return bool(label) and _is_symbol(label[0]) and all(map(_is_symbol, rest)) and len(rest) <= 62


def _is_inner_label(label: str) -> bool:
    if not label or not _is_symbol(label[0]) or not _is_symbol(label[-1]):
        return False
    return len(label) <= 63 and all(c == "-" or _is_symbol(c) for c in label)


def _is_top(label: str) -> bool:
    return 2 <= len(label) <= 63 and label.isalpha()


def _is_short_name(text: str) -> bool:
    return len(text.encode()) <= 63 and re.fullmatch(NAME, text) is not None


def _is_long_name(text: str) -> bool:
    return len(text.encode()) <= 253 and re.fullmatch(rf"{NAME}(?:\.{NAME})*", text) is not None


def _is_bson_object_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{24}", text) is not None


CHECKS: dict[str, Check] = {
    "bsonobjectid": _is_bson_object_id,
    "uri": is_request_uri,
    "email": is_address,
    "hostname": is_hostname,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "cidr": is_cidr,
    "mac": lambda text: MAC.fullmatch(text) is not None,
    "uuid": _matching(UUID % (ANY, ANY)),
    "uuid3": _matching(UUID % ("3[0-9a-f]{3}", ANY)),
    "uuid4": _matching(UUID % ("4[0-9a-f]{3}", LATER)),
    "uuid5": _matching(UUID % ("5[0-9a-f]{3}", LATER)),
    "isbn": lambda text: is_isbn10(text) or is_isbn13(text),
    "isbn10": is_isbn10,
    "isbn13": is_isbn13,
    "creditcard": is_credit_card,
    "ssn": is_ssn,
    "hexcolor": _matching(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matching(rf"rgb\({COLOR},{COLOR},{COLOR}\)"),
    "byte": lambda text: BYTE.fullmatch(text) is not None,
    "password": lambda text: True,
    "date": is_date,
    "duration": is_duration,
    "datetime": is_date_time,
    "k8sshortname": _is_short_name,
    "k8slongname": _is_long_name,
}
FORMATS = {"integer": ("int32", "int64"), "number": ("float", "double")}


def check(name: str) -> Check | None:
    """What checks a string against a format, None where nothing does."""
    return CHECKS.get(name.replace("-", ""))


def is_supported(types: tuple[str, ...], name: str) -> bool:
    """Whether a schema of these types may have the format; others are dropped, with a warning on the CRD."""
    type_ = types[0] if len(types) == 1 else ""
    if type_ in ("", "string"):
        return name.replace("-", "") in CHECKS
    return name in FORMATS.get(type_, ())
