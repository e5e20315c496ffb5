"""kubernetes-asyncio, unmodified: the same API on an event loop, where many watches and streams go at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.dynamic import DynamicClient
from kubernetes_asyncio.stream import WsApiClient
from kubernetes_asyncio.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL

pytestmark = pytest.mark.e2e
Run = Callable[[Callable[[client.ApiClient], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(kubeconfig: str) -> Run:
    """Runs a coroutine with a client of the cluster."""

    def with_client(work: Callable[[client.ApiClient], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            await config.load_kube_config(kubeconfig)
            async with client.ApiClient() as api:
                await asyncio.wait_for(work(api), 60)

        asyncio.run(whole())

    return with_client


def test_many_writers_and_watchers_go_at_once(run: Run, namespace: str) -> None:
    """Forty ConfigMaps are made, patched and deleted together; five watches hear each of the changes in order."""

    async def work(api: client.ApiClient) -> None:
        core = client.CoreV1Api(api)
        began = (await core.list_namespaced_config_map(namespace)).metadata.resource_version

        async def listen() -> list[tuple[str, str]]:
            heard = []
            async with watch.Watch() as watcher:
                stream = watcher.stream(
                    core.list_namespaced_config_map, namespace, resource_version=began, label_selector="many", timeout_seconds=30
                )
                async for event in stream:
                    heard.append((event["object"].metadata.name, event["type"]))
                    if len(heard) == 120:
                        break
            return heard

        async def live(name: str) -> None:
            await core.create_namespaced_config_map(namespace, {"metadata": {"name": name, "labels": {"many": ""}}, "data": {"n": "0"}})
            patch = [{"op": "test", "path": "/data/n", "value": "0"}, {"op": "replace", "path": "/data/n", "value": "1"}]
            patched = await core.patch_namespaced_config_map(name, namespace, patch)
            assert patched.data == {"n": "1"}
            await core.delete_namespaced_config_map(name, namespace)

        watches = [asyncio.ensure_future(listen()) for _ in range(5)]
        names = [f"many-{i}" for i in range(40)]
        await asyncio.gather(*map(live, names))
        heard = await asyncio.gather(*watches)
        assert all(one == heard[0] for one in heard)
        for name in names:
            assert [kind for of, kind in heard[0] if of == name] == ["ADDED", "MODIFIED", "DELETED"]

    run(work)


def test_server_side_apply_pages_and_errors(run: Run, namespace: str) -> None:
    async def work(api: client.ApiClient) -> None:
        core = client.CoreV1Api(api)

        def service(*ports: int) -> dict[str, Any]:
            spec = {"selector": {"app": "x"}, "ports": [{"name": f"p{p}", "port": p} for p in ports]}
            return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "applied"}, "spec": spec}

        for ports in ((80, 81), (81, 82)):
            found = await core.patch_namespaced_service(
                "applied", namespace, service(*ports), field_manager="async", _content_type="application/apply-patch+yaml"
            )
            assert [p.port for p in found.spec.ports] == list(ports)
        for i in range(5):
            await core.create_namespaced_secret(namespace, {"metadata": {"name": f"s{i}"}, "string_data": None, "stringData": {"k": "v"}})
        first = await core.list_namespaced_secret(namespace, limit=2)
        rest = await core.list_namespaced_secret(namespace, _continue=first.metadata._continue)
        assert [s.metadata.name for s in (*first.items, *rest.items)] == [f"s{i}" for i in range(5)]
        assert first.metadata.remaining_item_count == 3 and rest.items[0].data == {"k": "dg=="}
        with pytest.raises(ApiException) as refused:
            await core.create_namespaced_service(namespace, {"metadata": {"name": "bad"}, "spec": {"ports": [{"port": 70000}]}})
        told = json.loads(refused.value.body)
        assert refused.value.status == 422 and told["details"]["causes"][0]["field"] == "spec.ports[0].port"
        dynamic = await DynamicClient(api)
        kind = await dynamic.resources.get(api_version="v1", kind="Secret")
        assert len((await kind.get(namespace=namespace, label_selector="!none")).items) == 5

    run(work)


def test_exec_over_websockets(run: Run, namespace: str) -> None:
    """What a command says, to both streams, and how it ended; logs while they are written."""

    async def work(api: client.ApiClient) -> None:
        core = client.CoreV1Api(api)
        container = {"name": "sh", "image": "busybox", "command": ["sh", "-c", "echo begin; exec sleep infinity"]}
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
        await core.create_namespaced_pod(namespace, {"metadata": {"name": "talker"}, "spec": spec})
        async with watch.Watch() as watcher:
            async for event in watcher.stream(core.list_namespaced_pod, namespace, field_selector="metadata.name=talker"):
                if event["object"].status.phase == "Running":
                    break
        async with watch.Watch() as watcher:
            async for line in watcher.stream(core.read_namespaced_pod_log, "talker", namespace, follow=True):
                assert line.strip() == "begin"
                break
        async with WsApiClient() as sockets:
            streams = client.CoreV1Api(sockets)
            said = await streams.connect_get_namespaced_pod_exec("talker", namespace, command=["echo", "ahoy"], stdout=True, stderr=True)
            assert said == "ahoy\n"
            command = ["sh", "-c", "read line; echo got $line; echo err >&2; exit 4"]
            opened = await streams.connect_get_namespaced_pod_exec(
                "talker", namespace, command=command, stdin=True, stdout=True, stderr=True, _preload_content=False
            )
            heard: dict[int, bytes] = {}
            async with opened as socket:
                await socket.send_bytes(b"\0ahoy\n")
                async for message in socket:
                    heard[message.data[0]] = heard.get(message.data[0], b"") + message.data[1:]
            assert heard[STDOUT_CHANNEL] == b"got ahoy\n" and heard[STDERR_CHANNEL] == b"err\n"
            status = json.loads(heard[ERROR_CHANNEL])
            assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "4"}]
            assert WsApiClient.parse_error_data(heard[ERROR_CHANNEL].decode()) == 4

    run(work)


def test_a_watch_that_is_too_old_says_so_and_a_new_list_helps(run: Run, namespace: str) -> None:
    async def work(api: client.ApiClient) -> None:
        core = client.CoreV1Api(api)
        with pytest.raises(ApiException) as expired:
            async with watch.Watch() as watcher:
                async for _ in watcher.stream(core.list_namespaced_pod, namespace, resource_version="999999999", timeout_seconds=2):
                    pass
        assert expired.value.status in (410, 504), expired.value
        listed = await core.list_namespaced_config_map(namespace, resource_version="0")
        assert listed.metadata.resource_version.isdigit()

    run(work)
