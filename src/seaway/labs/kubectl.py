"""kubectl as the labs use it: what a person would type, on the lab's own cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from seaway.cluster.launch import LaunchError
from seaway.cluster.place import Place

Tree = dict[str, Any]
WITHIN = 120.0


class Kubectl:
    def __init__(self, where: Place) -> None:
        self.path = shutil.which("kubectl") or str(Path(sys.executable).with_name("kubectl"))
        if not os.path.exists(self.path):
            raise LaunchError("kubectl is missing; `make setup` gets one")
        self.env = {**os.environ, "KUBECONFIG": str(where.kubeconfig)}

    def command(self, *args: str) -> list[str]:
        return [self.path, *args]

    def __call__(self, *args: str, text: str = "", check: bool = True) -> str:
        """Runs a command; LaunchError with its own words where it fails."""
        done = subprocess.run(
            self.command(*args), input=text, capture_output=True, text=True, env=self.env, timeout=WITHIN
        )
        if check and done.returncode:
            raise LaunchError(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def succeeds(self, *args: str) -> bool:
        return subprocess.run(self.command(*args), capture_output=True, env=self.env, timeout=WITHIN).returncode == 0

    def apply(self, trees: Iterable[Tree]) -> None:
        self("apply", "-f", "-", text="\n".join(json.dumps(tree) for tree in trees))

    def item(self, *args: str) -> Tree:
        found: Tree = json.loads(self("get", *args, "-o", "json"))
        return found

    def items(self, *args: str) -> list[Tree]:
        found: list[Tree] = self.item(*args)["items"]
        return found

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + WITHIN
        while not true():
            if time.monotonic() > end:
                raise LaunchError(f"not within {WITHIN:.0f} s; kubectl describe says more")
            time.sleep(0.2)
