"""/healthz, /livez and /readyz: named checks, together or one by one; pure (k8s.io/apiserver pkg/server/healthz)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seaway.cluster.apiserver.status import quoted

PATHS = ("healthz", "livez", "readyz")


@dataclass(frozen=True, slots=True)
class Check:
    """`problem` says what is wrong, "" where nothing is. `ready_only`: it belongs to /readyz alone."""

    name: str
    problem: Callable[[], str]
    ready_only: bool = False


class Answer(NamedTuple):
    code: int
    text: str


def _of(path: str, checks: Iterable[Check]) -> list[Check]:
    return [c for c in checks if path == "readyz" or not c.ready_only]


def whole(
    path: str,
    checks: Iterable[Check],
    exclude: Sequence[str],
    verbose: bool,
    observe: Callable[[str, str, bool], None] = lambda name, path, well: None,
) -> Answer:
    """All checks of a path. What is wrong is only named: the path is open to everybody."""
    lines, failed, unknown = [], False, set(exclude)
    for check in _of(path, checks):
        if check.name in exclude:
            unknown.discard(check.name)
            lines.append(f"[+]{check.name} excluded: ok")
            continue
        well = not check.problem()
        observe(check.name, path, well)
        failed = failed or not well
        lines.append(f"[+]{check.name} ok" if well else f"[-]{check.name} failed: reason withheld")
    if unknown:
        names = ",".join(quoted(name) for name in sorted(unknown))
        lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
    if failed:
        return Answer(500, "\n".join([*lines, f"{path} check failed", ""]))
    return Answer(200, "\n".join([*lines, f"{path} check passed", ""]) if verbose else "ok")


def single(path: str, name: str, checks: Iterable[Check]) -> Answer | None:
    """One check, with its reason; None where there is none of the name."""
    check = next((c for c in _of(path, checks) if c.name == name), None)
    if check is None:
        return None
    problem = check.problem()
    return Answer(500, f"internal server error: {problem}\n") if problem else Answer(200, "ok")
