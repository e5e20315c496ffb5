"""Who needs what on a proxy: nothing is taken away before its last user is."""

from __future__ import annotations

from seaway.envoy.xds.resources import Name, Resource


class Usage:
    """How many of the resources that a proxy has, or may have, need each name."""

    def __init__(self) -> None:
        self._users: dict[Name, int] = {}
        self._types: dict[str, int] = {}
        self.freed: list[Name] = []  # names whose last user went, for the session to take

    def add(self, user: Resource) -> None:
        for need in user.needs:
            self._users[need] = self._users.get(need, 0) + 1
            self._types[need.type] = self._types.get(need.type, 0) + 1

    def drop(self, user: Resource) -> None:
        for need in user.needs:
            self._types[need.type] -= 1
            left = self._users[need] - 1
            if left:
                self._users[need] = left
            else:
                del self._users[need]
                self.freed.append(need)

    def used(self, name: Name) -> bool:
        return name in self._users

    def uses_any(self, type: str) -> bool:
        return self._types.get(type, 0) > 0
