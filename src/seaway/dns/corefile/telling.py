"""The lines of the plugins that tell what happened: log and errors; pure."""

from __future__ import annotations

from collections.abc import Sequence

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import duration, one_of
from seaway.dns.corefile.scope import Scope, only
from seaway.dns.patterns import pattern
from seaway.dns.patternsyntax import PatternError
from seaway.dns.presentation import name
from seaway.dns.settings import Consolidation, Errors, Log, Name

LOG_CLASSES = ("all", "success", "denial", "error")
LEVELS = ("warning", "error", "info", "debug")


def logs(found: Sequence[Directive], scope: Scope) -> tuple[Log, ...]:
    """A rule for each directive. The last of several arguments is a format if there is a { in it."""
    rules = []
    for directive in found:
        line, classes = directive.line, []
        args, layout = line.args, "{common}"
        if len(args) > 1 and "{" in args[-1]:
            args, layout = args[:-1], args[-1]
        for one in directive.properties:
            if one.word != "class":
                raise one.unknown(("class",))
            classes += [one_of(one, c, LOG_CLASSES) for c in one.takes(1, None, "class " + "|".join(LOG_CLASSES) + "...")]
        if len(args) == 1 and "{" in args[0]:  # CoreDNS takes it for the name of a zone, below which nothing is asked
            scope.ignore(line, f"{args[0]!r} is taken for a zone; a format stands after one: log . {args[0]!r}")
            continue
        listed = tuple(dict.fromkeys(_zone(line, a) for a in args))
        rules.append(Log(() if () in listed else listed, layout, tuple(dict.fromkeys(classes)) or ("all",)))
    return tuple(rules)


def _zone(line: Line, text: str) -> Name:
    try:
        return name(text)
    except ValueError as e:
        raise line.error(str(e)) from None


def errors(found: Sequence[Directive], scope: Scope) -> Errors:
    directive = only(found)
    if directive.line.takes(0, 1, "errors [stdout]") not in ((), ("stdout",)):
        raise directive.line.error(f"errors go to stdout, not to {directive.args[0]!r}; delete the word")
    rows = []
    for line in directive.properties:
        if line.word == "stacktrace":
            scope.ignore(line, "stacktrace has no effect: an exception is always logged with where it came from")
        elif line.word == "consolidate":
            rows.append(_consolidate(line))
        else:
            raise line.unknown(("stacktrace", "consolidate"))
    return Errors(tuple(rows))


def _consolidate(line: Line) -> Consolidation:
    form = "consolidate DURATION REGEXP [LEVEL] [show_first]"
    period, source, *rest = line.takes(2, 4, form)
    seconds = duration(line, period)
    try:
        pattern(source)
    except PatternError as e:
        raise line.error(str(e)) from None
    level = one_of(line, rest.pop(0), LEVELS, "the level") if rest and rest[0] != "show_first" else "error"
    if rest not in ([], ["show_first"]):
        raise line.error(f"write {form}; {rest[-1]!r} has no place in it")
    return Consolidation(seconds, source, level, bool(rest))
