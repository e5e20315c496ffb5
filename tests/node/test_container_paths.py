"""Paths of a container as paths out here: links are followed inside the root, never out of it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from seaway.cluster.node.roots import inside, make_point


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "root"
    (found / "a" / "b").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    for name, to in (("abs", "/a"), ("rel", "a/b"), ("etc", "/etc"), ("up", ".."), ("far", "../../../../../secret"),
                     ("a/out", "../../secret"), ("a/b/top", "../../.."), ("chain", "abs/b"), ("one", "two"), ("two", "one"),
                     ("dot", "./a/./b"), ("gone", "/not/there")):
        (found / name).symlink_to(to)
    return found


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/", ""), ("", ""), ("/a", "/a"), ("a//b/", "/a/b"), ("/a/./b", "/a/b"), ("/a/../a/b", "/a/b"), ("/none/x", "/none/x"),
        ("/..", ""), ("/../../a", "/a"), ("/a/../../../a", "/a"),
        ("/abs", "/a"), ("/abs/b", "/a/b"), ("/rel", "/a/b"), ("/rel/x", "/a/b/x"), ("/dot", "/a/b"), ("/chain", "/a/b"),
        ("/up", ""), ("/up/a", "/a"), ("/far/x", "/secret/x"), ("/a/out/x", "/secret/x"),
        ("/a/b/top/a", "/a"), ("/gone/x", "/not/there/x"), ("/rel/..", "/a"),
    ],
)
def test_a_path_ends_where_the_container_would_see_it(root: Path, path: str, want: str) -> None:
    """`..` of a followed link is the target's; at the root it stays there (path_resolution(7), chroot)."""
    assert inside(str(root), path) == str(root) + want


@pytest.mark.parametrize("path", ["/one", "/two/x", "/etc/passwd"])
def test_a_circle_of_links_is_an_error(root: Path, path: str) -> None:
    with pytest.raises(OSError, match="too many links"):
        inside(str(root), path)


@pytest.mark.parametrize("seed", range(20))
def test_no_web_of_links_leads_out(seed: int, tmp_path: Path) -> None:
    chooser, root = random.Random(seed), tmp_path / "root"
    names = ["a", "b", "c", "d"]
    (root / "a" / "b").mkdir(parents=True)
    (root / "c").mkdir()
    for folder in (root, root / "a", root / "c", root / "a" / "b"):
        for name in names:
            if not os.path.lexists(folder / name):
                parts = [chooser.choice([*names, "..", "..", "."]) for _ in range(chooser.randrange(1, 6))]
                (folder / name).symlink_to(chooser.choice(["", "/", "/etc/"]) + "/".join(parts))
    for _ in range(60):
        path = "/".join(chooser.choice([*names, "..", "new"]) for _ in range(chooser.randrange(1, 8)))
        try:
            found = inside(str(root), path)
        except OSError as e:
            assert "too many links" in str(e)
            continue
        assert found == str(root) or found.startswith(f"{root}/")
        assert os.path.realpath(found) == found, "nothing is left to be followed"


@pytest.mark.parametrize("is_file", [True, False])
def test_a_mount_point_is_made_inside_whatever_the_links_say(root: Path, tmp_path: Path, is_file: bool) -> None:
    found = Path(make_point(str(root), "/far/new/point", is_file))
    assert found == root / "secret" / "new" / "point" and (found.is_file() if is_file else found.is_dir())
    assert os.listdir(tmp_path / "secret") == []
    assert make_point(str(root), "/far/new/point", is_file) == str(found), "a point that is there is taken"
