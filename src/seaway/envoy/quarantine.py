"""Which rules a proxy will not have: found by leaving suspects out and letting them in again in halves; pure.

A refused resource says what is wrong, seldom where. The rules in it that no proxy has taken yet are left out, so that all others
go on; then they are let in again, group by group: a group that is refused is halved, a rule that is refused alone is the bad one.
A bad rule's match stays and answers 500, where the proxy takes that; else it is left out altogether.

One group is let in at a time, whatever number of resources a rule is in (a regex is in every shard of its host): it is let in
everywhere, and the next one's turn comes when all resources that are concerned are in force. What a refusal proves follows from
what is in the refused version, whose rules are known: one of those that were never taken is bad.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)  # a suspect: the source of a rule
N = TypeVar("N", bound=Hashable)  # a resource's name
ACTION, RULE = "action", "rule"


class Quarantine(Generic[N, S]):
    """What a fleet's proxies will not have. Told of a refusal or an acceptance, it says in `bans` what is to be left out next.
    `first`: how a bad rule is left out until that is refused, too."""

    def __init__(self, first: str = ACTION) -> None:
        self._first = first
        self._waiting: list[tuple[S, ...]] = []  # groups that are out until it is their turn
        self._trial: tuple[S, ...] = ()  # the group that is in to be seen
        self._bad: dict[S, str] = {}
        self._said: dict[S, str] = {}
        self._shown: dict[S, str] = {}  # the bans that the newest versions of all resources show
        self._names: dict[N, None] = {}  # the resources that are concerned, since all was well

    def take(self) -> dict[S, str]:
        """What is left out, and how; all resources are to show it from now on."""
        self._shown = self.bans
        return dict(self._shown)

    def refused(self, name: N, suspects: Iterable[S], message: str) -> bool:
        """The newest version of a resource is refused: one of the suspects, whose parts are in it, is bad. Whether something
        else is left out now."""
        self._names[name] = None
        found = dict.fromkeys(suspects)
        bans = self.bans
        if any(bans.get(s) != self._shown.get(s) for s in found):
            return True  # another refusal was for one of these: the version that shows it tells more
        fresh = [s for s in found if s not in self._shown]
        softly = [s for s in found if self._bad.get(s) == ACTION]
        if fresh:
            self._suspect(fresh, not softly, message)
            return True
        # All that is left of it are matches that answer 500: the match itself is what is refused.
        self._bad.update(dict.fromkeys(softly, RULE))
        return bool(softly)

    def _suspect(self, fresh: list[S], alone: bool, message: str) -> None:
        """One of these is bad, or, where they are not alone, something else that is to be looked at without them."""
        tried = tuple(s for s in self._trial if s in fresh)
        others = tuple(s for s in fresh if s not in tried)
        if tried:
            rest = tuple(s for s in self._trial if s not in fresh)
            self._waiting += [rest] if rest else []
            self._trial = ()
        if len(fresh) == 1 and alone:
            self._bad[fresh[0]], self._said[fresh[0]] = self._first, message
        elif others or not alone:
            self._waiting += [group for group in (others, tried) if group]  # it may be either
        else:
            half = len(tried) // 2
            self._waiting += [tried[half:], tried[:half]]

    def concerns(self, names: Iterable[N]) -> None:
        """These show something else because of what is left out now."""
        self._names.update(dict.fromkeys(names))

    def accepted(self) -> bool:
        """All resources that are concerned are in force as they are wanted now; whether there is something to try next."""
        self._trial = ()
        if self._waiting:
            self._trial = self._waiting.pop()
            return True
        self._names.clear()
        return False

    def changed(self, sources: Iterable[S]) -> bool:
        """The rules of these are others now: they get another chance; whether that changes what is left out."""
        lifted = set(sources) & self._bad.keys()
        for source in lifted:
            del self._bad[source], self._said[source]
        return bool(lifted)

    def gone(self, name: N) -> None:
        """The resource is not wanted any more."""
        self._names.pop(name, None)

    @property
    def bans(self) -> dict[S, str]:
        """What is left out, and how."""
        return {**{s: RULE for group in self._waiting for s in group}, **self._bad}

    @property
    def bad(self) -> Mapping[S, str]:
        """Those that are found to be bad, with what the proxy said."""
        return dict(self._said)

    @property
    def trying(self) -> bool:
        """It is not known yet which ones are bad."""
        return bool(self._waiting or self._trial)

    @property
    def names(self) -> tuple[N, ...]:
        """The resources that are concerned, since all was well."""
        return tuple(self._names)
