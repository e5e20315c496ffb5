"""What the files of a volume hold, and the writer that swaps whole versions."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path

import pytest

from seaway.cluster.node import volumes
from seaway.cluster.node.volumes import Token, VolumeError, check_path, content, host_path, write

OBJECTS = {
    ("configmaps", "conf"): {"data": {"a": "1", "b": "2"}, "binaryData": {"raw": base64.b64encode(b"\xff\0").decode()}},
    ("secrets", "key"): {"data": {"pass": base64.b64encode(b"word").decode()}},
}
POD = {"metadata": {"name": "p", "namespace": "n", "labels": {"b": 'q"x', "a": "1"}},
       "spec": {"containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}}}]}}


def files(**volume: object) -> dict:
    return content(POD, volume, lambda r, n: OBJECTS.get((r, n)), {})[0]


@pytest.mark.parametrize(
    ("volume", "want"),
    [
        ({"configMap": {"name": "conf"}}, {"a": (b"1", 0o644), "b": (b"2", 0o644), "raw": (b"\xff\0", 0o644)}),
        ({"configMap": {"name": "conf", "defaultMode": 0o400, "items": [
            {"key": "a", "path": "x/y"}, {"key": "b", "path": "z", "mode": 0o755}]}}, {"x/y": (b"1", 0o400), "z": (b"2", 0o755)}),
        ({"secret": {"secretName": "key"}}, {"pass": (b"word", 0o644)}),
        ({"secret": {"secretName": "none", "optional": True}}, {}),
        ({"configMap": {"name": "conf", "optional": True, "items": [{"key": "none", "path": "x"}]}}, {}),
        ({"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
         {"labels": (b'a="1"\nb="q\\"x"', 0o644)}),
        ({"downwardAPI": {"items": [{"path": "m", "resourceFieldRef": {
            "containerName": "c", "resource": "limits.memory", "divisor": "1Mi"}}]}}, {"m": (b"64", 0o644)}),
        ({"projected": {"defaultMode": 0o440, "sources": [{"configMap": {"name": "conf", "items": [{"key": "a", "path": "a"}]}},
                                                          {"secret": {"name": "key"}}]}},
         {"a": (b"1", 0o440), "pass": (b"word", 0o440)}),
    ],
)
def test_a_volume_holds_its_sources_keys(volume: dict, want: dict) -> None:
    assert files(**volume) == want


@pytest.mark.parametrize(
    ("volume", "said"),
    [({"configMap": {"name": "none"}}, 'configmap "none" not found'), ({"secret": {"secretName": "x"}}, 'secret "x" not found'),
     ({"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}}, "configmap references non-existent config key: z"),
     ({"projected": {"sources": [{"other": {}}]}}, "'other' is not supported")],
)
def test_what_cannot_be_had_is_an_error_with_its_name(volume: dict, said: str) -> None:
    with pytest.raises(VolumeError, match=said):
        files(**volume)


def test_tokens_are_asked_for_and_not_made_up() -> None:
    sources = [{"serviceAccountToken": {"path": "token"}},
               {"serviceAccountToken": {"path": "v", "audience": "vault", "expirationSeconds": 600}}]
    found = content(POD, {"projected": {"sources": sources}}, lambda r, n: None, {})
    assert found == ({}, [Token("token", "", 3600, 0o644), Token("v", "vault", 600, 0o644)])


def shown(folder: Path) -> dict[str, str]:
    """What a program sees: every file by its path, without the writer's own names."""
    found = {}
    for base, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith("..")]
        found.update({os.path.relpath(os.path.join(base, n), folder): Path(base, n).read_text() for n in names})
    return found


def plain(**texts: str) -> dict:
    return {k.replace("__", "/"): (v.encode(), 0o644) for k, v in texts.items()}


@pytest.mark.parametrize(
    ("before", "after"),
    [({"a": "1"}, {"a": "2"}), ({"a": "1"}, {"b": "1"}), ({"a": "1", "d/x": "1"}, {"a": "1"}), ({}, {"d/x": "1", "d/y": "2"}),
     ({"d/x": "1"}, {}), ({"a": "1"}, {"a/b": "1"}), ({"a/b": "1"}, {"a": "1"})],
)
def test_a_folder_shows_the_new_version_and_nothing_of_the_old(before: dict, after: dict, tmp_path: Path) -> None:
    for texts in (before, after):
        assert write(str(tmp_path), {k: (v.encode(), 0o644) for k, v in texts.items()})
        assert shown(tmp_path) == texts
    versions = [n for n in os.listdir(tmp_path) if n.startswith("..") and n != "..data"]
    assert versions == [os.readlink(tmp_path / "..data")], "one version is kept"


def test_an_equal_version_is_not_written_again(tmp_path: Path) -> None:
    assert write(str(tmp_path), plain(a="1"))
    where = os.readlink(tmp_path / "..data")
    assert not write(str(tmp_path), plain(a="1")) and os.readlink(tmp_path / "..data") == where
    assert write(str(tmp_path), {"a": (b"1", 0o600)}), "a mode is part of a version"


def test_an_open_folder_keeps_its_version_whole_while_another_is_swapped_in(tmp_path: Path) -> None:
    write(str(tmp_path), plain(a="1", b="1"))
    with open(tmp_path / "a") as held:
        write(str(tmp_path), plain(a="2", b="2"))
        assert held.read() == "1" and shown(tmp_path) == {"a": "2", "b": "2"}


def test_files_are_links_into_the_current_version(tmp_path: Path) -> None:
    write(str(tmp_path), plain(a="1", d__x="2"))
    assert os.readlink(tmp_path / "a") == "..data/a" and os.readlink(tmp_path / "d") == "..data/d"
    assert (tmp_path / "d" / "x").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a/..", "/etc/passwd", "/", ""])
def test_paths_that_lead_out_are_refused_before_anything_is_written(path: str, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="leads out of its volume"):
        check_path(path)
    with pytest.raises(VolumeError):
        write(str(tmp_path / "v"), {"a": (b"1", 0o644), path: (b"x", 0o644)})
    assert os.listdir(tmp_path / "v") == [] and os.listdir(tmp_path) == ["v"]


@pytest.mark.parametrize("path", ["a", "a/b", "..a", "a..b", "a/...", ".hidden"])
def test_dots_within_names_are_names(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    ("kind", "made"), [("", "dir"), ("DirectoryOrCreate", "dir"), ("FileOrCreate", "file")]
)
def test_host_paths_are_made_below_the_nodes_folder(kind: str, made: str, tmp_path: Path) -> None:
    found = Path(host_path(str(tmp_path), {"path": "/../..//data/x", "type": kind}))
    assert found == tmp_path / "data" / "x" and (found.is_dir() if made == "dir" else found.is_file())


@pytest.mark.parametrize(("kind", "path"), [("Directory", "/none"), ("Directory", "/file"), ("File", "/none"),
                                            ("File", "/dir"), ("Socket", "/dir")])
def test_a_host_path_of_another_type_is_refused(kind: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(VolumeError, match="hostPath type"):
        host_path(str(tmp_path), {"path": path, "type": kind})
    assert host_path(str(tmp_path), {"path": "/dir", "type": "Directory"}) == f"{tmp_path}/dir"


def test_links_in_a_volume_lead_nowhere_else(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    (volume / "up").symlink_to("../..")
    assert volumes.sub_path(str(volume), "out/passwd") == f"{volume}/etc/passwd"
    assert volumes.sub_path(str(volume), "up/deep/er") == f"{volume}/deep/er" and (volume / "deep/er").is_dir()
    assert volumes.host_path(str(volume), {"path": "/out/x", "type": "DirectoryOrCreate"}) == f"{volume}/etc/x"
    for path in ("../x", "a/../../x", "/etc"):
        with pytest.raises(volumes.VolumeError):
            volumes.sub_path(str(volume), path)


@pytest.mark.parametrize(("kind", "said"), [("Socket", "a socket file"), ("CharDevice", "a character device"),
                                            ("BlockDevice", "a block device"), ("File", "a file"), ("Directory", "a directory")])
def test_host_path_types_are_checked(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(volumes.VolumeError, match=f"hostPath type check failed: /none is not {said}"):
        volumes.host_path(str(tmp_path), {"path": "/none", "type": kind})
    if kind == "Socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "none"))
            assert volumes.host_path(str(tmp_path), {"path": "/none", "type": kind}) == str(tmp_path / "none")


def test_sub_path_expressions_need_their_names() -> None:
    assert volumes.expanded("a/$(POD)/$$(X)", {"POD": "p"}) == "a/p/$(X)"
    with pytest.raises(volumes.VolumeError, match='missing value for "NONE"'):
        volumes.expanded("$(NONE)", {})
