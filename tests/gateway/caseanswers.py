"""What an answer must be, judged against what came; pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import casekeys
from casefile import Saw, Want

Tree = dict[str, Any]
TOLERANCE = 0.05


def seen(told: Tree) -> Tree | None:
    """What the backend says it saw, where it says anything."""
    if told.get("echo"):
        return dict(told["echo"])
    for text in (told.get("body"), *(told.get("messages") or ())):
        if text and text.startswith("{"):
            try:
                found: Tree = json.loads(text)
            except ValueError:
                continue
            return found
    return None


def shown(told: Tree) -> str:
    """An answer in a line, for a failure."""
    parts = [str(told[k]) for k in ("status", "error") if k in told]
    if "grpc" in told:
        parts.append(f"grpc-status {told['grpc']} {told.get('grpcMessage', '')}")
    what = seen(told)
    if what is not None:
        parts.append(f"from {what.get('pod')} which saw {what.get('method', '')} {what.get('host', '')}{what.get('path', '')}")
    elif told.get("body"):
        parts.append(repr(told["body"][:160]))
    location = pairs(told).get("location")
    return " ".join(parts + ([f"location {location[0]}"] if location else [])) or str(told)


def pairs(told: Tree) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in told.get("headers") or ():
        found.setdefault(name.lower(), []).append(value)
    return found


def _header_problems(who: str, wanted: dict[str, Any], absent: list[str], there: dict[str, list[str]]) -> list[str]:
    found = []
    for name, want in wanted.items():
        values = there.get(name.lower(), [])
        joined = ",".join(values).replace(", ", ",")
        same = values == want if isinstance(want, list) else bool(values) and joined in want.replace(", ", ",").split(" or ")
        if not same:
            found.append(f"{who} header {name}: {values}, not {want!r}")
    return found + [f"{who} header {name} must not be there: {there[name.lower()]}" for name in absent if name.lower() in there]


def _saw_problems(want: Saw, what: Tree) -> list[str]:
    found = []
    for field in ("path", "host", "method", "proto"):
        wanted = getattr(want, field)
        if wanted is not None and what.get(field) != wanted:
            found.append(f"the backend saw {field} {what.get(field)!r}, not {wanted!r}")
    headers = {k.lower(): v for k, v in (what.get("headers") or {}).items()}
    found += _header_problems("the backend's", want.headers, want.absent, headers)
    if want.tls is not None:
        tls = what.get("tls") or {}
        if not want.tls and tls:
            found.append(f"the backend saw TLS: {tls}")
        for field, wanted in want.tls.items():
            there = [n for pem in tls.get("peerCertificates", ()) for n in casekeys.names(pem)] if field == "peer" else tls.get(field)
            if there != wanted:
                found.append(f"the backend saw tls {field} {there!r}, not {wanted!r}")
    return found


def problems(want: Want, told: Tree) -> list[str]:
    """What is wrong with one answer."""
    if want.error is not None and not (want.status is not None and "status" in told):
        kinds = [want.error] if isinstance(want.error, str) else want.error
        error = told.get("error", "")
        return [] if error and any(error.startswith(k) for k in kinds) else [f"wanted to fail ({' or '.join(kinds)}): {shown(told)}"]
    if "error" in told:
        return [f"no answer: {told['error']}"]
    found = []
    statuses = [want.status] if isinstance(want.status, int) else want.status
    if statuses is None and want.backend is not None and "status" in told and told["status"] != 101:
        statuses = [200]
    if statuses is not None and told.get("status") not in statuses:
        found.append(f"status {told.get('status')}, not {' or '.join(map(str, statuses))}")
    what = seen(told)
    if want.backend is not None:
        backends = [want.backend] if isinstance(want.backend, str) else want.backend
        if what is None or what.get("pod") not in backends:
            found.append(f"answered by {what.get('pod') if what else 'no backend'}, not {' or '.join(backends)}")
    if want.saw is not None:
        found += _saw_problems(want.saw, what) if what else ["no backend says what it saw"]
    found += _header_problems("the answer's", want.headers, want.absent, pairs(told))
    location = (pairs(told).get("location") or [None])[0]
    if want.location is not None and location != want.location:
        found.append(f"location {location!r}, not {want.location!r}")
    if want.body is not None and want.body not in told.get("body", ""):
        found.append(f"body {told.get('body', '')[:200]!r} lacks {want.body!r}")
    for field, there in (("messages", told.get("messages")), ("grpc", told.get("grpc")), ("alpn", told.get("alpn"))):
        wanted = getattr(want, field)
        if wanted is not None and there != wanted:
            found.append(f"{field} {there!r}, not {wanted!r}")
    if want.certificate is not None:
        names = casekeys.names(told["certificate"]) if told.get("certificate") else None
        if names != want.certificate:
            found.append(f"the server's certificate is for {names}, not {want.certificate}")
    if want.took is not None and not want.took[0] <= told["took"] <= want.took[1]:
        found.append(f"took {told['took']} s, not {want.took[0]} to {want.took[1]}")
    found += _series_problems(want, told.get("series") or [])
    return found + ([f"(came: {shown(told)})"] if found else [])


def _series_problems(want: Want, answers: list[Tree]) -> list[str]:
    """What is wrong with answers that came one after the other."""
    if want.series is None:
        return []
    statuses = [a["status"] for a in answers]
    if isinstance(want.series, list):
        return [] if statuses == want.series else [f"a series of {statuses}, not {want.series}"]
    if want.series == "limited":
        passed = statuses.index(429) if 429 in statuses else 0
        right = passed and statuses == [200] * passed + [429] * (len(statuses) - passed)
        return [] if right else [f"a series of {statuses}: not some answers and then 429"]
    pods = [str((seen(a) or {}).get("pod") or a["status"]) for a in answers]
    names = list(dict.fromkeys(pods))
    cycle = len(names) > 1 and pods == [names[i % len(names)] for i in range(len(pods))]
    kind = "one" if len(names) == 1 else "cycle" if cycle else "mixed"
    return [] if kind == want.series else [f"a series of {pods} is {kind}, not {want.series}"]


def share_problems(want: Want, answers: list[Tree]) -> list[str]:
    """What is wrong with the distribution of many answers."""
    counted: Counter[str] = Counter()
    for told in answers:
        what = seen(told)
        pod = (what or {}).get("pod")
        counted[str(pod) if pod else told["error"].partition(":")[0] if "error" in told else f"status {told.get('status')}"] += 1
    names = set(counted) | set(want.shares)
    wrong = [n for n in names if abs(counted[n] / len(answers) - want.shares.get(n, 0)) > (want.within if want.shares.get(n) else 0)]
    return [f"{dict(counted)} of {len(answers)}; wanted shares {want.shares}"] if wrong else []


def mirror_problems(want: Want, counted: dict[str, int]) -> list[str]:
    """What is wrong with the requests that mirrors got. A share lies within five hundredths; a number is exact."""
    found = []
    for name, wanted in want.mirrored.items():
        there = counted.get(name, 0)
        right = abs(there / want.of - wanted) <= TOLERANCE if 0 < wanted < 1 else there == wanted * want.of
        if not right:
            found.append(f"{name} got {there} mirrored requests of {want.of}; wanted {wanted} each")
    return found
