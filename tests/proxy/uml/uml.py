"""Programs of ours on another kernel: User-mode Linux (Debian's user-mode-linux), for what the machine's own kernel lacks.

It runs as a plain process of a plain user, has IPVS, dummy interfaces and SCTP, and no nftables. Its root is the host's file
system; `umlinit` mounts fresh ones over what would be written to. It has no network but what the job makes in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
BINARY = "linux.uml"
MEMORY = "768M"
ALWAYS = ("ipv6",)  # nothing asks for this module when it is needed


class Ended(NamedTuple):
    """What became of a job: its exit status and what it wrote. `console`: the kernel's own words."""

    status: int
    out: str
    err: str
    console: str


def missing() -> str:
    """What must be installed first; "" where all is here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return next((f"{p} is missing: tools/setup dev" for p in (BINARY, "modprobe") if not shutil.which(p, path=path)), "")


def command(folder: Path, memory: str = MEMORY) -> list[str]:
    """What boots the kernel with the job in `folder`. `setpriv`: it ends with whoever started it; a PID namespace: its traced
    helper processes end with it."""
    kernel = [
        BINARY, f"mem={memory}", "rootfstype=hostfs", "root=/dev/root", "rw", "hostfs=/", f"init={folder}/init",
        "con=null", "con0=null,fd:1", "quiet", "panic=-1", f"uml_dir={folder}", "umid=seaway",
    ]  # fmt: skip
    flags = ["--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        flags = ["--user", "--map-root-user", *flags]
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *flags, *kernel]


def start(folder: Path, job: list[str], timeout: float, modules: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Boots with a job whose output will be in `folder`."""
    settings = {"job": job, "modules": [*ALWAYS, *modules], "folder": str(folder), "timeout": timeout}
    (folder / "job.json").write_text(json.dumps(settings))
    # The kernel gives init no environment to speak of: the interpreter and the folder are said by a two-line script.
    (folder / "init").write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {HERE}/umlinit.py {folder}/job.json\n")
    (folder / "init").chmod(0o755)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(folder)  # where its memory file is, deleted at once
    environment = {**os.environ, "TMPDIR": memory, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    with open(folder / "console", "wb") as console:
        return subprocess.Popen(
            command(folder), stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, env=environment
        )


def run(job: list[str], timeout: float = 120, modules: tuple[str, ...] = ()) -> Ended:
    """Boots, runs a command as PID 1's child, powers off. `modules` are loaded first; others load as they are needed."""
    with tempfile.TemporaryDirectory(prefix="seaway-uml-") as name:
        folder = Path(name)
        process = start(folder, job, timeout, modules)
        try:
            process.wait(timeout + 30)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return Ended(_status(folder), _text(folder / "out"), _text(folder / "err"), _text(folder / "console"))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _status(folder: Path) -> int:
    text = _text(folder / "status")
    return int(text) if text else -1
