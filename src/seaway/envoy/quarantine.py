"""Which rules a proxy will not have: found by leaving suspects out and letting them in again in halves; pure.

A refused resource says what is wrong, seldom where. The rules that differ from what was accepted before are left out, so that
all others go on; then they are let in again, group by group: a group that is refused is halved, a rule that is refused alone is
the bad one. A bad rule's match stays and answers 500, where the proxy takes that; else it is left out altogether.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)  # a suspect: the source of a rule
N = TypeVar("N", bound=Hashable)  # a resource's name
ACTION, RULE = "action", "rule"


class _Case(Generic[S]):
    """One resource: `waiting` groups are out until it is their turn, `trial` is in to be seen, `bad` stay out."""

    def __init__(self, suspects: tuple[S, ...], version: str) -> None:
        self.version = version
        self.waiting: list[tuple[S, ...]] = []
        self.trial: tuple[S, ...] = ()
        self.bad: dict[S, str] = {}
        self.said: dict[S, str] = {}
        self.waiting.append(suspects)

    def found(self, source: S, how: str, message: str) -> None:
        self.bad[source], self.said[source] = how, message

    @property
    def out(self) -> dict[S, str]:
        return {**{s: RULE for group in self.waiting for s in group}, **self.bad}


class Quarantine(Generic[N, S]):
    """The cases of a fleet. Told of a refusal or an acceptance, it says in `bans` what is to be left out next. `first`: how a bad
    rule is left out until that is refused, too."""

    def __init__(self, first: str = ACTION) -> None:
        self._first = first
        self._cases: dict[N, _Case[S]] = {}

    def refused(self, name: N, version: str, suspects: Iterable[S], message: str) -> bool:
        """A version of a resource is refused; whether there is something to try. Once a version."""
        case = self._cases.get(name)
        if case is None:
            found = tuple(suspects)
            if not found:
                return False
            case = self._cases[name] = _Case(found, version)
            if len(found) == 1:
                case.waiting.clear()
                case.found(found[0], self._first, message)
            return True
        if case.version == version:
            return False
        case.version = version
        if case.trial:
            group, case.trial = case.trial, ()
            others = tuple(o for o in suspects if o not in case.out and o not in group)
            if others:
                case.waiting += [group, others]  # something else has come meanwhile: it may be either
            elif len(group) == 1:
                case.found(group[0], self._first, message)
            else:
                half = len(group) // 2
                case.waiting += [group[half:], group[:half]]
            return True
        softly = [s for s, how in case.bad.items() if how == ACTION]
        if softly:
            # The match itself is what is refused.
            case.bad.update(dict.fromkeys(softly, RULE))
            return True
        fresh = tuple(s for s in suspects if s not in case.out)
        if not fresh:
            return False
        if len(fresh) == 1:
            case.found(fresh[0], self._first, message)
        else:
            case.waiting.append(fresh)
        return True

    def accepted(self, name: N) -> bool:
        """What is wanted of a resource is in force; whether there is something to try next."""
        case = self._cases.get(name)
        if case is None:
            return False
        case.trial = ()
        case.version = ""  # a trial of all that was left out is the very version that was refused
        if case.waiting:
            case.trial = case.waiting.pop()
            return True
        if not case.bad:
            del self._cases[name]
        return False

    def changed(self, sources: Iterable[S]) -> bool:
        """The rules of these are others now: they get another chance; whether that changes what is left out."""
        again = set(sources)
        found = False
        for name, case in list(self._cases.items()):
            lifted = again & case.bad.keys()
            for source in lifted:
                del case.bad[source]
                found = True
            if lifted and not case.bad and not case.waiting and not case.trial:
                del self._cases[name]
        return found

    def gone(self, name: N) -> None:
        """The resource is not wanted any more."""
        self._cases.pop(name, None)

    @property
    def bans(self) -> dict[S, str]:
        """What is left out, and how."""
        found: dict[S, str] = {}
        for case in self._cases.values():
            for source, how in case.out.items():
                found[source] = RULE if RULE in (how, found.get(source)) else how
        return found

    @property
    def bad(self) -> Mapping[S, str]:
        """Those that are found to be bad, with what the proxy said."""
        return {source: case.said[source] for case in self._cases.values() for source in case.bad}

    @property
    def trying(self) -> bool:
        """It is not known yet which ones are bad."""
        return any(case.waiting or case.trial for case in self._cases.values())

    def names(self) -> tuple[N, ...]:
        """The resources that there are cases of."""
        return tuple(self._cases)
