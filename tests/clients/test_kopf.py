"""An operator on kopf, unmodified: handlers, finalizers, statuses, timers, daemons, retries and events of a kind of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import kopf
import pytest
from clusters import Cluster, wait_for
from kubernetes_asyncio import client, config

pytestmark = pytest.mark.e2e
GROUP = "kopf.seaway.dev"
DEFINITION = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: pilots.{GROUP}}}
spec:
  group: {GROUP}
  scope: Namespaced
  names: {{kind: Pilot, plural: pilots, singular: pilot, shortNames: [plt]}}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {{status: {{}}}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {{type: object, properties: {{ships: {{type: integer, default: 1}}, bad: {{type: boolean}}}}}}
          status: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


class Operator:
    """A kopf operator in a thread, and what its handlers have heard."""

    def __init__(self, namespace: str, kubeconfig: str) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.registry, self.settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
        self.settings.peering.standalone = True
        self.settings.posting.loggers = True
        self.settings.persistence.finalizer = f"{GROUP}/anchor"
        self.settings.watching.server_timeout = 3  # watches end and go on while the tests run
        self.stopped, self.ready = threading.Event(), threading.Event()
        self.namespace, self.kubeconfig = namespace, kubeconfig
        self._handlers()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        await config.load_kube_config(self.kubeconfig)
        await kopf.operator(
            registry=self.registry, settings=self.settings, namespaces=[self.namespace], stop_flag=self.stopped, ready_flag=self.ready
        )

    def _handlers(self) -> None:
        heard, at = self.heard, {"registry": self.registry}

        @kopf.on.login(**at)
        def login(**kwargs: Any) -> Any:
            return kopf.login_with_kubeconfig(**kwargs)

        @kopf.on.create("pilots", id="embark", **at)
        async def embark(spec: Any, name: str, body: Any, **_: Any) -> dict[str, str]:
            log: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ships": str(spec["ships"])}}
            kopf.adopt(log)
            async with client.ApiClient() as api:
                made = await client.CoreV1Api(api).create_namespaced_config_map(self.namespace, log)
            kopf.event(body, type="Normal", reason="Embarked", message=f"{name} has a log")
            return {"log": made.metadata.name}

        @kopf.on.create("pilots", id="struggle", **at)
        def struggle(retry: int, spec: Any, **_: Any) -> str:
            if spec.get("bad"):
                raise kopf.PermanentError("this pilot is no good")
            if retry < 2:
                raise kopf.TemporaryError("not yet", delay=0.1)
            return f"after {retry} tries"

        @kopf.on.field("pilots", field="spec.ships", **at)
        def count(old: Any, new: Any, patch: kopf.Patch, **_: Any) -> None:
            heard.append(("ships", old, new))
            patch.status["ships"] = new

        @kopf.on.delete("pilots", **at)
        def ashore(name: str, **_: Any) -> None:
            heard.append(("ashore", name))

        @kopf.on.event("configmaps", field="metadata.ownerReferences", value=kopf.PRESENT, **at)
        def seen(event: Any, name: str, **_: Any) -> None:
            heard.append(("log", event["type"], name))

        @kopf.timer("pilots", interval=0.2, **at)
        def tick(status: Any, patch: kopf.Patch, **_: Any) -> None:
            if status.get("ticks", 0) < 3:
                patch.status["ticks"] = status.get("ticks", 0) + 1

        @kopf.daemon("pilots", cancellation_timeout=2, **at)
        async def watch(stopped: Any, name: str, **_: Any) -> None:
            heard.append(("watching", name))
            await stopped.wait()
            heard.append(("relieved", name))

        @kopf.on.resume("pilots", **at)
        def resume(name: str, **_: Any) -> None:
            heard.append(("resumed", name))

    def __enter__(self) -> Operator:
        self.thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopped.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def pilots(cluster: Cluster) -> Iterator[Cluster]:
    cluster.apply(DEFINITION)
    cluster.kubectl("wait", "--for=condition=Established", f"crd/pilots.{GROUP}", "--timeout=20s")
    yield cluster
    cluster.kubectl("delete", "crd", f"pilots.{GROUP}", "--wait=false")


def pilot(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Pilot", "metadata": {"name": name}, "spec": spec}


def test_an_operator_keeps_its_objects(pilots: Cluster, kubeconfig: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    get = lambda name: pilots.get("pilot", name)  # noqa: E731
    events = lambda: {e["reason"]: e for e in pilots.get("events", "--field-selector", "involvedObject.kind=Pilot")["items"]}  # noqa: E731
    with Operator(namespace, kubeconfig) as operator:
        heard = operator.heard
        pilots.kubectl("apply", "-f", "-", text=json.dumps(pilot("ann", ships=2)))
        done = lambda: get("ann").get("status", {}).get("struggle") and get("ann")["status"].get("ticks") == 3  # noqa: E731
        wait_for(done, 30, "the handlers are through")
        found = get("ann")
        assert found["status"]["embark"]["log"].startswith("ann-") and found["status"]["struggle"] == "after 2 tries"
        assert found["status"]["ships"] == 2 and found["metadata"]["finalizers"] == [f"{GROUP}/anchor"]
        assert "kopf.zalando.org/last-handled-configuration" in found["metadata"]["annotations"]
        log = pilots.get("configmap", found["status"]["embark"]["log"])
        assert log["data"] == {"ships": "2"} and log["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]
        wait_for(lambda: ("log", "ADDED", log["metadata"]["name"]) in heard, 10, "the child is seen")
        wait_for(lambda: {"Embarked", "Logging"} <= set(events()), 10, "events are posted")
        assert events()["Embarked"]["involvedObject"]["uid"] == found["metadata"]["uid"]
        pilots.kubectl("patch", "pilot", "ann", "--type=merge", "-p", '{"spec":{"ships":5}}')
        wait_for(lambda: get("ann")["status"]["ships"] == 5, 10, "a change of the field is handled")
        assert ("ships", 2, 5) in heard
        pilots.kubectl("apply", "-f", "-", text=json.dumps(pilot("bad", bad=True)))
        wait_for(lambda: any("no good" in e["message"] for e in pilots.get("events")["items"]), 20, "a permanent error is an event")
        pilots.kubectl("delete", "pilot", "ann", "--timeout=20s")
        assert ("ashore", "ann") in heard and ("relieved", "ann") in heard, heard
        wait_for(lambda: "NotFound" in pilots.kubectl("get", "configmap", log["metadata"]["name"], check=False), 20, "its log goes after it")
    with Operator(namespace, kubeconfig) as operator:
        wait_for(lambda: ("resumed", "bad") in operator.heard, 20, "a new operator takes on what is there")
        pilots.kubectl("delete", "pilot", "bad", "--timeout=20s")
        assert ("ashore", "bad") in operator.heard
