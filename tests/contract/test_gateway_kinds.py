"""The kinds of Gateway API in a cluster from its birth, before and after somebody installs the published ones over them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from published_objects import FILES, definitions
from server import Server
from test_published import SAFE_UPGRADES, Client

from seaway.api.gateway import definitions as own
from seaway.cluster.apiserver import openapi_v2

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "gateway.networking.k8s.io"
POLICY_GROUP = "policy.seaway.dev"
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
    assert "ingressClassName" not in made["spec"]  # as in a new cluster of any kind: it is not the default class


def test_a_cluster_that_is_to_have_none_has_none(tmp_path: Path) -> None:
    server = born(tmp_path / "api", gateway_api=False)
    try:
        assert server.request("GET", f"/apis/{GROUP}")[0] == 404
        assert server.request("GET", CRDS)[1]["items"] == []
        assert server.request("GET", "/apis/networking.k8s.io/v1/ingressclasses/seaway")[0] == 200
    finally:
        server.close()


def test_nothing_is_compiled_before_somebody_uses_them(tmp_path: Path) -> None:
    """The CEL library, ten megabytes, is not in memory: not at the start, nor when a controller accepts the class."""
    server = born(tmp_path / "api")
    try:
        assert server.process is not None
        maps = Path(f"/proc/{server.process.pid}/maps")
        accepted = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        path, patch = f"/apis/{GROUP}/v1/gatewayclasses/seaway", {"status": {"conditions": [accepted]}}
        assert server.request("PATCH", f"{path}/status", patch, media="application/merge-patch+json")[0] == 200
        code, refused = server.request("PATCH", path, {"spec": {"controllerName": "a.b/c"}}, media="application/merge-patch+json")
        assert code == 422 and "Value is immutable" in refused["message"]
        assert "cel_expr_python" not in maps.read_text()
        assert server.request("POST", f"/apis/{GROUP}/v1/namespaces/default/httproutes", ROUTE)[0] == 201
        assert "cel_expr_python" in maps.read_text()
    finally:
        server.close()


AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_kubectl_and_the_documents_know_them(server: Server) -> None:
    client = Client(server)
    said = {
        words: client.kubectl(*words.split())
        for words in (
            "explain httproute.spec.rules.retry",
            "explain gateways.spec.listeners --api-version=gateway.networking.k8s.io/v1beta1",
            "get gateway,httproute -A",
            "get gc",
            "api-resources --categories=gateway-api -o name",
        )
    }
    assert all(code == 0 for code, _ in said.values()), said
    assert "attempts\t<integer>" in said["explain httproute.spec.rules.retry"][1]
    assert "Where it takes traffic" in said["explain gateways.spec.listeners --api-version=gateway.networking.k8s.io/v1beta1"][1]
    assert "No resources found" in said["get gateway,httproute -A"][1]
    assert said["get gc"][1].split()[:7] == ["NAME", "CONTROLLER", "ACCEPTED", "AGE", "seaway", "seaway.dev/gateway-controller", "Unknown"]
    assert len(said["api-resources --categories=gateway-api -o name"][1].split()) == len(own.KINDS)
    _, told = server.request("GET", "/apis", accept=AGGREGATED)
    versions = next(i["versions"] for i in told["items"] if i["metadata"]["name"] == GROUP)
    assert {v["version"]: len(v["resources"]) for v in versions} == {"v1": 10, "v1beta1": 4, "v1alpha3": 2, "v1alpha2": 3}
    _, document = server.request("GET", f"/openapi/v3/apis/{GROUP}/v1")
    route = document["components"]["schemas"]["io.k8s.networking.gateway.v1.HTTPRoute"]
    assert "sessionPersistence" in route["properties"]["spec"]["properties"]["rules"]["items"]["properties"]
    _, plain = server.request("GET", "/openapi/v2", accept=openapi_v2.ACCEPT)
    assert f"/apis/{GROUP}/v1/namespaces/{{namespace}}/httproutes/{{name}}".encode() in plain


def test_what_is_prepared_is_what_the_server_would_have_made_of_the_manifest(server: Server) -> None:
    """The prepared definitions skip judging and defaults; a definition that a user makes of the same manifest gets the same."""
    other = Server(server.folder.parent / "plain").start().wait()
    try:
        for document in own.definitions():
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


def published(channel: str) -> dict[str, Tree]:
    """name -> definition, of the kinds that we have as well."""
    return {d["metadata"]["name"]: d for d in definitions(channel) if d["metadata"]["name"].endswith(f".{GROUP}") and "group" in d["spec"]}


def served(client: Client) -> dict[str, Tree]:
    """name -> definition, of those there are, but for our own policies, which nobody else brings."""
    found = (d for d in client.ask("GET", CRDS)[1]["items"] if d["spec"]["group"] != POLICY_GROUP)
    return {d["metadata"]["name"]: d for d in found}


def other_than(client: Client, wanted: dict[str, Tree]) -> list[str]:
    """Where the definitions there are say other than the published ones."""
    found, wrong = served(client), []
    for name, theirs in wanted.items():
        ours = found[name]
        if {k: v for k, v in ours["spec"].items() if k != "conversion"} != theirs["spec"]:
            wrong.append(f"{name}: spec")
        said = {k: v for k, v in ours["metadata"]["annotations"].items() if "last-applied" not in k}
        if said != theirs["metadata"]["annotations"]:
            wrong.append(f"{name}: {said}")
    return wrong


def restarted(server: Server) -> Client:
    server.kill()
    server.start().wait()
    return Client(server)


def cleared(server: Server, channel: str) -> Client:
    """The server after somebody took away all that a bundle brought, and then a restart."""
    client = Client(server)
    code, said = client.kubectl("delete", "-f", str(FILES[channel]), "--ignore-not-found")
    assert code == 0 and not served(client), said
    client = restarted(server)
    texts = {d["metadata"]["annotations"]["api-approved.kubernetes.io"][:10] for d in served(client).values()}
    assert texts == {"unapproved"} and len(served(client)) == len(own.KINDS)
    return client


ROUTE = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "kept"},
    "spec": {"parentRefs": [{"name": "gw"}], "rules": [{"name": "one", "retry": {"attempts": 2}}]},
}


def test_whoever_installs_the_published_bundle_has_that(tmp_path: Path) -> None:
    """On the server's side without force, on the client's side, by replace; over ours, after ours; and a restart leaves it alone."""
    standard, experimental = published("standard"), published("experimental")
    server = born(tmp_path / "api")
    try:
        client = Client(server)
        routes = f"/apis/{GROUP}/v1/namespaces/default/httproutes"
        assert client.ask("POST", routes, ROUTE)[0] == 201
        code, said = client.kubectl("apply", "--server-side", "-f", str(FILES["standard"]))
        assert code == 0 and said.count("serverside-applied") == len(standard) + 2, said
        assert not other_than(client, standard)
        before = {name: d["metadata"]["resourceVersion"] for name, d in served(client).items()}
        client = restarted(server)
        assert {name: d["metadata"]["resourceVersion"] for name, d in served(client).items()} == before
        _, route = client.ask("GET", f"{routes}/kept")
        assert route["spec"]["rules"][0]["name"] == "one" and "retry" not in route["spec"]["rules"][0]  # standard has none
        code, said = client.kubectl("apply", "--server-side", "-f", str(FILES["experimental"]))
        assert code != 0 and SAFE_UPGRADES in said

        client = cleared(server, "experimental")  # of which the kinds of its other group had been installed
        assert client.ask("GET", f"/apis/{GROUP}/v1/gatewayclasses/seaway")[0] == 200
        code, said = client.kubectl("apply", "-f", str(FILES["standard"]))
        assert code == 0 and not other_than(client, standard), said

        client = cleared(server, "standard")
        code, said = client.kubectl("replace", "-f", str(FILES["standard"]))
        missing = [line for line in said.splitlines() if "not found" in line]
        assert code != 0 and len(missing) == 2, said  # the policy and its binding: there was nothing to replace
        assert not other_than(client, standard)

        client = cleared(server, "standard")
        code, said = client.kubectl("apply", "--server-side", "-f", str(FILES["experimental"]))
        assert code == 0 and not other_than(client, experimental), said
        assert client.ask("POST", routes, ROUTE)[0] == 201
    finally:
        server.close()
