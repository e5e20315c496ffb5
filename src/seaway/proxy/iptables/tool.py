"""The iptables programs: what is there, and a restore of what should be. The two backends (legacy, nft) are chosen by name."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Protocol

from seaway.proxy.kernel import KernelError, may_force_buffers

TIMEOUT = 300.0
WAIT = "5"  # seconds for the lock of the legacy backend
BACKENDS = ("auto", "legacy", "nft")
Held = dict[str, dict[str, list[str]]]  # table -> chain -> rules


class Tool(Protocol):
    """`bounded`: a transaction of the nft backend may not be larger than a socket's buffer is."""

    backend: str
    bounded: bool

    def save(self, family: int) -> Held: ...

    def restore(self, family: int, text: str) -> None: ...


def read(text: str) -> Held:
    """The output of iptables-save."""
    found: Held = {}
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = found.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            table.setdefault(line[1:].partition(" ")[0], [])
        elif line.startswith("-A "):
            chain, _, rule = line[3:].partition(" ")
            table.setdefault(chain, []).append(rule)
    return found


class Iptables:
    """Runs `iptables-restore` and `iptables-save` of a backend; nothing that a user writes reaches a shell."""

    def __init__(self, backend: str = "auto") -> None:
        self._path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
        self.bounded = not may_force_buffers()
        self.backend = self._chosen() if backend == "auto" else backend
        for family in (4, 6):
            self._program(family, "restore")

    def _chosen(self) -> str:
        """The backend that others have rules in already, as mixing them goes wrong; else the machine's own. In a user namespace
        the nft tool takes few rules at a time: the legacy one has no such bound."""
        if self.bounded and self._legacy_works():
            return "legacy"
        for backend in ("legacy", "nft"):
            program = shutil.which(f"iptables-{backend}-save", path=self._path)
            if program is not None and self._rules(program):
                return backend
        try:
            said = subprocess.run(["iptables", "--version"], capture_output=True, text=True, env={"PATH": self._path})
        except OSError:
            return "nft"
        return "nft" if "nf_tables" in said.stdout else "legacy"

    def _legacy_works(self) -> bool:
        programs = (shutil.which(f"{name}-legacy", path=self._path) for name in ("iptables", "ip6tables"))
        return all(program and self._lists(program, table) for program in programs for table in ("nat", "filter"))

    def _lists(self, program: str, table: str) -> bool:
        command = [program, "-w", WAIT, "-t", table, "-S"]
        return subprocess.run(command, capture_output=True, env={"PATH": self._path}, timeout=TIMEOUT).returncode == 0

    def in_use(self) -> bool:
        """Whether this backend has any rule; asking the legacy one does not begin it."""
        return self._rules(self._program(4, "save"))

    def _rules(self, program: str) -> bool:
        # The legacy tool loads its modules when asked; where none is in use it must not begin.
        if "legacy" in program and not os.path.exists("/proc/net/ip_tables_names"):
            return False
        done = subprocess.run([program], capture_output=True, text=True, env={"PATH": self._path}, timeout=TIMEOUT)
        return any(line.startswith("-A ") for line in done.stdout.splitlines())

    def _program(self, family: int, what: str) -> str:
        name = f"{'iptables' if family == 4 else 'ip6tables'}-{self.backend}-{what}"
        found = shutil.which(name, path=self._path)
        if found is None:
            raise KernelError(f"{name} is missing: apt-get install iptables")
        return found

    def save(self, family: int) -> Held:
        """Every table's chains and rules."""
        return read(self._run([self._program(family, "save")], ""))

    def restore(self, family: int, text: str) -> None:
        """Applies a text, each table of it whole or not at all; KernelError where it was refused."""
        wait = ["-w", WAIT] if self.backend == "legacy" else []
        self._run([self._program(family, "restore"), *wait, "--noflush", "--counters"], text)

    def _run(self, command: list[str], text: str) -> str:
        try:
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=TIMEOUT, env={"PATH": self._path}
            )
        except subprocess.TimeoutExpired:
            raise KernelError(f"{os.path.basename(command[0])} took more than {TIMEOUT:.0f} s") from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            told = lines[0] if lines else "failed without a message"
            if self.bounded and self.backend == "nft" and "Message too long" in told:
                told += " (a user namespace bounds what the nft tool takes at a time: --iptables-backend legacy)"
            raise KernelError(f"{os.path.basename(command[0])}: {told}")
        return done.stdout
