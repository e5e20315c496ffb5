"""What a node decides: restarts, phases, images, environment, volumes, logs, probes; pure, or on files of the test's own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from seaway.cluster.node import crilogs, environment, images, lifecycle, probes, roots, volumes
from seaway.cluster.node.lifecycle import Container, Start, Waiting


def pod(policy: str = "Always", containers: tuple = ("c",), inits: tuple = (), sidecars: tuple = ()) -> dict:
    init = [{"name": n, "image": "i"} for n in inits] + [{"name": n, "image": "i", "restartPolicy": "Always"} for n in sidecars]
    spec = {"restartPolicy": policy, "containers": [{"name": n, "image": "i"} for n in containers], "initContainers": init}
    return {"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}}, "spec": spec, "status": {"podIP": "10.1.1.1"}}


def ran(code: int | None = None, attempt: int = 0, finished: float = 100.0, started: float = 99.0) -> Container:
    return Container("running" if code is None else "exited", "id", attempt, started, code or 0, 0, finished)


@pytest.mark.parametrize(
    ("policy", "code", "restarted", "phase"),
    [("Always", 0, True, "Running"), ("Always", 1, True, "Running"), ("OnFailure", 0, False, "Succeeded"), ("OnFailure", 1, True, "Running"),
     ("Never", 0, False, "Succeeded"), ("Never", 1, False, "Failed")],
)
def test_restart_policies(policy: str, code: int, restarted: bool, phase: str) -> None:
    states = {"c": ran(code)}
    assert lifecycle.decide(pod(policy), states, {}, 100.0) == ([Start("c", 1)] if restarted else [])
    assert lifecycle.phase(pod(policy), states) == phase


@pytest.mark.parametrize(("attempt", "wait"), [(0, 0), (1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (9, 300)])
def test_the_back_off_doubles_from_ten_seconds_to_five_minutes(attempt: int, wait: float) -> None:
    states = {"c": ran(1, attempt)}
    (step,) = lifecycle.decide(pod(), states, {}, 100.0 + wait)
    assert step == Start("c", attempt + 1)
    if wait:
        (step,) = lifecycle.decide(pod(), states, {}, 100.0 + wait - 1)
        assert isinstance(step, Waiting) and step.reason == "CrashLoopBackOff" and step.until == 100.0 + wait


def test_a_long_run_forgets_the_back_off() -> None:
    assert lifecycle.decide(pod(), {"c": ran(1, 7, 1000.0, 1.0)}, {}, 1000.0) == [Start("c", 8)]


def test_init_containers_run_one_after_another_before_the_others() -> None:
    tree = pod(containers=("c", "d"), inits=("i", "j"))
    assert lifecycle.decide(tree, {}, {}, 0) == [Start("i", 0)]
    assert lifecycle.decide(tree, {"i": ran()}, {}, 0) == []
    assert lifecycle.decide(tree, {"i": ran(0)}, {}, 100) == [Start("j", 0)]
    assert lifecycle.decide(tree, {"i": ran(0), "j": ran(0)}, {}, 100) == [Start("c", 0), Start("d", 0)]
    assert lifecycle.phase(tree, {"i": ran(0), "j": ran()}) == "Pending"


def test_a_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    assert lifecycle.phase(pod("Never", inits=("i",)), {"i": ran(1)}) == "Failed"
    assert lifecycle.decide(pod("Never", inits=("i",)), {"i": ran(1)}, {}, 200) == []


def test_sidecars_start_first_and_run_on() -> None:
    tree = pod(sidecars=("s",))
    assert lifecycle.decide(tree, {}, {}, 0) == [Start("s", 0)]
    assert lifecycle.decide(tree, {"s": ran()}, {"s": False}, 0) == []
    assert lifecycle.decide(tree, {"s": ran()}, {"s": True}, 0) == [Start("c", 0)]


@pytest.mark.parametrize(
    ("name", "want"),
    [("docker.io/library/busybox:1.36", "busybox"), ("busybox@sha256:0", "busybox"), ("ghcr.io/traefik/whoami:v1", "traefik/whoami"),
     ("localhost:5000/shop:1", "localhost:5000/shop"), ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause")],
)
def test_image_names_are_normalized(name: str, want: str) -> None:
    assert images.normalize(name) == want


def test_an_image_is_a_stand_in_or_says_the_way_out() -> None:
    found = images.resolve("traefik/whoami:v1.10", {}, lambda p: False)
    assert isinstance(found, images.Image) and found.target.endswith("whoami:main") and "stands in" in found.note
    missing = images.resolve("shop:1", {}, lambda p: False)
    assert isinstance(missing, images.Missing) and "Cluster file" in missing.text
    mapped = images.resolve("shop:1", {"shop:1": "busybox"}, lambda p: False)
    assert isinstance(mapped, images.Image) and mapped.command == ("sh",)
    redis = images.resolve("redis:7", {}, lambda p: False)
    assert isinstance(redis, images.Missing) and "apt-get install redis-server" in redis.text


@pytest.mark.parametrize(("text", "want"), [("$(A)", "1"), ("$(NONE)", "$(NONE)"), ("$$(A)", "$(A)"), ("x$(A)y$(B)", "x1y2"), ("$A", "$A")])
def test_references_are_expanded_as_kubernetes_does(text: str, want: str) -> None:
    assert volumes.expand(text, {"A": "1", "B": "2"}) == want


def test_service_variables_are_dockers() -> None:
    service = {"metadata": {"name": "my-db"}, "spec": {"clusterIP": "10.0.0.1", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}}
    headless = {"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
    assert environment.service_variables([service, headless]) == {
        "MY_DB_SERVICE_HOST": "10.0.0.1", "MY_DB_SERVICE_PORT": "5432", "MY_DB_SERVICE_PORT_SQL": "5432", "MY_DB_PORT": "tcp://10.0.0.1:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.0.0.1:5432", "MY_DB_PORT_5432_TCP_PROTO": "tcp", "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.0.0.1"}


def test_a_missing_source_is_told_and_an_optional_one_is_not() -> None:
    tree = pod()
    ref = {"name": "none", "key": "k"}
    wanted = {"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": ref}}]}
    with pytest.raises(volumes.VolumeError, match='configmap "none" not found'):
        environment.declared(tree, wanted, [], lambda r, n: None, {})
    wanted["env"] = [{"name": "A", "valueFrom": {"configMapKeyRef": {**ref, "optional": True}}}]
    assert "A" not in environment.declared(tree, wanted, [], lambda r, n: None, {})


def test_a_written_volume_swaps_whole_versions(tmp_path: Path) -> None:
    folder = str(tmp_path / "v")
    assert volumes.write(folder, {"a": (b"1", 0o644), "d/b": (b"x", 0o400)})
    assert not volumes.write(folder, {"a": (b"1", 0o644), "d/b": (b"x", 0o400)})
    first = os.readlink(f"{folder}/..data")
    assert Path(folder, "a").read_bytes() == b"1" and Path(folder, "d/b").read_bytes() == b"x"
    assert volumes.write(folder, {"a": (b"2", 0o644)})
    assert os.readlink(f"{folder}/..data") != first and not os.path.lexists(f"{folder}/d")
    assert sorted(n for n in os.listdir(folder) if n.startswith("..")) == [os.readlink(f"{folder}/..data"), "..data"]


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ""])
def test_no_file_leads_out_of_its_volume(path: str, tmp_path: Path) -> None:
    with pytest.raises(volumes.VolumeError):
        volumes.write(str(tmp_path / "v"), {path: (b"", 0o644)})


def test_a_host_path_is_the_nodes_folder(tmp_path: Path) -> None:
    found = volumes.host_path(str(tmp_path), {"path": "/../../etc/x", "type": "DirectoryOrCreate"})
    assert found == f"{tmp_path}/etc/x" and os.path.isdir(found)
    with pytest.raises(volumes.VolumeError, match="is not a directory"):
        volumes.host_path(str(tmp_path), {"path": "/none", "type": "Directory"})


def test_a_path_never_leaves_the_root_through_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "out").symlink_to("/etc")
    (root / "up").symlink_to("../../..")
    (root / "loop").symlink_to("loop")
    for path in ("/out/passwd", "/up/etc", "/../../etc", "/a/../../../x"):
        assert roots.inside(str(root), path).startswith(str(root))
    with pytest.raises(OSError, match="too many links"):
        roots.inside(str(root), "/loop/x")


def test_logs_are_cut_from_the_end_and_by_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"2026-01-01T00:00:0{i}.000000000Z stdout F line {i}\n" for i in range(5)))

    def read(tail: int | None = None, **options: object) -> str:
        async def collect() -> bytes:
            shown = crilogs.Shown(bool(options.get("timestamps")), options.get("since"), options.get("limit"))  # type: ignore[arg-type]
            return b"".join([c async for c in crilogs.read(str(path), tail, shown, False, lambda: True)])

        return asyncio.run(collect()).decode()

    assert read().count("\n") == 5
    assert read(2) == "line 3\nline 4\n" and read(0) == "" and read(99).count("\n") == 5
    assert read(timestamps=True).startswith("2026-01-01T00:00:00.000000000Z line 0\n")
    assert read(since=1767225603.0) == "line 3\nline 4\n"
    assert read(limit=8) == "line 0\nl"


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [([1], [True]), ([0, 0, 1], [None, None, True]), ([0, 0, 0], [None, None, False]), ([1, 0, 0, 1, 0], [True, True, True, True, True]),
     ([1, 0, 0, 0, 1], [True, True, True, False, True])],
)
def test_a_verdict_needs_its_threshold(results: list[int], verdicts: list) -> None:
    state, found = probes.Thresholds(1, 3), []
    for ok in results:
        state = state.after(bool(ok))
        found.append(state.verdict)
    assert found == verdicts


def test_http_and_tcp_probes_ask_a_real_server() -> None:
    async def never(command: list[str], timeout: float) -> tuple[int, str]:
        return 1, ""

    async def test() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            writer.write(b"HTTP/1.1 " + (b"200 OK" if b"/ok" in line else b"503 No") + b"\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        named = {"ports": [{"name": "web", "containerPort": port}]}
        ask = lambda probe: probes.attempt(probe, named, "127.0.0.1", never)  # noqa: E731
        assert await ask({"httpGet": {"path": "/ok", "port": "web"}}) == (True, "")
        assert await ask({"httpGet": {"path": "/no", "port": port}}) == (False, "HTTP probe failed with statuscode: 503")
        assert (await ask({"tcpSocket": {"port": port}}))[0]
        assert "couldn't find port" in (await ask({"tcpSocket": {"port": "none"}}))[1]
        server.close()
        await server.wait_closed()
        assert not (await ask({"tcpSocket": {"port": port}}))[0]

    asyncio.run(test())
