"""What every data plane is to the process: something that holds one table a family."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from seaway.proxy.table import Delta, ServiceTable


class Plane(Protocol):
    """`whole` makes the kernel's state that of a table, whatever is there; `change` follows with a difference. Both raise
    KernelError where the kernel refuses: what was there before still works then, and `whole` comes next.

    `audit` looks whether the state is still there, beside the running proxy, and mends it: `table` gives what it should be,
    `unchanged` says whether that still is what it was when the audit began. It returns what was wrong, "" for nothing."""

    def whole(self, table: ServiceTable) -> None: ...

    def change(self, family: int, delta: Delta) -> None: ...

    async def audit(self, family: int, table: Callable[[], ServiceTable], unchanged: Callable[[], bool]) -> str: ...

    async def retire(self) -> None:
        """What a mode owes its connections before its process ends. Of the kernel's modes they go on by themselves."""

    def cleanup(self) -> None: ...


class RuleCount(NamedTuple):
    """Rules of a family in a table of the kernel: all of ours, and those that the last sync wrote."""

    family: int
    table: str
    total: int
    last: int


@runtime_checkable
class Ruled(Protocol):
    """A plane whose rules are counted."""

    def rules(self) -> list[RuleCount]: ...
