"""Image archives: `docker save` files and OCI layouts, as tar files (compressed or not) or folders, read without being
unpacked: a member is looked up by its name, and a name that leads out of the archive refuses it.

Digests are checked where the archive states them: blobs by the OCI layout's descriptors, layers by the configuration's
diff IDs. https://github.com/opencontainers/image-spec (image-layout.md, image-index.md, config.md).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import lzma
import os
import posixpath
import stat
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from seaway.cluster.node.layers import CHUNK, Budget, Info, Refused, parts_of

Tree = dict[str, Any]
TEXT_LIMIT, MEMBERS, NESTED, LAYERS = 8 << 20, 200_000, 8, 120
BOMB_SIZE, BOMB_RATIO = 256 << 20, 200
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer in its archive: where it is, and what it must be. `digest` of the stored bytes, empty where none is stated."""

    name: str
    digest: str
    diff_id: str


@dataclass(frozen=True, slots=True)
class Found:
    """One image of an archive. `id` is the digest of its configuration, `digest` that of its manifest where it has one."""

    names: tuple[str, ...]
    id: str
    digest: str
    config: Tree
    layers: tuple[Blob, ...]


class Source(Protocol):
    """Named content: a folder or a tar file."""

    def has(self, name: str) -> bool: ...

    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    """An OCI layout, or a `docker save` file unpacked, as a folder. Links in it are not followed."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _where(self, name: str) -> str:
        parts = parts_of(name, "the archive's path")
        for n in range(1, len(parts) + 1):
            if os.path.islink(os.path.join(self._path, *parts[:n])):
                raise Refused(f"the archive's path {name[:200]!r} goes through a link")
        return os.path.join(self._path, *parts)

    def has(self, name: str) -> bool:
        return os.path.isfile(self._where(name))

    def open(self, name: str) -> IO[bytes]:
        try:
            fd = os.open(self._where(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as e:
            raise Refused(f"the archive lacks {name[:200]!r}: {e.strerror}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Refused(f"the archive's {name[:200]!r} is no file")
        return os.fdopen(fd, "rb")


class Tar:
    """A tar file that can be read at any place."""

    def __init__(self, file: IO[bytes]) -> None:
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self._tar = tarfile.open(fileobj=file, mode="r:", tarinfo=Info)
            for member in self._tar:
                parts = parts_of(member.name, "the archive's path")
                if len(self._members) >= MEMBERS:
                    raise Refused("the archive has too many members")
                if member.ischr() or member.isblk():
                    raise Refused(f"the archive's {member.name[:200]!r} is a device node")
                self._members["/".join(parts)] = member
        except (tarfile.TarError, *DAMAGED) as e:
            raise Refused(f"not a tar file that can be read: {e}") from None

    def _find(self, name: str) -> tarfile.TarInfo | None:
        """Old `docker save` files name a layer that two images share by a link."""
        for _ in range(NESTED):
            member = self._members.get("/".join(parts_of(name, "the archive's path")))
            if member is None or member.isreg():
                return member
            if member.issym():
                name = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
            elif member.islnk():
                name = member.linkname
            else:
                return None
        return None

    def has(self, name: str) -> bool:
        return self._find(name) is not None

    def open(self, name: str) -> IO[bytes]:
        member = self._find(name)
        content = self._tar.extractfile(member) if member else None
        if content is None:
            raise Refused(f"the archive lacks {name[:200]!r}")
        return content


class _Checked(io.RawIOBase):
    """A stream that keeps count and digest of what was read, and is too long where it grows past its bound."""

    def __init__(self, inner: IO[bytes], limit: int) -> None:
        self._inner, self._hash, self.count, self._limit = inner, hashlib.sha256(), 0, limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._inner.read(size if size >= 0 else CHUNK)
        except DAMAGED as e:
            raise Refused(f"it cannot be read: {e}") from None
        self._hash.update(data)
        self.count += len(data)
        if self.count > self._limit:
            raise Refused("it unpacks to more than is allowed (see --limit)")
        return data

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()


class _Unpacked(io.RawIOBase):
    """A decompressed stream; refused where it grows out of all proportion to what it was packed in."""

    def __init__(self, inner: IO[bytes], packed: _Checked) -> None:
        self._inner, self._packed, self._count = inner, packed, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size if size >= 0 else CHUNK)
        self._count += len(data)
        if self._count > BOMB_SIZE and self._count > BOMB_RATIO * max(self._packed.count, 1):
            raise Refused(f"it unpacks to more than {BOMB_RATIO} times its size")
        return data


def _zstd(stream: IO[bytes]) -> IO[bytes]:
    try:
        module = importlib.import_module("compression.zstd")  # Python 3.14
    except ModuleNotFoundError:
        raise Refused(
            "it is compressed with zstd, which this Python cannot read (3.14 and newer can): "
            "unpack it with `zstd -d`, or save the image with gzip layers (`docker save`, `skopeo copy`)"
        ) from None
    opened: IO[bytes] = module.open(stream, "rb")
    return opened


@contextlib.contextmanager
def decompressed(file: IO[bytes], limit: int, digest: str = "") -> Iterator[_Checked]:
    """The content of a file that may be compressed; on leaving, the packed bytes must have had `digest`, if one is given."""
    packed = _Checked(file, limit)
    head = packed.read(6)
    stream: IO[bytes] = io.BufferedReader(_Joined(head, packed), CHUNK)
    if head.startswith(b"\x1f\x8b"):
        stream = _Unpacked(gzip.GzipFile(fileobj=stream, mode="rb"), packed)  # type: ignore[assignment,arg-type]
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        stream = _Unpacked(_zstd(stream), packed)  # type: ignore[assignment]
    elif head.startswith(b"\xfd7zXZ\0"):
        stream = _Unpacked(lzma.LZMAFile(stream), packed)  # type: ignore[assignment]
    elif head.startswith(b"BZh"):
        raise Refused("it is compressed with bzip2, which images do not use: use gzip")
    content = _Checked(stream, limit)
    yield content
    while content.read(CHUNK):
        pass  # what follows the end of a tar belongs to the digest
    while packed.read(CHUNK):
        pass
    if digest and packed.digest != digest:
        raise Refused(f"its digest is {packed.digest}, not {digest}")


class _Joined(io.RawIOBase):
    """Bytes already read, before the rest of their stream."""

    def __init__(self, head: bytes, rest: _Checked) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._head:
            data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        else:
            data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def text(source: Source, name: str) -> bytes:
    with source.open(name) as f:
        data = f.read(TEXT_LIMIT + 1)
    if len(data) > TEXT_LIMIT:
        raise Refused(f"the archive's {name!r} is too long")
    return data


def _tree(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as e:
        raise Refused(f"{what} is not JSON: {e}") from None


def _blob_name(digest: object) -> str:
    algorithm, _, value = str(digest).partition(":")
    if algorithm != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise Refused(f"the digest {str(digest)[:100]!r} is not one of sha256")
    return f"blobs/sha256/{value}"


def _blob(source: Source, descriptor: Tree, what: str) -> bytes:
    name = _blob_name(descriptor.get("digest"))
    data = text(source, name)
    if "sha256:" + hashlib.sha256(data).hexdigest() != descriptor["digest"]:
        raise Refused(f"{what} is not what its digest says: {descriptor['digest']}")
    return data


def _config(data: bytes, blobs: list[tuple[str, str]], names: tuple[str, ...], digest: str, machine: str) -> Found:
    config = _tree(data, "the image's configuration")
    if not isinstance(config, dict) or not isinstance(config.get("config") or {}, dict):
        raise Refused("the image's configuration is not an object")
    system, architecture = config.get("os") or "linux", config.get("architecture") or machine
    if system != "linux" or architecture != machine:
        raise Refused(f"the image is for {system}/{architecture}; this machine is linux/{machine}")
    diff_ids = (config.get("rootfs") or {}).get("diff_ids")
    if not isinstance(diff_ids, list) or len(diff_ids) != len(blobs):
        raise Refused("the image's configuration does not describe the layers that the archive has")
    if len(blobs) > LAYERS:
        raise Refused(f"the image has {len(blobs)} layers; {LAYERS} are possible")
    for diff_id in diff_ids:
        _blob_name(diff_id)
    layers = tuple(Blob(name, packed, str(d)) for (name, packed), d in zip(blobs, diff_ids, strict=True))
    return Found(names, "sha256:" + hashlib.sha256(data).hexdigest(), digest, config, layers)


def _docker(source: Source, machine: str) -> list[Found]:
    found = []
    entries = _tree(text(source, "manifest.json"), "manifest.json")
    if not isinstance(entries, list):
        raise Refused("manifest.json is not a list")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
            raise Refused("manifest.json has an entry without a Config")
        layers = entry.get("Layers") or []
        if not all(isinstance(name, str) for name in layers):
            raise Refused("manifest.json names layers that are no paths")
        names = tuple(str(n) for n in entry.get("RepoTags") or ())
        found.append(_config(text(source, entry["Config"]), [(n, "") for n in layers], names, "", machine))
    return found


def _names(descriptor: Tree) -> tuple[str, ...]:
    """What tools write: containerd and Docker the whole name beside the tag, skopeo and buildah one of them alone."""
    notes = descriptor.get("annotations") or {}
    whole, short = notes.get("io.containerd.image.name"), notes.get("org.opencontainers.image.ref.name")
    if whole:
        return (str(whole),)
    return (str(short),) if short and ("/" in str(short) or ":" in str(short)) else ()


def _oci(source: Source, machine: str) -> list[Found]:
    found: list[Found] = []
    offered: list[str] = []

    def visit(descriptor: Tree, names: tuple[str, ...], depth: int) -> None:
        if depth > NESTED:
            raise Refused("the indexes are nested too deep")
        platform = descriptor.get("platform") or {}
        if platform:
            said = f"{platform.get('os')}/{platform.get('architecture')}"
            if said != f"linux/{machine}":
                if said != "unknown/unknown":  # attestations
                    offered.append(said)
                return
        names = _names(descriptor) or names
        data = _blob(source, descriptor, "a manifest")
        tree = _tree(data, "a manifest")
        if not isinstance(tree, dict):
            raise Refused("a manifest is not an object")
        if "manifests" in tree or descriptor.get("mediaType") in INDEXES:
            before = len(found)
            for inner in tree.get("manifests") or ():
                if len(found) == before:  # one platform of one image: the first that fits
                    visit(inner, names, depth + 1)
            return
        if not isinstance(tree.get("config"), dict) or not isinstance(tree.get("layers"), list):
            raise Refused("a manifest has no configuration and layers: it is not an image's")
        blobs = []
        for layer in tree["layers"]:
            kind = str(layer.get("mediaType", ""))
            if "tar" not in kind:
                raise Refused(f"a layer is of the type {kind!r}, which is no file system's")
            if kind.endswith("+encrypted"):
                raise Refused("a layer is encrypted")
            blobs.append((_blob_name(layer.get("digest")), str(layer["digest"])))
        config = _blob(source, tree["config"], "the image's configuration")
        found.append(_config(config, blobs, names, str(descriptor["digest"]), machine))

    index = _tree(text(source, "index.json"), "index.json")
    if not isinstance(index, dict):
        raise Refused("index.json is not an object")
    for descriptor in index.get("manifests") or ():
        visit(descriptor, (), 0)
    if not found and offered:
        raise Refused(f"the image is for {', '.join(sorted(set(offered)))}; this machine is linux/{machine}")
    return found


def images(source: Source, machine: str) -> list[Found]:
    """The images of an archive for linux/`machine`."""
    try:
        if source.has("manifest.json"):
            found = _docker(source, machine)
        elif source.has("index.json"):
            found = _oci(source, machine)
        else:
            raise Refused(
                "neither a `docker save` file (manifest.json) nor an OCI layout (index.json): "
                "`docker save NAME -o FILE` or `skopeo copy ... oci-archive:FILE` makes one"
            )
    except (AttributeError, TypeError, KeyError) as e:
        raise Refused(f"its manifests do not have the form of an image's: {e}") from None
    if not found:
        raise Refused("there is no image in it")
    return found


def opened(path: str, scratch: str, budget: Budget) -> Source:
    """A folder or a tar file as a source; a compressed tar is unpacked into `scratch`, which then is its own."""
    if os.path.isdir(path):
        return Folder(path)
    file = open(path, "rb")
    head = file.read(6)
    file.seek(0)
    if not head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh")):
        return Tar(file)
    with file, decompressed(file, budget.size) as stream, open(scratch, "xb") as out:
        while data := stream.read(CHUNK):
            out.write(data)
    return Tar(open(scratch, "rb"))
