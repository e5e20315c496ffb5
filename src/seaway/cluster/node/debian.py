"""Programs out of Debian packages: downloaded by apt, which checks their signatures, and unpacked into a folder of ours.

The machine itself is not changed: no root rights, no package database, no maintainer scripts. A program's folder holds what
the machine lacks of the packages and of what they depend on; `ready.json` in it says that it is whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from seaway.cluster.node.layers import Budget, Info, Layer, Refused
from seaway.cluster.node.packages import Program

READY, WITHIN = "ready.json", 300
SIZE = 2 << 30
# Folders that are links into /usr where the distribution is merged: packages still name them.
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class FetchError(Exception):
    """A program that could not be fetched; the text says why."""


def cache() -> str:
    """Where fetched programs are kept, for all clusters of this user: $SEAWAY_CACHE, /var/cache/seaway as root, or below
    $XDG_CACHE_HOME."""
    if os.environ.get("SEAWAY_CACHE"):
        return os.environ["SEAWAY_CACHE"]
    if os.geteuid() == 0:
        return "/var/cache/seaway"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "seaway")


class Fetched:
    """The programs that were fetched into `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.join(folder, "programs", os.uname().machine)

    def root(self, program: str) -> str:
        """The folder that lies over the machine's; empty where the program was not fetched."""
        path = os.path.join(self.folder, program)
        return os.path.join(path, "root") if os.path.exists(os.path.join(path, READY)) else ""

    def fetch(self, program: Program) -> list[str]:
        """Fetches a program, where it is not there yet; the packages that it took."""
        target = os.path.join(self.folder, program.program)
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            with self._locked():
                if not self.root(program.program):
                    fresh = target + ".new"
                    for old in (fresh, target):
                        shutil.rmtree(old, ignore_errors=True)
                    os.makedirs(os.path.join(fresh, "root"))
                    taken = _fill(fresh, program, os.path.dirname(self.folder))
                    Path(fresh, READY).write_text(json.dumps({"packages": taken}))
                    os.rename(fresh, target)
                found: list[str] = json.loads(Path(target, READY).read_text())["packages"]
                return found
        except OSError as e:
            raise FetchError(f"{e.filename or self.folder}: {e.strerror or e}") from None
        except Refused as e:
            raise FetchError(str(e)) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(os.path.join(self.folder, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _apt(words: list[str], options: dict[str, str]) -> subprocess.CompletedProcess[str]:
    settings = {"Debug::NoLocking": "1", "Acquire::Retries": "1", "Acquire::http::Timeout": "20", **options}
    # apt's own user has no way into our folder.
    settings["APT::Sandbox::User"] = "root" if os.geteuid() == 0 else ""
    flags = [f for k, v in settings.items() for f in ("-o", f"{k}={v}")]
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            ["apt-get", "-q", "-y", *flags, *words],
            capture_output=True,
            text=True,
            env=environment,
            timeout=WITHIN,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise FetchError("this machine has no apt-get") from None
    except subprocess.TimeoutExpired:
        raise FetchError(f"apt-get did not answer within {WITHIN} s") from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()[-1:]
    return lines[0].removeprefix("E:").strip()[:300] if lines else f"apt-get ended with {done.returncode}"


def download(program: Program, folder: str, lists: str) -> list[str]:
    """Downloads what the machine lacks into `folder`: by its own package lists, else by fresh ones of ours."""
    for name in ("archives/partial", "lists/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    places = {
        "Dir::Cache": folder,
        "Dir::Cache::archives": os.path.join(folder, "archives"),
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    wanted = ["install", "--download-only", "--no-install-recommends", "--reinstall", *program.packages]
    done = _apt(wanted, places)
    if done.returncode != 0:
        os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
        places["Dir::State::lists"] = lists
        updated = _apt(["update"], places)
        if updated.returncode != 0:
            raise FetchError(_said(updated))
        done = _apt(wanted, places)
    if done.returncode != 0:
        raise FetchError(_said(done))
    archives = os.path.join(folder, "archives")
    found = sorted(os.path.join(archives, n) for n in os.listdir(archives) if n.endswith(".deb"))
    if not found:
        raise FetchError(f"apt-get downloaded nothing for {' '.join(program.packages)}")
    return found


def _fill(fresh: str, program: Program, cache_folder: str) -> list[str]:
    scratch = os.path.join(fresh, "apt")
    taken = []
    try:
        layer = Layer(os.path.join(fresh, "root"), (), Budget(size=SIZE))
        for package in download(program, scratch, os.path.join(cache_folder, "lists")):
            _unpack(package, layer)
            taken.append(os.path.basename(package).removesuffix(".deb").replace("%3a", ":"))
        layer.finish()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return taken


def _merged(name: str) -> str:
    """A package's path on a machine whose /bin and /lib lie in /usr."""
    parts = [p for p in name.split("/") if p not in ("", ".")]
    return "/".join(["usr", *parts] if parts and parts[0] in MERGED and os.path.islink("/" + parts[0]) else parts)


def _unpack(package: str, layer: Layer) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process:
        stream: IO[bytes] | Any = process.stdout
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=Info) as tar:
            while (member := tar.next()) is not None:
                member.name = _merged(member.name)
                if member.islnk():
                    member.linkname = _merged(member.linkname)
                layer.add(member, tar.extractfile(member) if member.isreg() else None)
                vars(tar)["members"].clear()
    if process.returncode != 0:
        raise FetchError(f"dpkg-deb could not read {os.path.basename(package)}")
