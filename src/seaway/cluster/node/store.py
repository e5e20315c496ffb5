"""The images of a cluster: a folder of layers that all its nodes share, and `images.json`, which says what they make.

A layer is a folder named after its chain (its own content and that of all below it), unpacked beside and renamed; the index
is replaced whole. Whoever is killed in between leaves only what the next change sweeps away. Writers hold a lock; readers
need none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from seaway.cluster.node import archives, references
from seaway.cluster.node.archives import Found, Source
from seaway.cluster.node.layers import Budget, Refused, is_whiteout, unpack

Tree = dict[str, Any]
INDEX, NAME_LENGTH, FILE_LIMIT = "images.json", 24, 1 << 20
# Tar headers and padding beside the files' own bytes.
OVERHEAD = 1 << 30


def machine() -> str:
    """This machine's architecture, in Go's words."""
    name = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(name, name)


def chains(diff_ids: list[str]) -> list[str]:
    """Chain IDs (image-spec config.md), cut to what a mount option of one page has room for."""
    found: list[str] = []
    whole = ""
    for diff_id in diff_ids:
        whole = "sha256:" + hashlib.sha256(f"{whole} {diff_id}".encode()).hexdigest() if whole else diff_id
        found.append(whole.removeprefix("sha256:")[:NAME_LENGTH])
    return found


class Store:
    """The store at `folder`; an empty one where there is none."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._stamp: tuple[int, int] = (0, 0)
        self._told: tuple[int, int] = (0, 0)
        self._images: tuple[Tree, ...] = ()

    @property
    def layers(self) -> str:
        return os.path.join(self.folder, "layers")

    def changed(self) -> bool:
        """Whether the index is another than when this was last asked: who looks for an image in between takes nothing away."""
        self.images()
        before, self._told = self._told, self._stamp
        return before != self._told

    def images(self) -> tuple[Tree, ...]:
        path = os.path.join(self.folder, INDEX)
        try:
            found = os.stat(path)
            if (found.st_mtime_ns, found.st_ino) != self._stamp:
                with open(path) as f:
                    self._images = tuple(json.load(f)["images"])
                self._stamp = (found.st_mtime_ns, found.st_ino)
        except FileNotFoundError:
            self._images, self._stamp = (), (0, 0)
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise OSError(f"the images of this cluster cannot be read: {path}: {e}") from None
        return self._images

    def find(self, text: str) -> Tree | None:
        """The image that a name, a digest or an ID (or its beginning, from six digits) means."""
        images = self.images()
        digits = text.removeprefix("sha256:")
        if len(digits) >= 6 and not set(digits) - set("0123456789abcdef"):
            found = [i for i in images if i["id"].removeprefix("sha256:").startswith(digits)]
            if len(found) == 1:
                return found[0]
        try:
            wanted = references.spellings(text)
        except ValueError:
            return None
        return next((i for w in wanted for i in images if w in i["names"] or w in i["digests"]), None)

    def read(self, image: Tree, path: str) -> str:
        """A text file of an image; empty where there is none. Links are not followed: a layer is nobody's friend."""
        parts = [p for p in path.split("/") if p]
        for name in reversed(image["layers"]):
            where = os.path.join(self.layers, name)
            for n, part in enumerate(parts):
                where = os.path.join(where, part)
                try:
                    entry = os.lstat(where)
                except (FileNotFoundError, NotADirectoryError):
                    break
                is_last = n == len(parts) - 1
                if is_last and stat.S_ISREG(entry.st_mode):
                    with open(where, encoding="utf-8", errors="replace") as f:
                        return f.read(FILE_LIMIT)
                if is_last or is_whiteout(entry) or not stat.S_ISDIR(entry.st_mode):
                    return ""
        return ""

    # changes

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        os.makedirs(self.layers, mode=0o700, exist_ok=True)
        os.chmod(self.folder, 0o700)  # set-user-ID files in here are nobody else's business
        with open(os.path.join(self.folder, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._sweep()
                yield
            finally:
                self._sweep()

    def _sweep(self) -> None:
        """Takes away what no image of the index has: what killed writers left, and layers of images that are no more."""
        shutil.rmtree(os.path.join(self.folder, "unpacking"), ignore_errors=True)
        used = {name for image in self.images() for name in image["layers"]}
        for name in os.listdir(self.layers):
            if name not in used:
                shutil.rmtree(os.path.join(self.layers, name), ignore_errors=True)

    def _write(self, images: list[Tree]) -> None:
        path = os.path.join(self.folder, INDEX)
        with open(path + ".new", "w") as f:
            json.dump({"images": images}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(path + ".new", path)

    def load(self, path: str, tag: str = "", limit: int = 0) -> list[Tree]:
        """Takes the images of an archive; Refused says why none of them was taken."""
        with self._locked():
            unpacking = os.path.join(self.folder, "unpacking")
            os.makedirs(unpacking)
            budget = Budget(size=limit) if limit else Budget()
            source = archives.opened(path, os.path.join(unpacking, "archive"), replace(budget))
            found = archives.images(source, machine())
            if tag and len(found) > 1:
                raise Refused(f"--tag names one image; the archive has {len(found)}")
            records = [self._unpack(source, image, (tag,) if tag else image.names, budget) for image in found]
            kept = [dict(i) for i in self.images()]
            for record in records:
                kept = [_without(i, record["names"] + record["digests"]) for i in kept]
                same = [i for i in kept if i["id"] == record["id"]]
                for field in ("names", "digests"):
                    record[field] = sorted({*record[field], *(n for i in same for n in i[field])})
                kept = [i for i in kept if i["id"] != record["id"]] + [record]
            self._write(kept)
            return records

    def _unpack(self, source: Source, image: Found, names: tuple[str, ...], budget: Budget) -> Tree:
        whole = []
        for name in names:
            try:
                whole.append(str(references.parse(name)))
            except ValueError as e:
                raise Refused(str(e)) from None
        folders = chains([layer.diff_id for layer in image.layers])
        sizes = []
        for n, (layer, folder) in enumerate(zip(image.layers, folders, strict=True)):
            target = os.path.join(self.layers, folder)
            if not os.path.isdir(target):
                fresh = os.path.join(self.folder, "unpacking", folder)
                os.mkdir(fresh, 0o755)
                lowers = tuple(os.path.join(self.layers, name) for name in reversed(folders[:n]))
                try:
                    _layer(source, layer, fresh, lowers, budget)
                except Refused as e:
                    raise Refused(f"layer {n + 1} of {len(folders)} ({layer.name}): {e}") from None
                os.rename(fresh, target)
            sizes.append(_size(target))
        config = image.config.get("config") or {}
        repositories = sorted({str(references.parse(n).repository) for n in whole})
        return {
            "id": image.id,
            "names": whole,
            "digests": [f"{r}@{image.digest}" for r in repositories] if image.digest else [],
            "layers": folders,
            "config": {k: v for k, v in config.items() if v},
            "size": sum(sizes),
            "created": str(image.config.get("created") or ""),
            "loaded": int(time.time()),
        }

    def remove(self, text: str) -> list[str]:
        """Takes a name away, or with an ID the image; what was taken, KeyError where there is none."""
        with self._locked():
            image = self.find(text)
            if image is None:
                raise KeyError(text)
            names = (
                set(references.spellings(text))
                if not image["id"].removeprefix("sha256:").startswith(text.removeprefix("sha256:"))
                else {*image["names"], *image["digests"]}
            )
            left = _without(image, list(names))
            gone = sorted(names & {*image["names"], *image["digests"]})
            if not left["names"]:
                left, gone = {}, sorted({*gone, image["id"]})
            self._write([left if i is image else i for i in self.images() if i is not image or left])
            return gone


def _without(image: Tree, names: list[str]) -> Tree:
    """The image without names that another one has now."""
    return {**image, **{field: [n for n in image[field] if n not in names] for field in ("names", "digests")}}


def _layer(source: Source, layer: archives.Blob, folder: str, lowers: tuple[str, ...], budget: Budget) -> None:
    with source.open(layer.name) as file, archives.decompressed(file, budget.size + OVERHEAD, layer.digest) as stream:
        unpack(stream, folder, lowers, budget)  # type: ignore[arg-type]
    if stream.digest != layer.diff_id:
        raise Refused(f"its content has the digest {stream.digest}; the configuration says {layer.diff_id}")


def _size(folder: str) -> int:
    found = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found += os.lstat(os.path.join(base, name)).st_size
    return found
