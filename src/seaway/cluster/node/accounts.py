"""Who a container runs as: an image's `user` and the pod's `runAsUser` through the container's own passwd and group; pure."""

from __future__ import annotations

from dataclasses import dataclass


class UserError(ValueError):
    """A user that the container does not have; in the container runtime's words."""


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def _rows(text: str, fields: int) -> list[list[str]]:
    rows = [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]
    return [r for r in rows if len(r) >= fields and r[2].isdigit()]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 31 else None


def account(user: str, passwd: str, group: str) -> Account:
    """`user` is Docker's: empty, NAME, UID, NAME:GROUP, UID:GID, in any mixture."""
    who, _, whose = user.partition(":")
    people, groups = _rows(passwd, 6), _rows(group, 3)
    number = _number(who) if who else 0
    person = next((p for p in people if (p[0] == who if number is None else int(p[2]) == number)), None)
    if person is None and number is None:
        raise UserError(f"unable to find user {who}: no matching entries in passwd file")
    uid = int(person[2]) if person else int(number or 0)
    gid = (_number(person[3]) or 0) if person else 0
    also: tuple[int, ...] = ()
    if whose:
        given = _number(whose)
        entry = next((g for g in groups if (g[0] == whose if given is None else int(g[2]) == given)), None)
        if entry is None and given is None:
            raise UserError(f"unable to find group {whose}: no matching entries in group file")
        gid = int(entry[2]) if entry else int(given or 0)
    elif person:
        name = person[0]
        also = tuple(sorted({int(g[2]) for g in groups if len(g) > 3 and name in g[3].split(",")} - {gid}))
    return Account(uid, gid, also, (person[5] if person else "") or "/")


def is_numeric(user: str) -> bool:
    return _number(user.partition(":")[0] or "0") is not None
