"""Where a cluster keeps its things on the host: the runtime folder (gone with the cluster) and the data folder (kept).

Runtime folder: kubeconfig, state.json (who init is), control.sock, shutdown-NODE.json (of a node that is to be down), logs/,
pki/ and kubeconfigs/ (mode 0700), private/ (the mount point of a tmpfs that only the cluster sees).
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class PlaceError(Exception):
    """A folder that cannot be used; the text says what to do."""


def base() -> Path:
    """The folder of all clusters of this user: $SEAWAY_RUNTIME, /run/seaway as root, $XDG_RUNTIME_DIR or /tmp otherwise."""
    if os.environ.get("SEAWAY_RUNTIME"):
        return Path(os.environ["SEAWAY_RUNTIME"])
    if os.geteuid() == 0:
        return Path("/run/seaway")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime) and os.access(runtime, os.W_OK):
        return Path(runtime, "seaway")
    return Path(f"/tmp/seaway-{os.geteuid()}")


@dataclass(frozen=True, slots=True)
class Place:
    """The runtime folder of one cluster."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def private(self) -> Path:
        return self.folder / "private"

    @property
    def control(self) -> Path:
        return self.folder / "control.sock"

    def shutdown(self, node: str) -> Path:
        """The file whose presence asks a node to shut down."""
        return self.folder / f"shutdown-{node}.json"

    def state(self) -> dict[str, Any]:
        """What `up` wrote about the running cluster; {} where there is none."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
            return found
        except (OSError, ValueError):
            return {}

    def write_state(self, state: dict[str, Any]) -> None:
        temporary = self.folder / "state.json.new"
        temporary.write_text(json.dumps(state))
        temporary.replace(self.folder / "state.json")

    def make(self) -> None:
        """Makes the folder, ours alone. A folder of somebody else's in its place is refused, not used."""
        parent = self.folder.parent
        for folder in (parent, self.folder):
            folder.mkdir(mode=0o700, exist_ok=True, parents=True)
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise PlaceError(f"{folder} belongs to somebody else; set SEAWAY_RUNTIME to a folder of yours")
        os.chmod(self.folder, 0o700)


def of(name: str) -> Place:
    return Place(base() / name)


def all_names() -> list[str]:
    """The clusters that have a runtime folder."""
    folder = base()
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if (p / "state.json").exists())


def start_time(pid: int) -> str:
    """When a process began, in ticks since boot: with its pid this names it for good. Empty: there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def is_alive(state: dict[str, Any]) -> bool:
    pid = state.get("pid", 0)
    return bool(pid) and start_time(pid) == state.get("started")
