"""The official Python client, unmodified: typed and dynamic clients, informers, streams, leader election."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from clusters import Cluster, wait_for
from kubernetes import client, config, dynamic, informer, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import exceptions as wrong
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.stream import portforward, stream

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def core(kubeconfig: str) -> Iterator[client.CoreV1Api]:
    config.load_kube_config(kubeconfig)
    yield client.CoreV1Api()


def configmap(name: str, data: dict[str, str] | None = None, **meta: Any) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, **meta), data=data)


def deployment(name: str, replicas: int = 1) -> client.V1Deployment:
    labels = {"app": name}
    container = client.V1Container(
        name="web",
        image="traefik/whoami",
        ports=[client.V1ContainerPort(name="http", container_port=80)],
        readiness_probe=client.V1Probe(http_get=client.V1HTTPGetAction(path="/health", port="http"), period_seconds=1),
        resources=client.V1ResourceRequirements(requests={"cpu": "10m", "memory": "1Mi"}),
    )
    pod = client.V1PodSpec(containers=[container], termination_grace_period_seconds=0)
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=pod)
    spec = client.V1DeploymentSpec(replicas=replicas, selector=client.V1LabelSelector(match_labels=labels), template=template)
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec)


def test_typed_objects_live_patched_in_every_way(core: client.CoreV1Api, namespace: str) -> None:
    """create, the five kinds of patches, replace, conflicts, status and scale, deletion with propagation."""
    apps = client.AppsV1Api()
    made = apps.create_namespaced_deployment(namespace, deployment("web"), field_validation="Strict", field_manager="typed")
    assert made.metadata.creation_timestamp and made.spec.strategy.rolling_update.max_surge == "25%"

    def patch(body: Any, media: str, **options: Any) -> Any:
        return apps.patch_namespaced_deployment("web", namespace, body, _content_type=media, **options)

    patch([{"op": "replace", "path": "/spec/replicas", "value": 2}], "application/json-patch+json")
    patch({"metadata": {"annotations": {"a": "1"}}}, "application/merge-patch+json")
    env = {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "1"}]}]}}}}
    strategic = patch(env, "application/strategic-merge-patch+json")
    assert strategic.spec.template.spec.containers[0].image == "traefik/whoami" and strategic.spec.replicas == 2
    apply = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1}}
    with pytest.raises(ApiException) as refused:
        patch(apply, "application/apply-patch+yaml", field_manager="applier")
    told = json.loads(refused.value.body)
    assert refused.value.status == 409 and told["details"]["causes"][0]["field"] == ".spec.replicas", told
    applied = patch(apply, "application/apply-patch+yaml", field_manager="applier", force=True)
    assert {m.manager: m.operation for m in applied.metadata.managed_fields}["applier"] == "Apply"
    stale = apps.read_namespaced_deployment("web", namespace)
    patch({"metadata": {"annotations": {"a": "2"}}}, "application/merge-patch+json")
    with pytest.raises(ApiException) as refused:
        apps.replace_namespaced_deployment("web", namespace, stale)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")

    def scaled() -> bool:
        """The controller writes the status meanwhile: a conflict is to be tried again, as kubectl scale does."""
        scale = apps.read_namespaced_deployment_scale("web", namespace)
        scale.spec.replicas = 3
        try:
            return bool(apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 3)
        except ApiException as e:
            assert e.status == 409
            return False

    wait_for(scaled, 30, "a scale without a conflict")
    ready = lambda: apps.read_namespaced_deployment_status("web", namespace).status.ready_replicas == 3  # noqa: E731
    wait_for(ready, 30, "three replicas are ready")
    apps.delete_namespaced_deployment("web", namespace, propagation_policy="Foreground")
    gone = lambda: not core.list_namespaced_pod(namespace, label_selector="app=web").items  # noqa: E731
    wait_for(gone, 30, "the pods are gone")
    wait_for(lambda: not apps.list_namespaced_deployment(namespace).items, 30, "the Deployment goes after them")


def test_wrong_requests_say_what_is_wrong(core: client.CoreV1Api, namespace: str) -> None:
    for wrong_name, status, reason in (("Not A Name", 422, "Invalid"), ("kube-root-ca.crt", 409, "AlreadyExists")):
        with pytest.raises(ApiException) as refused:
            core.create_namespaced_config_map(namespace, configmap(wrong_name))
        assert refused.value.status == status and json.loads(refused.value.body)["reason"] == reason
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_pod("nothing", namespace)
    assert refused.value.status == 404
    account = client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="little"))
    core.create_namespaced_service_account(namespace, account)
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
    token = core.create_namespaced_service_account_token("little", namespace, request).status.token
    settings = client.Configuration.get_default_copy()
    settings.cert_file = settings.key_file = None
    settings.api_key = {"authorization": f"Bearer {token}"}
    little = client.CoreV1Api(client.ApiClient(settings))
    me = client.AuthenticationV1Api(client.ApiClient(settings)).create_self_subject_review(client.V1SelfSubjectReview())
    assert me.status.user_info.username == f"system:serviceaccount:{namespace}:little"
    with pytest.raises(ApiException) as refused:
        little.list_namespaced_secret(namespace)
    assert refused.value.status == 403
    assert 'cannot list resource "secrets" in API group ""' in json.loads(refused.value.body)["message"]


def test_lists_come_in_pages_and_expire(core: client.CoreV1Api, namespace: str) -> None:
    for i in range(7):
        core.create_namespaced_config_map(namespace, configmap(f"page-{i}", labels={"paged": "yes"}))
    names, token = [], ""
    while True:
        page = core.list_namespaced_config_map(namespace, label_selector="paged=yes", limit=3, _continue=token)
        names += [c.metadata.name for c in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{i}" for i in range(7)]
    whole = core.list_namespaced_config_map(namespace, field_selector="metadata.name!=page-0", limit=1)
    assert whole.metadata.remaining_item_count is None, "what remains is not counted with a selector"
    core.delete_collection_namespaced_config_map(namespace, label_selector="paged in (yes)")
    assert not core.list_namespaced_config_map(namespace, label_selector="paged").items


def test_watches_and_informers_see_what_happens(core: client.CoreV1Api, namespace: str) -> None:
    """A watch from a list's version, a timeout, a version that is gone; the client's own informer with its cache."""
    began = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, configmap("seen", {"n": "0"}, labels={"watched": "yes"}))
    core.patch_namespaced_config_map("seen", namespace, {"data": {"n": "1"}})
    core.delete_namespaced_config_map("seen", namespace)
    watcher = watch.Watch()
    events = watcher.stream(
        core.list_namespaced_config_map, namespace, resource_version=began, label_selector="watched", timeout_seconds=1
    )
    assert [(e["type"], e["object"].data["n"]) for e in events] == [("ADDED", "0"), ("MODIFIED", "1"), ("DELETED", "1")]
    bookmarks = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        allow_watch_bookmarks=True,
        send_initial_events=True,
        resource_version_match="NotOlderThan",
        timeout_seconds=1,
    )
    kinds = [(e["type"], (e["raw_object"]["metadata"].get("annotations") or {}).get("k8s.io/initial-events-end")) for e in bookmarks]
    assert kinds[0] == ("ADDED", None) and ("BOOKMARK", "true") in kinds
    heard: list[tuple[str, str]] = []
    shared = informer.SharedInformer(core.list_namespaced_config_map, namespace=namespace, label_selector="informed=yes")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        shared.add_event_handler(kind, lambda found, kind=kind: heard.append((kind, found.metadata.name)))
    core.create_namespaced_config_map(namespace, configmap("before", labels={"informed": "yes"}))
    shared.start()
    wait_for(lambda: heard == [("ADDED", "before")], 10, "what was there is told")
    core.create_namespaced_config_map(namespace, configmap("after", labels={"informed": "yes"}))
    core.patch_namespaced_config_map("after", namespace, {"data": {"k": "v"}})
    wait_for(lambda: heard[1:] == [("ADDED", "after"), ("MODIFIED", "after")], 10, f"{heard}")
    core.delete_namespaced_config_map("before", namespace)
    wait_for(lambda: heard[-1] == ("DELETED", "before"), 10, f"{heard}")
    assert [c.metadata.name for c in shared.cache.list()] == ["after"]
    shared.stop()


def test_a_pod_is_talked_to_through_the_client(core: client.CoreV1Api, namespace: str) -> None:
    """Logs (followed too), exec with its streams and exit code, port-forward; what happened is in the events."""
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "sh", "image": "busybox", "command": ["sh", "-c", "echo one; echo two; exec sleep infinity"]},
            {"name": "web", "image": "traefik/whoami"},
        ],
    }
    core.create_namespaced_pod(namespace, {"metadata": {"name": "talker"}, "spec": spec})
    for event in watch.Watch().stream(core.list_namespaced_pod, namespace, field_selector="metadata.name=talker", timeout_seconds=30):
        if all(s.ready for s in event["object"].status.container_statuses or ()) and event["object"].status.phase == "Running":
            break
    wait_for(lambda: "two" in core.read_namespaced_pod_log("talker", namespace, container="sh"), 10)
    assert core.read_namespaced_pod_log("talker", namespace, container="sh", tail_lines=1) == "two\n"
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "talker", namespace, container="sh", follow=True)
    assert [next(lines), next(lines)] == ["one", "two"]
    command = ["sh", "-c", "cat; echo err >&2; exit 3"]
    talk = stream(
        core.connect_get_namespaced_pod_exec, "talker", namespace, container="sh", command=command,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )
    talk.write_stdin("ahoy\n")
    assert talk.readline_stdout(timeout=10) == "ahoy"
    talk.close()
    done = stream(
        core.connect_get_namespaced_pod_exec, "talker", namespace, container="sh", command=["sh", "-c", "echo out; echo err >&2; exit 3"],
        stdin=False, stdout=True, stderr=True, tty=False, _preload_content=False,
    )
    done.run_forever(timeout=10)
    assert (done.read_stdout(), done.read_stderr(), done.returncode) == ("out\n", "err\n", 3)
    tunnel = portforward(core.connect_get_namespaced_pod_portforward, "talker", namespace, ports="80")
    connection = http.client.HTTPConnection("talker")
    connection.sock = tunnel.socket(80)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200 and b"Hostname: talker" in answer.read()
    connection.close()
    events = core.list_namespaced_event(namespace, field_selector="involvedObject.name=talker").items
    assert {"Scheduled", "Pulled", "Created", "Started"} <= {e.reason for e in events}
    short = {"restartPolicy": "Never", "containers": [{"name": "sh", "image": "busybox", "command": ["true"]}]}
    core.create_namespaced_pod(namespace, {"metadata": {"name": "short"}, "spec": short})
    wait_for(lambda: core.read_namespaced_pod("short", namespace).status.phase == "Succeeded", 30)
    time.sleep(0.3)
    events = core.list_namespaced_event(namespace, field_selector="involvedObject.name=short").items
    assert "SandboxChanged" not in {e.reason for e in events}, "a pod that is over has no new sandbox"


def test_the_dynamic_client_finds_and_works_on_any_kind(cluster: Cluster, namespace: str) -> None:
    """Discovery, server-side apply, subresources and watches of kinds that the client learns from the server."""
    found = dynamic.DynamicClient(client.ApiClient())
    jobs = found.resources.get(api_version="batch/v1", kind="CronJob")
    assert jobs.namespaced and "cj" in jobs.short_names and "patch" in jobs.verbs
    container = {"name": "c", "image": "busybox"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    body = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tide"}, "spec": {"schedule": "@hourly", "suspend": True, "jobTemplate": {"spec": {"template": template}}}}
    made = jobs.server_side_apply(body=body, namespace=namespace, field_manager="dynamic")
    assert made.spec.concurrencyPolicy == "Allow" and made.metadata.managedFields[0].operation == "Apply"
    with pytest.raises(wrong.ConflictError):
        jobs.server_side_apply(body={**body, "spec": {"suspend": False}}, namespace=namespace, field_manager="other")
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "buoys.python.seaway.dev"},
        "spec": {
            "group": "python.seaway.dev", "scope": "Namespaced", "names": {"kind": "Buoy", "plural": "buoys"},
            "versions": [{
                "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"colour": {"type": "string", "default": "red", "maxLength": 5}}},
                    "status": {"type": "object", "properties": {"lit": {"type": "boolean"}}}}}},
            }],
        },
    }  # fmt: skip
    utils.create_from_dict(client.ApiClient(), definition)
    cluster.kubectl("wait", "--for=condition=Established", "crd/buoys.python.seaway.dev", "--timeout=20s")
    buoys = found.resources.get(api_version="python.seaway.dev/v1", kind="Buoy")
    buoy = {"apiVersion": "python.seaway.dev/v1", "kind": "Buoy", "metadata": {"name": "a"}, "spec": {}}
    assert buoys.create(body=buoy, namespace=namespace).spec.colour == "red"
    lit = buoys.status.patch(body={"status": {"lit": True}}, name="a", namespace=namespace, content_type="application/merge-patch+json")
    assert lit.status.lit is True
    seen = next(buoys.watch(namespace=namespace, timeout=5))
    assert (seen["type"], seen["object"].metadata.name) == ("ADDED", "a")
    with pytest.raises(wrong.UnprocessibleEntityError) as refused:
        buoys.patch(body={"spec": {"colour": "purple"}}, name="a", namespace=namespace, content_type="application/merge-patch+json")
    assert "spec.colour: Too long: may not be more than 5 bytes" in str(refused.value.summary())
    custom = client.CustomObjectsApi()
    listed = custom.list_namespaced_custom_object("python.seaway.dev", "v1", namespace, "buoys")
    assert [b["metadata"]["name"] for b in listed["items"]] == ["a"]
    custom.delete_namespaced_custom_object("python.seaway.dev", "v1", namespace, "buoys", "a")
    with pytest.raises(wrong.NotFoundError):
        buoys.get(name="a", namespace=namespace)
    cluster.kubectl("delete", "crd", "buoys.python.seaway.dev")


def test_one_of_two_candidates_leads_and_the_other_takes_over(core: client.CoreV1Api, namespace: str) -> None:
    led: list[str] = []
    ends = {"ann": threading.Event(), "ben": threading.Event()}
    leases = client.CoordinationV1Api()

    def stand(name: str) -> threading.Thread:
        def lead() -> None:
            led.append(name)
            ends[name].wait(60)
            raise RuntimeError("no longer a leader")  # the client then renews no more

        settings = electionconfig.Config(
            LeaseLock("python-lead", namespace, name), lease_duration=3, renew_deadline=2, retry_period=1,
            onstarted_leading=lead, onstopped_leading=lambda: None,
        )  # fmt: skip
        thread = threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True)
        thread.start()
        return thread

    threads = [stand("ann")]
    wait_for(lambda: led == ["ann"], 10, "ann leads")
    threads.append(stand("ben"))
    taken = leases.read_namespaced_lease("python-lead", namespace).spec
    assert taken.holder_identity == "ann"
    wait_for(lambda: leases.read_namespaced_lease("python-lead", namespace).spec.renew_time > taken.renew_time, 10, "ann renews")
    assert led == ["ann"]
    ends["ann"].set()
    wait_for(lambda: led == ["ann", "ben"], 20, "ben leads when ann's lease has run out")
    assert leases.read_namespaced_lease("python-lead", namespace).spec.holder_identity == "ben"
    ends["ben"].set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
