"""The `rewrite` plugin's lines, each form of rule checked (plugin/rewrite/*.go); pure."""

from __future__ import annotations

from collections.abc import Sequence

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import one_of, whole
from seaway.dns.corefile.scope import Scope
from seaway.dns.patterns import groups_used, pattern
from seaway.dns.patternsyntax import PatternError
from seaway.dns.presentation import CLASSES, RCODE_NUMBERS, RCODES, TYPES
from seaway.dns.settings import Rewrite

MATCHES = ("exact", "prefix", "suffix", "substring", "regex")
FIELDS = ("name", "type", "class", "ttl", "rcode", "edns0", "cname")
EDNS_ACTIONS = ("set", "append", "replace", "unset")
MAX_TTL = (1 << 31) - 1


def rewrites(found: Sequence[Directive], scope: Scope) -> tuple[Rewrite, ...]:
    rules = []
    for directive in found:
        line = directive.line
        if len(line.args) < 2:  # a rule may stand between braces, over several lines
            words = [w for p in directive.properties for w in (p.word, *p.args)]
            line = line._replace(args=(*line.args, *words))
        elif directive.properties:
            raise directive.properties[0].error("a rule stands in one line, or wholly between braces")
        rules.append(_rule(line, scope))
    return tuple(rules)


def _rule(line: Line, scope: Scope) -> Rewrite:
    words = list(line.args)
    stop = True
    if words and words[0].lower() in ("stop", "continue"):
        stop = words.pop(0).lower() == "stop"
    if not words:
        raise line.error("write rewrite [continue|stop] FIELD ..., where FIELD is one of " + ", ".join(FIELDS))
    field = words.pop(0).lower()
    match field:
        case "name":
            return _name(line, words, stop)
        case "type" | "class":
            return _number(line, field, words, stop)
        case "ttl":
            return _ttl(line, words, stop)
        case "rcode":
            return _rcode(line, words, stop)
        case "edns0":
            return _edns0(line, words, stop, scope)
        case "cname":
            return _cname(line, words, stop, scope)
        case "answer":
            raise line.error("an answer's rewrite belongs to a name rule: rewrite name TYPE FROM TO answer ...")
    raise line.error(f"{field!r} is not a field that can be rewritten; it is one of {', '.join(FIELDS)}")


def normal(text: str) -> str:
    """A name in lower case that ends with a dot (plugin.Name.Normalize)."""
    return text.lower() if text.endswith(".") and not text.endswith("\\.") else text.lower() + "."


def _checked(line: Line, source: str, replacement: str) -> None:
    try:
        groups = pattern(source).groups
    except PatternError as e:
        raise line.error(str(e)) from None
    if groups_used(replacement) > groups:
        raise line.error(f"{replacement!r} uses more groups than {source!r} has")


def _match(line: Line, text: str, what: str) -> str:
    return one_of(line, text.lower(), MATCHES, f"the type of match of a {what} rule")


def _name(line: Line, words: list[str], stop: bool) -> Rewrite:
    form = "rewrite name [exact|prefix|suffix|substring|regex] FROM TO [answer ...]"
    if len(words) < 2:
        raise line.error(f"write {form}")
    match = "exact" if len(words) == 2 else _match(line, words.pop(0), "name")
    old, new, *rest = words
    if match == "regex":
        _checked(line, old, new)
    auto, answers = _answers(line, rest)
    return Rewrite(
        "name", match, old if match == "regex" else normal(old), normal(new), stop,
        answer_auto=auto or match == "exact", answers=answers,
    )  # fmt: skip


def _answers(line: Line, words: list[str]) -> tuple[bool, tuple[tuple[str, str, str], ...]]:
    """`answer auto`, `answer name FROM TO`, `answer value FROM TO`, any number of them."""
    form = "write answer auto, answer name FROM TO or answer value FROM TO"
    auto, answers, rest = False, [], list(words)
    if rest and rest[0] != "answer":
        raise line.error(f"{rest[0]!r} stands after FROM and TO; {form}")
    while rest:
        if rest[0] == "answer":
            rest.pop(0)
        kind = rest.pop(0) if rest else ""
        if kind == "auto":
            auto = True
        elif kind in ("name", "value") and len(rest) >= 2:
            old, new = rest.pop(0), rest.pop(0)
            _checked(line, old, new)
            answers.append((kind, old, normal(new)))
        else:
            raise line.error(form + (f", not {kind!r}" if kind else ""))
    if auto and any(kind == "name" for kind, _, _ in answers):
        raise line.error("answer auto and answer name cannot stand together; delete one of them")
    return auto, tuple(answers)


def _number(line: Line, field: str, words: list[str], stop: bool) -> Rewrite:
    if len(words) != 2:
        raise line.error(f"write rewrite {field} FROM TO")
    known = TYPES if field == "type" else CLASSES
    old, new = (w.upper() for w in words)
    for word in (old, new):
        if word not in known:
            raise line.error(f"{word!r} is not a {field} of DNS")
    return Rewrite(field, "exact", old, new, stop)


def _target(line: Line, words: list[str], what: str) -> tuple[str, str]:
    """The names that a ttl or rcode rule is for: (match, pattern)."""
    if len(words) == 1:
        return "exact", normal(words[0])
    match = _match(line, words[0], what)
    if match == "regex":
        _checked(line, words[1], "")
        return match, words[1]
    return match, normal(words[1])


def ttl_range(text: str) -> tuple[int, int] | None:
    """`30`, `5-60`, `-60`, `30-` as bounds; None if it is none of them."""
    low, dash, high = text.partition("-")
    if not dash:
        low = high = text
    elif text == "-":
        return None
    if not all(p.isdigit() or (dash and not p) for p in (low, high)):
        return None
    bounds = int(low or 0), int(high or MAX_TTL)
    return bounds if bounds[0] <= bounds[1] < 1 << 32 else None


def _ttl(line: Line, words: list[str], stop: bool) -> Rewrite:
    if len(words) not in (2, 3):
        raise line.error("write rewrite ttl [exact|prefix|suffix|substring|regex] NAME SECONDS|MIN-MAX|MIN-|-MAX")
    if ttl_range(words[-1]) is None:
        raise line.error(f"{words[-1]!r} is not a TTL; write SECONDS, MIN-MAX, MIN- or -MAX")
    match, old = _target(line, words[:-1], "ttl")
    return Rewrite("ttl", match, old, words[-1], stop)


def _rcode(line: Line, words: list[str], stop: bool) -> Rewrite:
    if len(words) not in (3, 4):
        raise line.error("write rewrite rcode [exact|prefix|suffix|substring|regex] NAME FROM TO")
    codes = []
    for text in words[-2:]:
        number = int(text) if text.isdigit() else RCODE_NUMBERS.get(text.upper(), -1)
        named = next((c for c in RCODES if RCODE_NUMBERS[c] == number), str(number))
        if not 0 <= number <= 23:
            raise line.error(f"{text!r} is not an rcode; they are words like NXDOMAIN, or numbers up to 23")
        codes.append(named)
    match, old = _target(line, words[:-2], "rcode")
    return Rewrite("rcode", match, old, codes[1], stop, rcode=codes[0])


def _edns0(line: Line, words: list[str], stop: bool, scope: Scope) -> Rewrite:
    form = "write rewrite edns0 local|nsid|subnet set|append|replace|unset ..."
    if len(words) < 2:
        raise line.error(form)
    kind = one_of(line, words[0].lower(), ("local", "nsid", "subnet"), "the option of an edns0 rule")
    action = one_of(line, words[1].lower(), EDNS_ACTIONS, "the action of an edns0 rule")
    rest = words[2:]
    if action != "unset" and rest and rest[-1] == "revert":
        rest.pop()
    wanted = {"local": 2, "nsid": 0, "subnet": 2}[kind] if action != "unset" else {"local": 1, "nsid": 0, "subnet": 0}[kind]
    if len(rest) != wanted:
        raise line.error(f"edns0 {kind} {action} takes {wanted} more words, not {len(rest)}")
    if kind == "local":
        _uint16(line, rest[0])
    elif kind == "subnet" and rest:
        whole(line, rest[0], 0, 32, what="the IPv4 mask")
        whole(line, rest[1], 0, 128, what="the IPv6 mask")
    scope.ignore(line, f"edns0 {kind} has no effect: EDNS0 options are not sent on")
    return Rewrite("edns0", "exact", stop=stop, edns=tuple(words))


def _uint16(line: Line, text: str) -> None:
    try:
        code = int(text, 0)
    except ValueError:
        code = -1
    if not 0 <= code <= 0xFFFF:
        raise line.error(f"{text!r} is not the code of an EDNS0 option; write a number, like 0xffee")


def _cname(line: Line, words: list[str], stop: bool, scope: Scope) -> Rewrite:
    if len(words) not in (2, 3):
        raise line.error("write rewrite cname [exact|prefix|suffix|substring|regex] FROM TO")
    match = _match(line, words[0], "cname") if len(words) == 3 else "exact"
    old, new = (w.lower() for w in words[-2:])
    if match == "regex":
        _checked(line, old, "")
    elif match == "exact":
        old, new = normal(old), normal(new)
    scope.ignore(line, "cname rules are not supported: a CNAME's target is left as it is")
    return Rewrite("cname", match, old, new, stop)
