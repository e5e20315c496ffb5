"""The kinds of Gateway API in a cluster from its birth, before and after somebody installs the published ones over them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server import Server

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "gateway.networking.k8s.io"
Tree = dict[str, Any]
BORN = {"gateway_api": True, "folders": ["gateway"]}


def born(folder: Path, **arguments: Any) -> Server:
    """A server of a cluster that has just been made."""
    server = Server(folder)
    server.extra = {**BORN, **arguments}
    return server.start().wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = born(tmp_path_factory.mktemp("gateway") / "api")
    yield found
    found.close()


def test_a_new_cluster_serves_the_kinds_and_has_the_classes(server: Server) -> None:
    _, group = server.request("GET", f"/apis/{GROUP}")
    assert [v["version"] for v in group["versions"]] == ["v1", "v1beta1", "v1alpha3", "v1alpha2"]
    _, listed = server.request("GET", f"/apis/{GROUP}/v1")
    kinds = {r["kind"]: r["name"] for r in listed["resources"] if "/" not in r["name"]}
    assert kinds.keys() == {
        "BackendTLSPolicy", "GRPCRoute", "Gateway", "GatewayClass", "HTTPRoute", "ListenerSet", "ReferenceGrant", "TCPRoute", "TLSRoute", "UDPRoute",
    }  # fmt: skip
    for plural in kinds.values():
        assert server.request("GET", f"/apis/{GROUP}/v1/{plural}")[0] == 200
    _, own = server.request("GET", f"/apis/{GROUP}/v1beta1/gatewayclasses/seaway")
    assert own["spec"] == {"controllerName": "seaway.dev/gateway-controller"} and own["metadata"]["generation"] == 1
    assert [(c["type"], c["status"]) for c in own["status"]["conditions"]] == [("Accepted", "Unknown")]
    assert server.request("GET", "/api/v1/namespaces/seaway-system")[0] == 200
    _, ingress_class = server.request("GET", "/apis/networking.k8s.io/v1/ingressclasses/seaway")
    assert ingress_class["spec"] == {"controller": "seaway.dev/ingress-controller"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": {"defaultBackend": backend}}
    made = server.create("/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)
    assert made["spec"]["ingressClassName"] == "seaway"


def test_what_is_prepared_is_what_the_server_would_have_made_of_the_manifest(server: Server) -> None:
    """The prepared definitions skip judging and defaults; a definition that a user makes of the same manifest gets the same."""
    from seaway.api.gateway.definitions import definitions

    other = Server(server.folder.parent / "plain").start().wait()
    try:
        for document in definitions():
            name = document["metadata"]["name"]
            other.create(CRDS, document)
            end = time.monotonic() + 15
            while True:
                _, made = other.request("GET", f"{CRDS}/{name}")
                if [c for c in made["status"].get("conditions") or () if c["type"] == "Established" and c["status"] == "True"]:
                    break
                assert time.monotonic() < end, made["status"]
                time.sleep(0.02)
            _, ours = server.request("GET", f"{CRDS}/{name}")
            assert timeless(ours) == timeless(made), name
    finally:
        other.close()


def timeless(definition: Tree) -> Tree:
    """A definition without identity, times and owners."""
    meta = {k: v for k, v in definition["metadata"].items() if k in ("name", "annotations", "generation")}
    conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in definition["status"]["conditions"]]
    conditions.sort(key=lambda c: str(c["type"]))
    return {**definition, "metadata": meta, "status": {**definition["status"], "conditions": conditions}}
