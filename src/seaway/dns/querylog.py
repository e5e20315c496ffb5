"""The `log` plugin's lines: a format compiled once, the class of an answer, which rule logs it (plugin/log, plugin/pkg/replacer,
plugin/pkg/response); pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from seaway.dns.presentation import class_word, rcode_word, text, type_word
from seaway.dns.settings import Log, Name

EMPTY = "-"
COMMON = '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}'
COMBINED = COMMON + ' "{>opcode}"'
_FLAGS = ((0x8000, "qr"), (0x400, "aa"), (0x200, "tc"), (0x100, "rd"), (0x80, "ra"), (0x40, "z"), (0x20, "ad"), (0x10, "cd"))
_UDP_LEAST, _MESSAGE_MOST = 512, 65535
_IXFR, _AXFR = 251, 252
_NOTIFY, _UPDATE = 4, 5


class Exchange(NamedTuple):
    """A query and its answer. `size` and `rsize` are octets on the wire, `bufsize` is what the client's EDNS0 says (0: none),
    `flags` the second pair of octets of the answer, `duration` seconds. Nothing was answered: `rcode` is None."""

    name: Name
    kind: int
    cls: int
    proto: str  # udp, tcp
    remote: str
    port: int
    local: str
    id: int
    size: int
    opcode: int = 0
    do: bool = False
    bufsize: int = 0
    rcode: int | None = None
    flags: int = 0
    rsize: int = 0
    duration: float = 0.0


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _flags(exchange: Exchange) -> str:
    if exchange.rcode is None:
        return EMPTY
    return ",".join(word for bit, word in _FLAGS if exchange.flags & bit)


def _bufsize(exchange: Exchange) -> int:
    return _MESSAGE_MOST if exchange.proto == "tcp" else max(exchange.bufsize, _UDP_LEAST)


def _duration(exchange: Exchange) -> str:
    """As few digits as say the nanoseconds, like Go's."""
    return f"{exchange.duration:.9f}".rstrip("0").rstrip(".") + "s"


PLACEHOLDERS: dict[str, Callable[[Exchange], object]] = {
    "{type}": lambda e: type_word(e.kind),
    "{name}": lambda e: text(e.name),
    "{class}": lambda e: class_word(e.cls),
    "{proto}": lambda e: e.proto,
    "{size}": lambda e: e.size,
    "{remote}": lambda e: _bracketed(e.remote),
    "{port}": lambda e: e.port,
    "{local}": lambda e: _bracketed(e.local),
    "{>id}": lambda e: e.id,
    "{>opcode}": lambda e: e.opcode,
    "{>do}": lambda e: "true" if e.do else "false",
    "{>bufsize}": _bufsize,
    "{rcode}": lambda e: EMPTY if e.rcode is None else rcode_word(e.rcode),
    "{rsize}": lambda e: e.rsize,
    "{duration}": _duration,
    "{>rflags}": _flags,
}


@lru_cache(maxsize=64)
def line(layout: str) -> Callable[[Exchange], str]:
    """A format as a function. `{/plugin/value}` is metadata, of which there is none: `-`. Other braces are text."""
    layout = layout.replace("{common}", COMMON).replace("{combined}", COMBINED)
    parts: list[str] = []
    values: list[Callable[[Exchange], object]] = []
    literal, rest = "", layout
    while "}" in rest:
        head, _, rest = rest.partition("}")
        before, brace, word = head.rpartition("{")
        placeholder = brace + word + "}"
        if placeholder in PLACEHOLDERS:
            parts.append(literal + before)
            values.append(PLACEHOLDERS[placeholder])
            literal = ""
        elif placeholder.startswith("{/"):
            literal += before + EMPTY
        else:
            literal += head + "}"
    written = "%s".join(part.replace("%", "%%") for part in (*parts, literal + rest))
    return lambda exchange: written % tuple(value(exchange) for value in values)


def class_of(opcode: int, kind: int, rcode: int, answers: int, soa: bool) -> str:
    """success, denial or error (response.Typify and Classify). `soa`: whether the authority section has a SOA
    record, which makes NOERROR without an answer a denial."""
    if opcode in (_NOTIFY, _UPDATE) or kind in (_AXFR, _IXFR):
        return "error"
    if rcode == 0:
        return "success" if answers or not soa else "denial"
    return "denial" if rcode == 3 and not answers else "error"


def rule_for(rules: Sequence[Log], asked: Name) -> Log | None:
    """The first rule whose zones hold the name: it alone decides."""
    for rule in rules:
        if not rule.zones or any(not zone or asked[-len(zone) :] == zone for zone in rule.zones):
            return rule
    return None


def logs(rule: Log, answered: str) -> bool:
    """Whether a rule logs an answer of this class."""
    return "all" in rule.classes or answered in rule.classes
