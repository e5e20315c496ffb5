"""Clients that keep what they are given: cookies, headers, and so the backend that they are led to."""

from __future__ import annotations

from typing import Any, NamedTuple

import caseanswers
from casefile import Ask, Request

Tree = dict[str, Any]


class Kept(NamedTuple):
    """`pod`: who has answered; `was`: who had at the end of the step before."""

    cookies: dict[str, str]
    headers: dict[str, str]
    pod: str = ""
    was: str = ""


class Clients:
    """Those of all cases, by case and name. A case's requests are asked one after the other."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Kept] = {}

    def _of(self, case: str, client: str) -> Kept:
        return self._kept.get((case, client)) or Kept({}, {})

    def was(self, case: str, client: str) -> str:
        return self._of(case, client).was

    def end(self, case: str) -> None:
        """A step is over: what its clients have is what they had."""
        for key, kept in list(self._kept.items()):
            if key[0] == case:
                self._kept[key] = kept._replace(was=kept.pod)

    def shows(self, case: str, ask: Ask) -> list[tuple[str, str]]:
        """The headers with which a client comes."""
        kept = self._of(case, ask.client)
        cookies = "; ".join(f"{k}={v}" for k, v in kept.cookies.items())
        return [*kept.headers.items(), *([("Cookie", cookies)] if cookies else [])] if ask.client else []

    def answered(self, case: str, request: Request, told: Tree) -> list[str]:
        """Keeps what came; what is wrong with whom it came from."""
        key = (case, request.ask.client)
        kept = self._of(*key)
        there = caseanswers.pairs(told)
        given = [c.partition(";")[0].partition("=") for c in there.get("set-cookie", ())]
        cookies = {**kept.cookies, **{name.strip(): value.strip() for name, _, value in given}}
        headers = {**kept.headers, **{name: there[name.lower()][0] for name in request.ask.keeps if name.lower() in there}}
        pod = str((caseanswers.seen(told) or {}).get("pod") or "")
        self._kept[key] = Kept(cookies, headers, pod, kept.was)
        if request.want.moves and pod == kept.was:
            return [f"{request.ask.client} is led to {pod} still"]
        return []

    def stayed(self, case: str, request: Request, told: Tree) -> list[str]:
        """What is wrong with the answer to one more request."""
        pod = self._of(case, request.ask.client).pod
        wrong = self.answered(case, request, told)
        now = self._of(case, request.ask.client).pod
        return wrong or ([] if pod == now else [f"{request.ask.client} has left {pod} for {now or caseanswers.shown(told)}"])
