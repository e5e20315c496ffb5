"""Formats of strings in the API: what is wrong with a value, in the words of k8s.io/apimachinery/pkg/util/validation; pure.

Each function returns the problems of a value, none where it is well formed. `causes` puts them at a field.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from seaway.cluster.apiserver import metadata
from seaway.cluster.apiserver.status import Cause, wrong

MAX_INT32 = (1 << 31) - 1
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
UNDERSCORE_SUBDOMAIN = rf"{UNDERSCORE_LABEL}(\.{UNDERSCORE_LABEL})*"
HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
CONFIG_KEY = "[-._a-zA-Z0-9]+"
HEADER = "[-A-Za-z0-9]+"
PERCENT = "[0-9]+%"
ENV_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def with_pattern(text: str, pattern: str, *examples: str) -> str:
    """A message that tells the pattern, with examples."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    told = " or ".join(f"'{e}', " for e in examples)
    return f"{text} (e.g. {told}regex used for validation is '{pattern}')"


LABEL_1035_TEXT = with_pattern(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    LABEL_1035,
    "my-name",
    "abc-123",
)
UNDERSCORE_TEXT = with_pattern(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character",
    UNDERSCORE_SUBDOMAIN,
    "example.com",
)
HEADER_TEXT = with_pattern(
    "a valid HTTP header must consist of alphanumeric characters or '-'", HEADER, "X-Header-Name"
)
CONFIG_KEY_TEXT = with_pattern(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)
PERCENT_TEXT = with_pattern(
    "a valid percent string must be a numeric string followed by an ending '%'", PERCENT, "1%", "93%"
)


def too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def label(value: str) -> list[str]:
    """A lowercase RFC 1123 label."""
    found = [too_long(63)] if len(value) > 63 else []
    if not metadata.LABEL.match(value):
        found.append("must not contain dots" if metadata.SUBDOMAIN.match(value) else metadata.LABEL_TEXT)
    return found


def label_1035(value: str) -> list[str]:
    """A label that begins with a letter."""
    found = [too_long(63)] if len(value) > 63 else []
    return found if re.fullmatch(LABEL_1035, value) else [*found, LABEL_1035_TEXT]


def subdomain(value: str) -> list[str]:
    """A lowercase RFC 1123 subdomain: most names."""
    found = [too_long(253)] if len(value) > 253 else []
    return found if metadata.SUBDOMAIN.match(value) else [*found, metadata.SUBDOMAIN_TEXT]


def name_prefix(value: str) -> list[str]:
    """A subdomain of which more may follow: a dash may end it."""
    return subdomain(value[:-2] + "a" if len(value) > 1 and value.endswith("-") else value)


def subdomain_with_underscore(value: str) -> list[str]:
    found = [too_long(253)] if len(value) > 253 else []
    return found if re.fullmatch(UNDERSCORE_SUBDOMAIN, value) else [*found, UNDERSCORE_TEXT]


def qualified_name(value: str) -> list[str]:
    """A label key: an optional prefix and a name."""
    return metadata.qualified_name_problems(value)


def label_value(value: str) -> list[str]:
    found = ["must be no more than 63 bytes"] if len(value) > 63 else []
    return found if metadata.VALUE.match(value) else [*found, metadata.VALUE_TEXT]


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [between(1, 65535)]


def port_name(value: str) -> list[str]:
    """An IANA service name (RFC 6335 5.1)."""
    found = [too_long(15)] if len(value) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        found.append("must not begin or end with a hyphen")
    return found


def environment_name(value: str) -> list[str]:
    """A name of an environment variable, as widely as v1.34 and later allow."""
    found = [] if value else ["environment variable name must be non-empty"]
    if any(not " " <= c <= "~" or c == "=" for c in value):
        found.append(ENV_TEXT)
    return found


def config_key(value: str) -> list[str]:
    found = [too_long(253)] if len(value) > 253 else []
    if not re.fullmatch(CONFIG_KEY, value):
        found.append(CONFIG_KEY_TEXT)
    if value in (".", ".."):
        found.append(f"must not be '{value}'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return found


def header_name(value: str) -> list[str]:
    return [] if re.fullmatch(HEADER, value) else [HEADER_TEXT]


def percent(value: str) -> list[str]:
    return [] if re.fullmatch(PERCENT, value) else [PERCENT_TEXT]


def user_id(value: int) -> list[str]:
    """A user or group."""
    return [] if 0 <= value <= MAX_INT32 else [between(0, MAX_INT32)]


def ip_address(value: str) -> list[str]:
    """An address in a field that was once read sloppily (KEP-4858): what Go's strict parser refuses is named."""
    try:
        address = ipaddress.ip_address(value.partition("%")[0] if "%" in value else value)
    except ValueError:
        if _with_leading_zeros(value):
            return ["must not have leading 0s"]
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if "%" in value:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if address.version == 6 and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def _with_leading_zeros(value: str) -> bool:
    parts = value.split(".")
    return len(parts) == 4 and all(p.isdigit() and len(p) < 10 and int(p) < 256 for p in parts)


def address_warnings(path: str, value: str) -> list[str]:
    """What is said of an IPv6 address that is not in RFC 5952 form."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return []
    if address.version == 6 and str(address) != value:
        return [f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")']
    return []


def prefixed_path(path: str, value: str) -> list[Cause]:
    """A domain-prefixed path such as `acme.io/foo`."""
    if not value:
        return [Cause(path, "FieldValueRequired", "Required value")]
    host, slash, rest = value.partition("/")
    if not slash or not host or not rest:
        return [wrong(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    found = [wrong(path, host, why) for why in subdomain(host)]
    if not re.fullmatch(HTTP_PATH, rest):
        found.append(wrong(path, rest, with_pattern("Invalid path", HTTP_PATH)))
    return found


def causes(path: str, value: str, check: Callable[[str], list[str]]) -> list[Cause]:
    """The problems that a check finds with a string, at a field."""
    return [wrong(path, value, why) for why in check(value)]
