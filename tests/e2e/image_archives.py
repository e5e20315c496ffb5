"""Image archives as tools write them, made out of what this machine has: Debian's busybox, and text."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
File = dict[str, Any]
PASSWD = "root:x:0:0:root:/root:/bin/sh\nshop:x:1234:2345:shop:/srv/shop:/bin/sh\n"
GROUP = "root:x:0:\nshop:x:2345:\nextra:x:3456:shop\n"


def tar(*files: File) -> bytes:
    """Files as {name, text | data | to (link) | hard | folder | type, mode, uid, gid}, in a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for file in files:
            member = tarfile.TarInfo(file["name"])
            member.mode = file.get("mode", 0o755 if "folder" in file else 0o644)
            member.uid, member.gid = file.get("uid", 0), file.get("gid", 0)
            data = file.get("data", file.get("text", "").encode())
            if "folder" in file:
                member.type = tarfile.DIRTYPE
            elif "to" in file:
                member.type, member.linkname = tarfile.SYMTYPE, file["to"]
            elif "hard" in file:
                member.type, member.linkname = tarfile.LNKTYPE, file["hard"]
            elif "type" in file:
                member.type, member.devmajor, member.devminor = file["type"], 1, 3
            else:
                member.size = len(data)
            made.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return out.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers: list[bytes], **values: Any) -> bytes:
    tree = {
        "architecture": values.pop("architecture", MACHINE),
        "os": "linux",
        "config": values,
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    return json.dumps(tree).encode()


def docker_save(layers: list[bytes], names: list[str], **values: Any) -> bytes:
    """A `docker save` file."""
    described = config(layers, **values)
    name = digest(described).removeprefix("sha256:") + ".json"
    paths = [f"layer{n}/layer.tar" for n in range(len(layers))]
    manifest = [{"Config": name, "RepoTags": names, "Layers": paths}]
    files = [{"name": path, "data": data} for path, data in zip(paths, layers, strict=True)]
    return tar(*files, {"name": name, "data": described}, {"name": "manifest.json", "text": json.dumps(manifest)})


def oci_layout(folder: Path, layers: list[bytes], name: str, extra: list[dict] | None = None, **values: Any) -> str:
    """An OCI layout in a folder, its layers packed with gzip, behind an index of platforms; the manifest's digest."""
    (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict:
        (folder / "blobs" / "sha256" / digest(data).removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    prefix = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{prefix}.manifest.v1+json",
        "config": blob(config(layers, **values), f"{prefix}.config.v1+json"),
        "layers": [blob(gzip.compress(layer, mtime=0), f"{prefix}.layer.v1.tar+gzip") for layer in layers],
    }
    ours = blob(json.dumps(manifest).encode(), f"{prefix}.manifest.v1+json")
    other = {"mediaType": f"{prefix}.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 1}
    platforms = [
        {**other, "platform": {"os": "linux", "architecture": "s390x"}},
        *(extra or []),
        {**ours, "platform": {"os": "linux", "architecture": values.get("architecture", MACHINE)}},
    ]
    index = blob(json.dumps({"schemaVersion": 2, "manifests": platforms}).encode(), f"{prefix}.index.v1+json")
    top = {**index, "annotations": {"org.opencontainers.image.ref.name": name}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return str(ours["digest"])


def libraries(program: str) -> list[File]:
    """The libraries of a program where it is not static, and its loader, at their places."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True)
    paths = re.findall(r"(/\S+) \(0x", done.stdout)
    return [{"name": path.lstrip("/"), "data": Path(path).read_bytes(), "mode": 0o755} for path in paths]


def busybox_files() -> list[File]:
    """A root with Debian's busybox and the links that the tests use."""
    path = shutil.which("busybox") or "/usr/bin/busybox"
    program = Path(path).read_bytes()
    links = [
        {"name": f"bin/{n}", "to": "busybox"}
        for n in ("sh", "cat", "ls", "id", "sleep", "httpd", "env", "pwd", "wget", "echo", "touch", "test", "kill", "trap")
    ]
    return [
        {"name": "bin", "folder": True},
        {"name": "bin/busybox", "data": program, "mode": 0o755},
        *links,
        *libraries(path),
        {"name": "etc", "folder": True},
        {"name": "etc/passwd", "text": PASSWD},
        {"name": "etc/group", "text": GROUP},
        {"name": "etc/nsswitch.conf", "text": "hosts: files dns\n"},
        {"name": "tmp", "folder": True, "mode": 0o1777},
        {"name": "root", "folder": True, "mode": 0o700},
    ]
