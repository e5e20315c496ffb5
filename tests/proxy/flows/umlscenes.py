"""Scenes inside User-mode Linux, side by side: they mostly wait.

    umlscenes.py MODE "SCENE ARGUMENTS" ...

Writes one JSON line a scene: {"played", "status", "out", "err"}.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import flowrun

SCENES = Path(__file__).resolve().parent / "flowscenes.py"


def main(mode: str, scenes: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir="/run") as name:  # this kernel's own
        running = {}
        for scene in scenes:
            what, *more = scene.split(" ")
            folder = Path(name, what)
            folder.mkdir()
            running[what] = folder, flowrun.start([sys.executable, str(SCENES), what, mode, *more], folder)
        for what, (folder, process) in running.items():
            status = process.wait()
            told = {kind: (folder / kind).read_text()[-3000:] for kind in ("out", "err")}
            print(json.dumps({"played": what, "status": status, **told}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
