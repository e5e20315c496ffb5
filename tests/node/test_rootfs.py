"""The steps of a container's root."""

from __future__ import annotations

import pytest

from seaway.cluster.node.rootfs import Host, points_below, steps

HOST = Host((("/bin", "usr/bin"),), ("/usr", "/opt"), ("/etc/ssl/certs",), (("/etc/services", "/etc/services"),), ("/venv",))


def made(mounts: list | None = None, python: bool = False) -> list[dict]:
    return steps(HOST, "H", "R", "name", mounts or [], python)


def test_a_root_has_its_own_files_and_never_the_hosts_homes() -> None:
    found = made()
    texts = {s["path"]: s["text"] for s in found if s["do"] == "file"}
    assert (texts["/etc/hosts"], texts["/etc/resolv.conf"], texts["/etc/hostname"]) == ("H", "R", "name\n")
    sources = {s["source"] for s in found if s["do"] == "bind"} | {p for s in found for p in s.get("lower", ())}
    assert sources == {"/usr", "/opt", "/etc/ssl/certs", "/etc/services"}
    assert all(s["readOnly"] for s in found if s["do"] == "bind")
    modes = {s["path"]: s["mode"] for s in found if s["do"] == "dir"}
    assert (modes["/tmp"], modes["/root"]) == (0o1777, 0o700)


@pytest.mark.parametrize("python", [True, False])
def test_our_own_programs_alone_see_the_interpreter(python: bool) -> None:
    assert ("/venv" in [s.get("source") for s in made(python=python)]) == python


def test_outer_mounts_come_before_inner_ones_and_after_everything_else() -> None:
    mounts = [{"path": "/data/in/deep", "source": "/s3"}, {"path": "/data", "source": "/s1", "readOnly": True},
              {"path": "/data/in", "source": "/s2"}]
    last = made(mounts)[-3:]
    assert [(s["path"], s["readOnly"]) for s in last] == [("/data", True), ("/data/in", False), ("/data/in/deep", False)]


def test_mount_points_in_program_folders_are_made_before_the_overlay() -> None:
    mounts = [{"path": "/usr/share/html", "source": "/s"}, {"path": "/usrlocal", "source": "/s"},
              {"path": "/usr/etc/one", "source": "/s", "file": True}]
    assert points_below("/usr", mounts) == ["share/html"]
    (overlay,) = [s for s in made(mounts) if s["do"] == "overlay" and s["path"] == "/usr"]
    assert overlay["points"] == ["share/html"]
