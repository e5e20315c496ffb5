"""A layer of an image: a tar stream that becomes a folder which overlayfs can lie over others.

What the stream says is not believed: a name that is absolute or climbs, a link that leads out, a device, too much of
anything refuses the whole image, and nothing is ever written but below the folder given. Whiteouts become overlayfs's own
(a character device 0:0); an opaque folder becomes one whiteout for each name that it hides, so that no extended attribute
is needed and any file system can hold the store.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from dataclasses import dataclass
from typing import IO

WHITEOUT, OPAQUE, INTERNAL = ".wh.", ".wh..wh..opq", ".wh..wh."
HEADER_LIMIT, CHUNK = 1 << 20, 1 << 18
LINKS = 40
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE)


class Refused(Exception):
    """An archive that is not taken, whole; the text says which part of it and why."""


class Info(tarfile.TarInfo):
    """A member whose extended header is not read into memory without bound."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > HEADER_LIMIT:
            raise Refused(f"an extended header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc,no-any-return]


@dataclass(slots=True)
class Budget:
    """What an image may still take."""

    size: int = 16 << 30
    entries: int = 1_000_000
    set_id: int = 1000

    def take(self, size: int, what: str) -> None:
        self.size -= size
        if self.size < 0:
            raise Refused(f"{what}: the image unpacks to more than is allowed (see --limit)")

    def entry(self, member: tarfile.TarInfo) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise Refused("the image has too many files")
        if member.isreg() and member.mode & 0o6000:
            self.set_id -= 1
            if self.set_id < 0:
                raise Refused("the image has too many set-user-ID files")


def parts_of(name: str, what: str) -> tuple[str, ...]:
    """A member's path as parts; Refused where it is absolute or climbs."""
    shown = name[:200]
    if name.startswith("/"):
        raise Refused(f"{what} {shown!r} is an absolute path")
    parts = tuple(p for p in name.split("/") if p not in ("", "."))
    if ".." in parts:
        raise Refused(f"{what} {shown!r} leads out of the image")
    if "\0" in name or any(len(os.fsencode(p)) > 255 for p in parts):
        raise Refused(f"{what} {shown!r} is no file name")
    return parts


def climbs(folder: tuple[str, ...], target: str) -> bool:
    """Whether a relative link's target in `folder` goes above the root."""
    depth = len(folder)
    for part in target.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return True
        elif part not in ("", "."):
            depth += 1
    return False


def is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


class Layer:
    """One layer on its way into `folder`, above the folders `lowers` (the nearest first). Nobody else writes there."""

    def __init__(self, folder: str, lowers: tuple[str, ...], budget: Budget) -> None:
        self._folder, self._lowers, self._budget = folder, lowers, budget
        self._is_root = os.geteuid() == 0
        self._shown: dict[tuple[str, ...], tuple[str, ...]] = {(): lowers}
        self._opaque: set[tuple[str, ...]] = set()
        self._times: list[tuple[str, float]] = []
        self.size = 0

    # what is there

    def _here(self, parts: tuple[str, ...]) -> str:
        return os.path.join(self._folder, *parts)

    def _lower_folders(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """The folders of lower layers that overlayfs would merge at `parts`."""
        if parts in self._shown:
            return self._shown[parts]
        found = []
        for folder in self._lower_folders(parts[:-1]):
            path = os.path.join(folder, parts[-1])
            entry = _lstat(path)
            if entry is None:
                continue
            if not stat.S_ISDIR(entry.st_mode):
                break  # a file, a link or a whiteout hides what is below it
            found.append(path)
        self._shown[parts] = tuple(found)
        return self._shown[parts]

    def _below(self, parts: tuple[str, ...]) -> str:
        """Where lower layers show something at `parts`; empty: nothing, or hidden by an opaque folder of this layer."""
        if any(parts[:n] in self._opaque for n in range(len(parts))):
            return ""
        for folder in self._lower_folders(parts[:-1]):
            path = os.path.join(folder, parts[-1])
            entry = _lstat(path)
            if entry is not None:
                return "" if is_whiteout(entry) else path
        return ""

    def _resolve(self, parts: tuple[str, ...], what: str) -> tuple[str, ...]:
        """The folder `parts` with the links on its way followed, inside the image."""
        done: tuple[str, ...] = ()
        rest, links = list(parts), 0
        while rest:
            part = rest.pop(0)
            if part == "..":
                done = done[:-1]
                continue
            path = self._here((*done, part))
            entry = _lstat(path)
            if entry is None:
                path = self._below((*done, part))
                entry = _lstat(path) if path else None
            if entry is not None and stat.S_ISLNK(entry.st_mode):
                links += 1
                target = os.readlink(path)
                if target.startswith("/") or climbs(done, target) or links > LINKS:
                    raise Refused(f"{what} goes through the link {'/'.join((*done, part))!r}, which leads out")
                rest = [p for p in target.split("/") if p not in ("", ".")] + rest
                continue
            if entry is not None and not stat.S_ISDIR(entry.st_mode) and not is_whiteout(entry):
                raise Refused(f"{what} goes through {'/'.join((*done, part))!r}, which is no folder")
            done = (*done, part)
        return done

    # changes

    def _whiteout(self, parts: tuple[str, ...]) -> None:
        os.mknod(self._here(parts), stat.S_IFCHR | 0o600, 0)

    def _make_opaque(self, parts: tuple[str, ...]) -> None:
        """Hides all that lower layers have in a folder of this layer."""
        for name in sorted({n for f in self._lower_folders(parts) for n in os.listdir(f)}):
            entry = _lstat(self._here((*parts, name)))
            if entry is None:
                self._whiteout((*parts, name))
            elif stat.S_ISDIR(entry.st_mode):
                self._make_opaque((*parts, name))
        self._opaque.add(parts)

    def _clear(self, parts: tuple[str, ...]) -> bool:
        """Takes away what this layer has at `parts`; True: there was something, which hid what lower layers have."""
        path = self._here(parts)
        entry = _lstat(path)
        if entry is None:
            return False
        if stat.S_ISDIR(entry.st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        return True

    def _own(self, path: str, uid: int, gid: int, mode: int, is_folder: bool = False) -> None:
        """An ordinary user's files stay that user's, who is the containers' root; folders stay open to their owner."""
        if self._is_root:
            os.chown(path, uid, gid, follow_symlinks=False)
        elif is_folder:
            mode |= 0o700
        os.chmod(path, mode & 0o7777)

    def _folder_at(self, parts: tuple[str, ...]) -> None:
        """Makes the folder be in this layer, with the attributes that a lower layer gives it."""
        for depth in range(1, len(parts) + 1):
            here = parts[:depth]
            entry = _lstat(self._here(here))
            if entry is not None and stat.S_ISDIR(entry.st_mode):
                continue
            below = self._below(here) if entry is None else ""
            hidden = self._clear(here)
            os.mkdir(self._here(here), 0o755)
            if hidden:
                self._make_opaque(here)
            if below:
                model = os.lstat(below)
                self._own(self._here(here), model.st_uid, model.st_gid, stat.S_IMODE(model.st_mode), True)

    def add(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """One member of the stream."""
        self._budget.entry(member)
        parts = parts_of(member.name, "the path")
        what = f"the path {member.name[:200]!r}"
        if not parts:
            return
        parent = self._resolve(parts[:-1], what)
        name = parts[-1]
        if name.startswith(WHITEOUT):
            self._folder_at(parent)
            self._hide(parent, name, what)
            return
        if not (0 <= member.uid < 1 << 32 and 0 <= member.gid < 1 << 32):
            raise Refused(f"{what} has an owner that no system has")
        here = (*parent, name)
        path = self._here(here)
        self._folder_at(parent)
        if member.isdir():
            entry = _lstat(path)
            if entry is None or not stat.S_ISDIR(entry.st_mode):
                hidden = self._clear(here)
                os.mkdir(path, 0o755)
                if hidden:
                    self._make_opaque(here)
            self._own(path, member.uid, member.gid, member.mode, True)
            self._times.append((path, member.mtime))
            return
        if member.islnk():
            self._hard_link(member, path, here, what)
            return
        if member.issym():
            if not member.linkname or "\0" in member.linkname:
                raise Refused(f"{what} is a link to nothing")
            if not member.linkname.startswith("/") and climbs(parent, member.linkname):
                raise Refused(f"{what} is a link that leads out of the image: {member.linkname[:200]!r}")
            self._clear(here)
            os.symlink(member.linkname, path)
            if self._is_root:
                os.chown(path, member.uid, member.gid, follow_symlinks=False)
        elif member.isfifo():
            self._clear(here)
            os.mkfifo(path)
            self._own(path, member.uid, member.gid, member.mode)
        elif member.type in _FILES and content is not None:
            self._clear(here)
            self._file(path, content, member.size, what)
            self._own(path, member.uid, member.gid, member.mode)
            os.utime(path, (member.mtime, member.mtime))
        elif member.ischr() or member.isblk():
            raise Refused(f"{what} is a device node")
        else:
            raise Refused(f"{what} is of a kind that images do not have")

    def _file(self, path: str, content: IO[bytes], size: int, what: str) -> None:
        self._budget.take(size, what)
        self.size += size
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as f:
            left = size
            while left:
                data = content.read(min(CHUNK, left))
                if not data:
                    raise Refused(f"{what} is cut short")
                f.write(data)
                left -= len(data)

    def _hard_link(self, member: tarfile.TarInfo, path: str, here: tuple[str, ...], what: str) -> None:
        wanted = parts_of(member.linkname, f"{what} is a hard link whose target")
        if not wanted:
            raise Refused(f"{what} is a hard link to a folder")
        target = (*self._resolve(wanted[:-1], what), wanted[-1])
        if target == here:
            return
        entry = _lstat(self._here(target))
        if entry is not None and not is_whiteout(entry):
            if stat.S_ISDIR(entry.st_mode):
                raise Refused(f"{what} is a hard link to a folder")
            self._clear(here)
            os.link(self._here(target), path, follow_symlinks=False)
            return
        below = self._below(target) if entry is None else ""
        model = os.lstat(below) if below else None
        if model is None or not stat.S_ISREG(model.st_mode):
            raise Refused(f"{what} is a hard link to {member.linkname[:200]!r}, which is not in the image")
        self._clear(here)
        fd = os.open(below, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as f:
            self._file(path, f, model.st_size, what)
        self._own(path, model.st_uid, model.st_gid, stat.S_IMODE(model.st_mode))

    def _hide(self, parent: tuple[str, ...], name: str, what: str) -> None:
        """OCI image-spec layer.md: whiteouts speak of lower layers, wherever in the stream they stand."""
        if name == OPAQUE:
            self._make_opaque(parent)
            return
        if name.startswith(INTERNAL):
            return  # aufs's own notes
        hidden = name.removeprefix(WHITEOUT)
        if hidden in ("", ".", ".."):
            raise Refused(f"{what} is a whiteout of nothing")
        here = (*parent, hidden)
        entry = _lstat(self._here(here))
        if entry is None:
            if self._below(here):
                self._whiteout(here)
        elif stat.S_ISDIR(entry.st_mode):
            self._make_opaque(here)

    def finish(self) -> None:
        for path, when in reversed(self._times):
            if os.path.isdir(path) and not os.path.islink(path):
                os.utime(path, (when, when))


def unpack(stream: IO[bytes], folder: str, lowers: tuple[str, ...], budget: Budget) -> int:
    """Makes `folder` (which is there, and empty) the layer that the tar stream describes; its bytes."""
    layer = Layer(folder, lowers, budget)
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=Info) as tar:
            for member in tar:
                layer.add(member, tar.extractfile(member) if member.type in _FILES else None)
                vars(tar)["members"].clear()  # the stream is not read twice
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as e:
        raise Refused(f"the layer is damaged: {e}") from None
    layer.finish()
    return layer.size
