"""Image archives: what is taken, how layers lie over each other, and what is refused whole."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import stat
import tarfile
import time
from pathlib import Path

import pytest
from image_archives import MACHINE, digest, docker_save, oci_layout, tar

from seaway.cluster.fabric import linux
from seaway.cluster.node.accounts import Account, UserError, account
from seaway.cluster.node.layers import Refused
from seaway.cluster.node.references import parse
from seaway.cluster.node.store import Store

BASE = tar(
    {"name": "etc", "folder": True}, {"name": "etc/passwd", "text": "root:x:0:0:root:/root:/bin/sh\n"},
    {"name": "data", "folder": True, "mode": 0o750, "uid": 5, "gid": 6}, {"name": "data/old", "text": "old"},
    {"name": "data/keep", "text": "keep"}, {"name": "data/sub/deep", "text": "deep"}, {"name": "gone/x", "text": "x"},
    {"name": "usr/lib/a", "text": "a"}, {"name": "lib", "to": "usr/lib"}, {"name": "first", "text": "linked"},
    {"name": "second", "hard": "first"},
)
CHANGE = tar(
    {"name": "data/.wh.old"}, {"name": ".wh.gone"}, {"name": "lib/b", "text": "b"},
    {"name": "data/sub/.wh..wh..opq"}, {"name": "data/sub/new", "text": "new"}, {"name": "third", "hard": "first"},
)


def saved(tmp_path: Path, *layers: bytes, names: tuple[str, ...] = ("shop:1",), **values: object) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(docker_save(list(layers), list(names), **values))
    return path


def merged(store: Store, image: dict, at: Path) -> None:
    """Lies the layers over each other as a container's root does, in a mount namespace of the test's own."""
    names = ":".join(reversed(image["layers"]))
    os.chdir(store.layers)
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", str(at), "tmpfs")
    for name in ("root", "upper", "work"):
        (at / name).mkdir()
    linux.mount("overlay", str(at / "root"), "overlay", 0, f"lowerdir={names},upperdir={at}/upper,workdir={at}/work,userxattr")


def seen(store: Store, image: dict, at: Path) -> dict[str, str]:
    """path -> content of every file in the image's root, and link targets, as a container sees them."""
    read, write = os.pipe()
    at.mkdir()
    if os.fork() == 0:
        try:
            merged(store, image, at)
            found = {}
            for base, folders, files in os.walk(at / "root"):
                for name in [*files, *(f for f in folders if os.path.islink(os.path.join(base, f)))]:
                    path = os.path.join(base, name)
                    shown = os.path.relpath(path, at / "root")
                    found[shown] = "-> " + os.readlink(path) if os.path.islink(path) else Path(path).read_text()
            os.write(write, json.dumps(found).encode())
        except BaseException as e:
            os.write(write, json.dumps({"error": str(e)}).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.wait()
    with os.fdopen(read, "rb") as f:
        return json.loads(f.read())


def everything(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


@pytest.mark.kernel
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_layers_lie_over_each_other_with_whiteouts_opaque_folders_and_links(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    (image,) = store.load(str(saved(tmp_path, BASE, CHANGE)))
    assert seen(store, image, tmp_path / "at") == {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "data/keep": "keep", "data/sub/new": "new", "usr/lib/a": "a",
        "usr/lib/b": "b", "lib": "-> usr/lib", "first": "linked", "second": "linked", "third": "linked"}
    data = os.stat(os.path.join(store.layers, image["layers"][1], "data"))
    assert (stat.S_IMODE(data.st_mode), data.st_uid, data.st_gid) == (0o750, 5, 6)  # as the lower layer has it


@pytest.mark.kernel
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_folder_made_again_shows_nothing_of_the_old_one(tmp_path: Path) -> None:
    again = tar({"name": ".wh.data"}, {"name": "data/sub", "folder": True}, {"name": "data/sub/fresh", "text": "1"})
    after = tar({"name": "etc/late", "text": "1"}, {"name": "etc/.wh..wh..opq"})  # the order in the stream is free
    store = Store(str(tmp_path / "store"))
    (image,) = store.load(str(saved(tmp_path, BASE, again, after)))
    found = seen(store, image, tmp_path / "at")
    assert [p for p in found if p.startswith(("data", "etc"))] and {p for p in found if p.startswith(("data", "etc"))} == {"data/sub/fresh", "etc/late"}


def test_a_name_is_found_however_it_is_written_and_moves_to_the_newer_image(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    (old,) = store.load(str(saved(tmp_path, BASE, names=("shop:1", "localhost:5000/team/shop"), Cmd=["a"])))
    for name in ("shop:1", "docker.io/library/shop:1", "localhost:5000/team/shop:latest", old["id"], old["id"][7:19]):
        assert store.find(name) == old, name
    assert store.find("shop") is None and store.find("shop:2") is None
    (new,) = store.load(str(saved(tmp_path, BASE, CHANGE, Cmd=["b"])))
    assert store.find("shop:1")["id"] == new["id"] and new["layers"][0] == old["layers"][0]
    assert store.remove("shop:1") == ["docker.io/library/shop:1", new["id"]] and store.find(new["id"]) is None
    assert os.listdir(store.layers) == old["layers"] and store.find("localhost:5000/team/shop")
    with pytest.raises(KeyError):
        store.remove("shop:1")


def test_an_oci_layout_is_read_by_platform_and_knows_its_digest(tmp_path: Path) -> None:
    noise = {"mediaType": "x", "digest": "sha256:" + "1" * 64, "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}}
    wanted = oci_layout(tmp_path / "layout", [BASE, CHANGE], "registry.example/shop:2", [noise], Env=["A=1"], User="5")
    store = Store(str(tmp_path / "store"))
    (image,) = store.load(str(tmp_path / "layout"))
    assert image["names"] == ["registry.example/shop:2"] and image["digests"] == [f"registry.example/shop@{wanted}"]
    assert store.find(f"registry.example/shop@{wanted}") == image and image["config"] == {"Env": ["A=1"], "User": "5"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as made:
        made.add(tmp_path / "layout", arcname=".")
    (tmp_path / "layout.tar.gz").write_bytes(packed.getvalue())
    (again,) = Store(str(tmp_path / "other")).load(str(tmp_path / "layout.tar.gz"), tag="own:1")
    assert again["names"] == ["docker.io/library/own:1"] and again["layers"] == image["layers"]


CHR, FIFO = tarfile.CHRTYPE, tarfile.FIFOTYPE
MALICIOUS = {
    "../evil": [{"name": "../evil", "text": "x"}],
    "a climb in the middle": [{"name": "a/../../evil", "text": "x"}],
    "an absolute path": [{"name": "/tmp/evil", "text": "x"}],
    "a link that climbs": [{"name": "a", "to": "../../evil"}],
    "a file through an absolute link": [{"name": "a", "to": "OUTSIDE"}, {"name": "a/evil", "text": "x"}],
    "a whiteout through a link": [{"name": "a", "to": "OUTSIDE"}, {"name": "a/.wh.kept"}],
    "a folder through a link": [{"name": "a", "to": "OUTSIDE"}, {"name": "a/b", "folder": True}],
    "a hard link out": [{"name": "a", "hard": "../../etc/passwd"}],
    "a hard link to an absolute path": [{"name": "a", "hard": "/etc/passwd"}],
    "a hard link through a link": [{"name": "a", "to": "OUTSIDE"}, {"name": "b", "hard": "a/kept"}],
    "a device": [{"name": "dev/null", "type": CHR}],
    "a block device": [{"name": "sda", "type": tarfile.BLKTYPE}],
    "set-user-ID files without end": [{"name": f"s{n}", "mode": 0o4755} for n in range(1001)],
    "a whiteout of ..": [{"name": ".wh..."}, {"name": "a/.wh..", "text": ""}],
}


@pytest.mark.parametrize("what", MALICIOUS)
@pytest.mark.parametrize("layer", [0, 1])
def test_a_malicious_archive_is_refused_whole_and_writes_nothing_outside(tmp_path: Path, what: str, layer: int) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    files = [{k: v.replace("OUTSIDE", str(outside)) if isinstance(v, str) else v for k, v in f.items()} for f in MALICIOUS[what]]
    evil = tar({"name": "good", "text": "x"}, *files)
    path = saved(tmp_path, *([BASE] if layer else []), evil)
    before = everything(tmp_path)
    store = Store(str(tmp_path / "store"))
    with pytest.raises(Refused, match="layer"):
        store.load(str(path))
    assert {p for p in everything(tmp_path) - before} <= {"store", "store/layers", "store/lock"}
    assert store.images() == () and (outside / "kept").read_text() == "kept"


def test_an_archive_whose_own_members_lead_out_is_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    for n, files in enumerate(([{"name": "../x", "text": ""}], [{"name": "d", "type": CHR}])):
        path = tmp_path / f"{n}.tar"
        path.write_bytes(tar(*files))
        with pytest.raises(Refused, match="archive's"):
            store.load(str(path))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "manifest.json").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="link"):
        store.load(str(folder))
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text('[{"Config": "../../etc/passwd", "Layers": []}]')
    with pytest.raises(Refused, match="leads out"):
        store.load(str(folder))


def test_bombs_are_refused_before_they_fill_the_disk(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    big = saved(tmp_path, tar({"name": "big", "data": b"\0" * (2 << 20)}))
    with pytest.raises(Refused, match="--limit"):
        store.load(str(big), limit=1 << 20)
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 1 << 30
    with pytest.raises(Refused, match="extended header"):
        store.load(str(saved(tmp_path, member.tobuf() + b"\0" * 1024)))
    bomb = tmp_path / "bomb.tar.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as f:
        for _ in range(300):
            f.write(b"\0" * (1 << 20))
    with pytest.raises(Refused, match=r"times its size|read"):
        store.load(str(bomb))
    assert os.listdir(store.layers) == [] and not os.path.exists(tmp_path / "store" / "unpacking")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(lambda t: t[0].update(Layers=["layer0/layer.tar", "other"]), "does not describe the layers"),
     (lambda t: t[0].update(Config="none.json"), "lacks 'none.json'"), (lambda t: t[0].pop("Config"), "without a Config"),
     (lambda t: t.clear(), "no image"), (lambda t: t[0].update(RepoTags=["UPPER"]), "must be lowercase")],
)
def test_a_spoilt_manifest_is_refused_with_the_reason(tmp_path: Path, spoil, said: str) -> None:
    folder = tmp_path / "folder"
    with tarfile.open(saved(tmp_path, BASE)) as made:
        made.extractall(folder)  # of our own making; filters came with Python 3.11.4
    tree = json.loads((folder / "manifest.json").read_text())
    spoil(tree)
    (folder / "manifest.json").write_text(json.dumps(tree))
    with pytest.raises(Refused, match=said):
        Store(str(tmp_path / "store")).load(str(folder))


def test_content_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    oci_layout(tmp_path / "layout", [BASE], "shop:1")
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    packed = digest(gzip.compress(BASE, mtime=0)).removeprefix("sha256:")
    (blobs / packed).write_bytes(gzip.compress(BASE))
    with pytest.raises(Refused, match="digest"):
        Store(str(tmp_path / "store")).load(str(tmp_path / "layout"))


def test_another_machines_image_and_zstd_are_refused_with_the_way_out(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    with pytest.raises(Refused, match=f"linux/riscv64; this machine is linux/{MACHINE}"):
        store.load(str(saved(tmp_path, BASE, architecture="riscv64")))
    (tmp_path / "z.tar").write_bytes(b"\x28\xb5\x2f\xfd" + b"0" * 600)
    with pytest.raises(Refused, match=r"zstd.*docker save|read"):
        store.load(str(tmp_path / "z.tar"))
    (tmp_path / "text").write_text("hello" * 300)
    with pytest.raises(Refused, match="not a tar file"):
        store.load(str(tmp_path / "text"))
    (tmp_path / "other.tar").write_bytes(BASE)
    with pytest.raises(Refused, match="docker save NAME"):
        store.load(str(tmp_path / "other.tar"))


def test_a_load_killed_in_the_middle_leaves_nothing_that_counts(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    path = saved(tmp_path, BASE, tar(*({"name": f"f{n}", "data": b"x" * 4096} for n in range(3000))))
    pid = os.fork()
    if pid == 0:
        store.load(str(path))
        os._exit(0)
    end = time.monotonic() + 20
    while not (tmp_path / "store" / "unpacking").exists() and time.monotonic() < end:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert store.images() == () or len(store.images()) == 1
    (image,) = store.load(str(path))
    assert sorted(os.listdir(store.layers)) == sorted(image["layers"]) and not (tmp_path / "store" / "unpacking").exists()


def test_an_ordinary_user_loads_whiteouts_too_and_owns_all(tmp_path: Path) -> None:
    path, home = saved(tmp_path, BASE, CHANGE), tmp_path / "home"
    home.mkdir()
    if os.geteuid() == 0:
        for folder in (tmp_path, *tmp_path.parents[:2]):
            os.chmod(folder, 0o755)
        os.chown(home, 65534, 65534)
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            (image,) = Store(str(home / "store")).load(str(path))
            data = os.stat(home / "store" / "layers" / image["layers"][0] / "data")
            gone = os.lstat(home / "store" / "layers" / image["layers"][1] / "gone")
            os.write(write, json.dumps([data.st_uid == os.geteuid(), stat.S_ISCHR(gone.st_mode), gone.st_rdev]).encode())
        except BaseException as e:
            os.write(write, json.dumps(str(e)).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.wait()
    with os.fdopen(read, "rb") as f:
        assert json.loads(f.read()) == [True, True, 0]


def test_an_images_file_is_read_without_following_its_links(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    link = tar({"name": "etc/passwd", "to": "/etc/passwd"})
    (plain,) = store.load(str(saved(tmp_path, BASE)))
    (evil,) = store.load(str(saved(tmp_path, BASE, link, names=("evil:1",))))
    (gone,) = store.load(str(saved(tmp_path, BASE, tar({"name": "etc/.wh.passwd"}), names=("gone:1",))))
    assert [store.read(i, "/etc/passwd")[:4] for i in (plain, evil, gone)] == ["root", "", ""]


PASSWD = "root:x:0:0:root:/root:/bin/sh\nshop:x:12:34:shop:/srv:/bin/sh\nbroken\n"
GROUP = "root:x:0:\nshop:x:34:\nextra:x:56:other,shop\n"


@pytest.mark.parametrize(
    ("user", "want"),
    [("", Account(0, 0, (), "/root")), ("shop", Account(12, 34, (56,), "/srv")), ("12", Account(12, 34, (56,), "/srv")),
     ("shop:extra", Account(12, 56, (), "/srv")), ("99", Account(99, 0, (), "/")), ("99:34", Account(99, 34, (), "/")),
     ("0:0", Account(0, 0, (), "/root"))],
)
def test_an_images_user_is_found_in_its_own_passwd(user: str, want: Account) -> None:
    assert account(user, PASSWD, GROUP) == want


@pytest.mark.parametrize("user", ["nobody", "shop:none"])
def test_a_user_that_is_not_there_is_an_error(user: str) -> None:
    with pytest.raises(UserError, match="unable to find"):
        account(user, PASSWD, GROUP)


@pytest.mark.parametrize(
    ("text", "want"),
    [("nginx", "docker.io/library/nginx:latest"), ("traefik/whoami:v1", "docker.io/traefik/whoami:v1"),
     ("localhost/x", "localhost/x:latest"), ("localhost:5000/x/y:1", "localhost:5000/x/y:1"),
     ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"), ("a/b/c", "docker.io/a/b/c:latest"),
     ("x@sha256:" + "0" * 64, "docker.io/library/x@sha256:" + "0" * 64)],
)
def test_names_are_completed_as_docker_does(text: str, want: str) -> None:
    assert str(parse(text)) == want


@pytest.mark.parametrize("text", ["", "Nginx", "nginx:", "nginx:la test", "a//b", "-x", "x@sha256:12", "x:" + "a" * 129, "0" * 64])
def test_what_is_no_name_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="couldn't parse image name"):
        parse(text)


def test_who_looks_for_an_image_takes_no_change_from_who_waits_for_one(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert not store.changed()
    (tmp_path / "images.json").write_text('{"images": []}')
    store.find("shop/late:1")
    assert store.changed() and not store.changed()
