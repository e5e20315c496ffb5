"""The `cache` plugin's lines (plugin/cache/setup.go); pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import duration, one_of, whole
from seaway.dns.corefile.scope import Scope, only
from seaway.dns.corefile.zones import zones
from seaway.dns.settings import Cache

PROPERTIES = "success denial prefetch serve_stale serve_stale_policy servfail disable keepttl".split()
ENTRIES_LEAST = 1024  # "The minimum allowed cache size is 1024", plugin/cache/README.md
_STALE = (
    "serve_stale [DURATION] [immediate [RESPONSE_TTL [RECHECK]] | verify [TIMEOUT [RESPONSE_TTL [RECHECK]]]]"
)  # fmt: skip
_MAX_TTL = (1 << 32) - 1


def cache(found: Sequence[Directive], scope: Scope) -> Cache:
    directive = only(found)
    settings, args = Cache(), directive.args
    if args and args[0].lstrip("+-").isdigit():
        seconds = whole(directive.line, args[0], 1, what="TTL")
        settings = replace(settings, max_ttl=seconds, denial_max_ttl=seconds)
        args = args[1:]
    settings = replace(settings, zones=zones(args, directive.line))
    policy: Line | None = None
    for line in directive.properties:
        if line.word == "serve_stale_policy":
            if policy:
                raise line.error("serve_stale_policy can stand once")
            policy = line
        settings = _property(settings, line)
    if policy and all(line.word != "serve_stale" for line in directive.properties):
        raise policy.error("serve_stale_policy needs serve_stale")
    return settings


def _property(settings: Cache, line: Line) -> Cache:
    match line.word:
        case "success":
            entries, longest, shortest = _capacity(line, settings.max_ttl, settings.min_ttl)
            return replace(settings, entries=entries, max_ttl=longest, min_ttl=shortest)
        case "denial":
            entries, longest, shortest = _capacity(line, settings.denial_max_ttl, settings.denial_min_ttl)
            return replace(settings, denial_entries=entries, denial_max_ttl=longest, denial_min_ttl=shortest)
        case "prefetch":
            return _prefetch(settings, line)
        case "serve_stale":
            return _serve_stale(settings, line)
        case "serve_stale_policy":
            (text,) = line.takes(1, 1, "serve_stale_policy prefer_positive")
            one_of(line, text.lower(), ("prefer_positive",))
            return replace(settings, stale_prefer_positive=True)
        case "servfail":
            (text,) = line.takes(1, 1, "servfail DURATION")
            seconds = duration(line, text)
            if not 0 <= seconds <= 300:
                raise line.error("servfail must be 0 to 5m: RFC 2308 allows no more")
            return replace(settings, servfail_ttl=seconds)
        case "disable":
            kind, *names = line.takes(1, None, "disable success|denial [ZONE...]")
            one_of(line, kind, ("success", "denial"))
            listed = zones(tuple(names), line)
            listed = () if () in listed else listed
            return replace(settings, disable_success=listed) if kind == "success" else replace(settings, disable_denial=listed)
        case "keepttl":
            line.alone()
            return replace(settings, keepttl=True)
    raise line.unknown(PROPERTIES)


def _capacity(line: Line, longest: int, shortest: int) -> tuple[int, int, int]:
    texts = line.takes(1, None, f"{line.word} CAPACITY [TTL] [MINTTL]")
    entries = max(whole(line, texts[0], None, what="CAPACITY"), ENTRIES_LEAST)
    if len(texts) > 1:
        longest = whole(line, texts[1], 1, what="TTL")
    if len(texts) > 2:
        shortest = whole(line, texts[2], 0, what="MINTTL")
    return entries, longest, shortest


def _prefetch(settings: Cache, line: Line) -> Cache:
    texts = line.takes(1, 3, "prefetch AMOUNT [DURATION] [PERCENTAGE%]")
    settings = replace(settings, prefetch=whole(line, texts[0], 0, what="AMOUNT"))
    if len(texts) > 1:
        settings = replace(settings, prefetch_window=duration(line, texts[1]))
    if len(texts) > 2:
        if not texts[2].endswith("%"):
            raise line.error(f"the percentage ends with %: write {texts[2]}%")
        settings = replace(settings, prefetch_percent=whole(line, texts[2][:-1], 10, 90, what="PERCENTAGE"))
    return settings


def _serve_stale(settings: Cache, line: Line) -> Cache:
    texts = list(line.takes(0, 5, _STALE))
    until = _not_negative(line, texts[0], "DURATION") if texts else 3600.0
    mode = one_of(line, texts[1].lower(), ("immediate", "verify"), "the refresh mode") if len(texts) > 1 else "immediate"
    rest = texts[2:]
    timeout = 0.0
    if mode == "verify" and rest:
        timeout = _not_negative(line, rest.pop(0), "the verify timeout")
    if len(rest) > 2:
        raise line.error(f"write {_STALE}, not {' '.join(texts)!r}")
    ttl = _not_negative(line, rest[0], "the response TTL") if rest else 0.0
    if ttl != int(ttl) or ttl > _MAX_TTL:
        raise line.error(f"the response TTL must be whole seconds, not {rest[0]}")
    recheck = _not_negative(line, rest[1], "the failure recheck") if len(rest) > 1 else 0.0
    if recheck > 300:
        raise line.error("the failure recheck cannot be more than 5m")
    return replace(
        settings, serve_stale=until, stale_verify=mode == "verify", stale_verify_timeout=timeout, stale_ttl=int(ttl),
        stale_recheck=recheck,
    )  # fmt: skip


def _not_negative(line: Line, text: str, what: str) -> float:
    seconds = duration(line, text, what)
    if seconds < 0:
        raise line.error(f"{what} cannot be negative: {text}")
    return seconds
