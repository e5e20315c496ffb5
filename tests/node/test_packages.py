"""Programs out of packages: what lies around them, how packages are asked for, and what is said when they cannot be had."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from seaway.cluster import fetcher, hostside
from seaway.cluster.node import applets, debian, packages, rootfs
from seaway.cluster.node.packages import PROGRAMS, program_of


def deb(path: Path, files: dict[str, str]) -> None:
    """A Debian package with nothing but files."""
    root = path.parent / f"{path.stem}-root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text("Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n")
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["dpkg-deb", "--build", "-Znone", str(root), str(path)], check=True, capture_output=True)


def test_a_program_is_fetched_once_and_lies_where_a_merged_machine_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(program, folder: str, lists: str) -> list[str]:
        asked.append(program.packages)
        os.makedirs(folder)
        deb(Path(folder, "nginx_1_all.deb"), {"usr/sbin/nginx": "program", "lib/x/lib.so": "library", "etc/nginx/mime.types": "types {}"})
        return [str(Path(folder, "nginx_1_all.deb"))]

    monkeypatch.setattr(debian, "download", download)
    fetched = debian.Fetched(str(tmp_path))
    assert fetched.root("nginx") == ""
    assert fetched.fetch(PROGRAMS["nginx"]) == ["nginx_1_all"] == fetched.fetch(PROGRAMS["nginx"])
    root = Path(fetched.root("nginx"))
    library = root / ("usr/lib/x/lib.so" if os.path.islink("/lib") else "lib/x/lib.so")
    assert asked == [("nginx",)] and (root / "usr/sbin/nginx").read_text() == "program" and library.read_text() == "library"
    steps = rootfs.program_steps(PROGRAMS["nginx"], str(root))
    binds = {s["path"]: s["source"] for s in steps if s["do"] == "bind"}
    assert binds["/etc/nginx/mime.types"] == str(root / "etc/nginx/mime.types")
    host = rootfs.Host((), ("/usr",), (), (), ())
    overlay = next(s for s in rootfs.steps(host, "", "", "h", [], False, steps, [str(root)]) if s["do"] == "overlay")
    assert overlay["lower"] == [str(root / "usr"), "/usr"]


def test_a_fetch_that_fails_leaves_nothing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "apt-get"
    program.write_text('#!/bin/sh\necho "E: Unable to locate package nginx" >&2\nexit 100\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    fetched = debian.Fetched(str(tmp_path / "cache"))
    with pytest.raises(debian.FetchError, match="Unable to locate package nginx"):
        fetched.fetch(PROGRAMS["nginx"])
    assert fetched.root("nginx") == "" and not Path(fetched.folder, "nginx").exists()
    program.unlink()
    with pytest.raises(debian.FetchError, match="no apt-get"):
        fetched.fetch(PROGRAMS["nginx"])


@pytest.mark.parametrize("request_", [{"program": "rm"}, {"program": "../x"}, {}, [], {"program": None}, "x"])
def test_the_fetcher_fetches_what_images_stand_for_and_nothing_else(request_: object, tmp_path: Path) -> None:
    assert "no image stands for" in str(fetcher.answer(request_, str(tmp_path))["error"]) and not list(tmp_path.iterdir())


def test_the_fetcher_answers_and_ends_with_the_cluster(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    init = subprocess.Popen(["sleep", "60"])
    source = str(Path(packages.__file__).resolve().parents[3])
    words = [str(listener.fileno()), str(init.pid), str(tmp_path / "cache"), source]
    process = subprocess.Popen([sys.executable, "-I", "-S", str(hostside.__file__), *words], pass_fds=[listener.fileno()])
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(20)
            sock.connect(str(tmp_path / "s"))
            sock.sendall(b'{"program": "sh"}\n')
            assert "error" in json.loads(sock.makefile().readline())
    finally:
        init.kill()
        init.wait()
    assert process.wait(20) == 0
    listener.close()


def test_names_of_registries_mean_the_same_program() -> None:
    assert program_of("public.ecr.aws/docker/library/redis") is PROGRAMS["redis"] and program_of("nginx") is PROGRAMS["nginx"]
    assert program_of("postgres") is None


def test_accounts_are_all_root_where_there_is_one_user(tmp_path: Path) -> None:
    assert rootfs.as_root("nginx:x:101:101:nginx:/n:/s\n") == "nginx:x:0:0:nginx:/n:/s\n"
    assert rootfs.as_root("nginx:x:101:\n") == "nginx:x:0:\n"
    for text, want in (("         0       1000          1\n", True), ("0 0 4294967295\n", False), ("0 1000 1\n1 100000 65536\n", False)):
        (tmp_path / "map").write_text(text)
        assert rootfs.has_one_user(str(tmp_path / "map")) is want


def test_applets_lie_over_and_under_the_machines_programs(tmp_path: Path) -> None:
    over, under = applets.make(str(tmp_path / "applets"))
    assert os.path.lexists(f"{over[0]}/usr/bin/httpd") and os.path.islink(f"{under[0]}/usr/bin/sort")
    made = []
    for _ in range(2):  # agents of two nodes at the same time
        pid = os.fork()
        if pid == 0:
            applets.make(str(tmp_path / "both"))
            os._exit(0)
        made.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in made] == [0, 0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["applets", "both"]


@pytest.mark.parametrize(
    ("words", "want"),
    [(["-T", "3", "-qO-", "u"], "-qO- u"), (["--timeout=3", "u"], "u"), (["-qO-", "u", "-T3"], "-qO- u"), (["u"], "u")],
)
def test_wgets_time_is_kept_from_outside(tmp_path: Path, words: list[str], want: str) -> None:
    (tmp_path / "busybox").write_text('#!/bin/sh\n[ "$1" = timeout ] && shift 3\nshift\necho "$@"\n')
    (tmp_path / "busybox").chmod(0o755)
    (tmp_path / "wget").write_text(applets.WGET)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", str(tmp_path / "wget"), *words], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == want.replace("busybox ", "")


@pytest.mark.parametrize(
    ("words", "want"),
    [([], "--protected-mode no"), (["--requirepass", "x"], "--requirepass x --protected-mode no"),
     (["CONF"], "CONF"), (["--protected-mode", "yes"], "--protected-mode yes")],
)
def test_redis_is_open_as_the_official_image_unless_told_otherwise(tmp_path: Path, words: list[str], want: str) -> None:
    script = next(f.text for f in PROGRAMS["redis"].files if f.path.endswith("redis-server"))
    conf = tmp_path / "redis.conf"
    conf.write_text("protected-mode yes\n")
    shown = script.replace("exec /usr/bin/redis-server", "exec echo")
    done = subprocess.run(["sh", "-s", "--", *(w.replace("CONF", str(conf)) for w in words)], input=shown, capture_output=True, text=True)
    assert done.stdout.strip() == want.replace("CONF", str(conf))


def test_a_tar_of_text_is_no_package(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w"):
        pass
    (tmp_path / "x.deb").write_bytes(made.getvalue())
    from seaway.cluster.node.layers import Budget, Layer, Refused

    (tmp_path / "root").mkdir()
    with pytest.raises((debian.FetchError, tarfile.TarError, Refused)):
        debian._unpack(str(tmp_path / "x.deb"), Layer(str(tmp_path / "root"), (), Budget()))
