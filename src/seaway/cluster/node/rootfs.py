"""The mounts of a container's root, as a plan for `roots.prepare`; pure but for what `Host` was given.

The root is a tmpfs; over it lie writable overlays of the host's program folders, an /etc of its own, and the pod's
volumes. /tmp, /run, /var, /root and /home are the container's own; the host's are never visible.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seaway.cluster.node.packages import Program

Plan = dict[str, Any]
PROGRAM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32", "/opt")
# Parts of the host's /etc that programs need to run: no accounts, no keys, no configuration of the host's services.
ETC_FOLDERS = (
    "alternatives",
    "ssl/certs",
    "ca-certificates",
    "ld.so.conf.d",
    "perl",
    "python3",
    "python3.11",
    "terminfo",
)
ETC_FILES = (
    "ld.so.cache",
    "ld.so.conf",
    "mime.types",
    "services",
    "protocols",
    "gai.conf",
    "debian_version",
    "os-release",
)
PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
redis:x:999:999:redis:/:/usr/sbin/nologin
nginx:x:101:101:nginx:/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = """root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
www-data:x:33:
redis:x:999:
nginx:x:101:
nogroup:x:65534:
"""
APACHE = ("www-data", "daemon")
NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"
)


def has_one_user(uid_map: str = "/proc/self/uid_map") -> bool:
    """Whether this user namespace maps a single user: an ordinary user's cluster without ranges in /etc/subuid."""
    try:
        with open(uid_map) as f:
            return [line.split()[2] for line in f] == ["1"]
    except (OSError, IndexError):
        return False


def as_root(text: str) -> str:
    """Accounts and groups that all are root under other names: where there is one user, programs that give up root's
    rights for their own account's go on as who they are. Not Apache's: it refuses to be root under any name, and is
    somebody else by a user namespace (packages.HTTPD)."""
    rows = (line.split(":") for line in text.splitlines())
    return "".join(
        ":".join(r if r[0] in APACHE else [*r[:2], *("0" if c.isdigit() else c for c in r[2:4]), *r[4:]]) + "\n"
        for r in rows
    )


@dataclass(frozen=True, slots=True)
class Host:
    """What of the machine's file system containers may be shown."""

    links: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    etc_folders: tuple[str, ...]
    etc_files: tuple[tuple[str, str], ...]
    python: tuple[str, ...]
    one_user: bool = False

    @classmethod
    def look(cls) -> Host:
        """Reads the machine once."""
        links, folders = [], []
        for path in PROGRAM_FOLDERS:
            if os.path.islink(path):
                links.append((path, os.readlink(path)))
            elif os.path.isdir(path):
                folders.append(path)
        etc = tuple(f"/etc/{n}" for n in ETC_FOLDERS if os.path.isdir(f"/etc/{n}"))
        files = tuple((f"/etc/{n}", f"/etc/{n}") for n in ETC_FILES if os.path.isfile(f"/etc/{n}"))
        source = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
        python = {os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix), sys.prefix, source}
        outside = tuple(sorted(p for p in python if not any(p == f or p.startswith(f + "/") for f in folders)))
        return cls(tuple(links), tuple(folders), etc, files, outside, has_one_user())

    @property
    def passwd(self) -> str:
        return as_root(PASSWD) if self.one_user else PASSWD

    @property
    def group(self) -> str:
        return as_root(GROUP) if self.one_user else GROUP


def points_below(folder: str, mounts: list[Plan]) -> list[str]:
    """Mount points inside an overlaid folder, relative to it: they are made in the upper layer before mounting."""
    prefix = folder.rstrip("/") + "/"
    return sorted({m["path"][len(prefix) :] for m in mounts if m["path"].startswith(prefix) and not m.get("file")})


def program_steps(program: Program, fetched: str) -> list[Plan]:
    """What the official image of a program lays around it: configuration, folders, links, and files of its package."""
    found: list[Plan] = [{"do": "dir", "path": path, "mode": 0o755} for path in program.folders]
    for path in program.keep:
        sources = [p for p in (fetched + path if fetched else "", path) if p and os.path.isfile(p)]
        if sources:
            found.append({"do": "bind", "path": path, "source": sources[0], "readOnly": True})
    found += [{"do": "file", "path": f.path, "text": f.text, "mode": f.mode} for f in program.files]
    return found + [{"do": "link", "path": path, "to": to} for path, to in program.links]


def steps(
    host: Host,
    hosts: str,
    resolv: str,
    hostname: str,
    mounts: list[Plan],
    with_python: bool,
    around: Sequence[Plan] = (),
    above: Sequence[str] = (),
    below: Sequence[str] = (),
) -> list[Plan]:
    """The steps of a root that shows the host's programs. `mounts` are the pod's volumes: {path, source, readOnly};
    `around`: what an image lays there before them; `above`, `below`: roots whose folders lie over and under the host's."""
    found: list[Plan] = []
    for path, mode in (
        ("/tmp", 0o1777),
        ("/run", 0o755),
        ("/run/lock", 0o1777),
        ("/var", 0o755),
        ("/var/tmp", 0o1777),
        ("/var/log", 0o755),
        ("/var/lib", 0o755),
        ("/var/cache", 0o755),
        ("/var/spool", 0o755),
        ("/var/www", 0o755),
        # Python of ours that lies in root's home is to be found by whomever a program of ours runs as.
        ("/root", 0o711 if with_python and any(p.startswith("/root/") for p in host.python) else 0o700),
        ("/home", 0o755),
        ("/etc", 0o755),
        ("/mnt", 0o755),
        ("/srv", 0o755),
        ("/media", 0o755),
    ):
        found.append({"do": "dir", "path": path, "mode": mode})
    found.append({"do": "link", "path": "/var/run", "to": "/run"})
    for folder in host.folders:
        lower = [
            *(root + folder for root in above if os.path.isdir(root + folder)),
            folder,
            *(root + folder for root in below if os.path.isdir(root + folder)),
        ]
        found.append({"do": "overlay", "path": folder, "lower": lower, "points": points_below(folder, mounts)})
    found += [{"do": "link", "path": path, "to": to} for path, to in host.links]
    found += [{"do": "bind", "path": path, "source": path, "readOnly": True} for path in host.etc_folders]
    found += [{"do": "bind", "path": path, "source": source, "readOnly": True} for path, source in host.etc_files]
    for name, text in (
        ("passwd", host.passwd),
        ("group", host.group),
        ("nsswitch.conf", NSSWITCH),
        ("hosts", hosts),
        ("resolv.conf", resolv),
        ("hostname", hostname + "\n"),
    ):
        found.append({"do": "file", "path": f"/etc/{name}", "text": text})
    if with_python:
        found += [{"do": "bind", "path": path, "source": path, "readOnly": True} for path in host.python]
    found += [*around, {"do": "dev"}, {"do": "sys"}]
    for mount in sorted(mounts, key=lambda m: m["path"].count("/")):
        found.append(
            {"do": "bind", "path": mount["path"], "source": mount["source"], "readOnly": mount.get("readOnly", False)}
        )
    return found


def image_steps(
    store: str, layers: tuple[str, ...], hosts: str, resolv: str, hostname: str, mounts: list[Plan]
) -> list[Plan]:
    """The steps of a root out of a loaded image: its layers as they are, and what the kubelet and the runtime lay over."""
    found: list[Plan] = [
        {"do": "overlay", "path": "/", "base": store, "lower": list(reversed(layers))},
        *({"do": "point", "path": path} for path in ("/dev", "/proc", "/sys", "/etc")),
    ]
    for name, text in (("hosts", hosts), ("resolv.conf", resolv), ("hostname", hostname + "\n")):
        found.append({"do": "file", "path": f"/etc/{name}", "text": text})
    found += [{"do": "dev"}, {"do": "sys"}]
    for mount in sorted(mounts, key=lambda m: m["path"].count("/")):
        found.append(
            {"do": "bind", "path": mount["path"], "source": mount["source"], "readOnly": mount.get("readOnly", False)}
        )
    return found
