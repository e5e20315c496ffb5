"""The API server takes the policies that are right, with their defaults, and refuses each wrong value with the path of its field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import policyfields
import pytest
from server import Server
from test_gateway_kinds import born
from test_published import CRDS, Client, refused_for

from seaway.api.policies.definitions import definitions

Tree = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
PLURALS = {d["spec"]["names"]["kind"]: d["spec"]["names"]["plural"] for d in definitions()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = born(tmp_path_factory.mktemp("policies") / "api")
    yield found
    found.close()


def post(server: Server, tree: Tree) -> tuple[int, Any]:
    path = f"/apis/{policyfields.GROUP}/v1alpha1/namespaces/default/{PLURALS[tree['kind']]}"
    return server.request("POST", path, tree, query={"dryRun": "All", "fieldValidation": "Strict"})


def test_the_definitions_are_what_a_server_takes(server: Server) -> None:
    """Their rules compile, and cost no more than rules may."""
    for tree in definitions():
        path = f"{CRDS}/{tree['metadata']['name']}"
        _, there = server.request("GET", path)
        tree["metadata"]["resourceVersion"] = there["metadata"]["resourceVersion"]
        tree["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "Anew, so that it is judged."
        code, said = server.request("PUT", path, tree, query={"dryRun": "All"})
        assert code == 200, said


def test_the_pages_manifest_is_taken_by_kubectl_over_what_is_there(server: Server) -> None:
    code, said = Client(server).kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "docs" / "policies.yaml"))
    assert code == 0 and said.count("serverside-applied") == len(PLURALS), said


@pytest.mark.parametrize("name", policyfields.ALL)
def test_every_field_is_taken(server: Server, name: str) -> None:
    for leaf, policy in policyfields.ALL[name].good.items():
        code, said = post(server, policy)
        assert code == 201, (leaf, said)


@pytest.mark.parametrize("name", policyfields.ALL)
def test_every_bad_value_is_refused_with_its_field(server: Server, name: str) -> None:
    fields = policyfields.ALL[name]
    wrong = []
    for bad in (*fields.bad.values(), *fields.rules):
        code, said = post(server, bad.policy)
        wrong.append(refused_for(code, said, bad.at, bad.told))
    assert len(wrong) > 20 and not any(wrong), "\n".join(filter(None, wrong))


def test_defaults_are_those_of_the_reference(server: Server) -> None:
    spec = {
        "loadBalancing": {}, "sessionPersistence": {}, "retry": {}, "outlierDetection": {}, "healthCheck": {}, "rateLimits": [{"requests": 1}],
    }  # fmt: skip
    code, made = post(server, policyfields.policy("BackendTrafficPolicy", {"kind": "HTTPRoute", "name": "app"}, spec))
    assert code == 201 and made["spec"] == {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "app"}],
        "loadBalancing": {"algorithm": "LeastRequest"},
        "sessionPersistence": {"type": "Cookie"},
        "retry": {"attempts": 1, "connectionErrors": True},
        "outlierDetection": {"consecutiveErrors": 5, "maxPercent": 10},
        "healthCheck": {"type": "HTTP"},
        "rateLimits": [{"requests": 1, "unit": "Second", "scope": "Local"}],
    }
