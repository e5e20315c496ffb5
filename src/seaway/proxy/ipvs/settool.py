"""The ipset program: changes as one restore, and what is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

from seaway.proxy.ipvs import sets
from seaway.proxy.kernel import KernelError


class Ipset:
    def __init__(self) -> None:
        self._path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
        self._program = shutil.which("ipset", path=self._path) or ""
        if not self._program:
            raise KernelError("ipset is missing: apt-get install ipset")

    def apply(self, lines: Iterable[str]) -> None:
        """Lines of `ipset restore`; what is there already, or gone already, is no error."""
        text = "".join(f"{line}\n" for line in lines)
        if text:
            self._run(["restore", "-exist"], text)

    def held(self) -> dict[str, set[str]]:
        return sets.read(self._run(["save"], ""))

    def _run(self, arguments: list[str], text: str) -> str:
        done = subprocess.run(
            [self._program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": self._path},
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise KernelError(f"ipset: {lines[0] if lines else 'failed without a message'}")
        return done.stdout
