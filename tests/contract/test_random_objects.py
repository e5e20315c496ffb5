"""Random objects of every kind but pods and workloads: none makes the server fail, and every refusal names its field."""

from __future__ import annotations

import random
from typing import Any

from objects import KINDS, wild, word
from server import Server

Tree = dict[str, Any]
MANY = 500


def collection(version: str, resource: str, namespaced: bool, ns: str) -> str:
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{base}/namespaces/{ns}/{resource}" if namespaced else f"{base}/{resource}"


def named(tree: Tree, name: str, ns: str) -> Tree:
    tree = {**tree, "metadata": {**tree.get("metadata", {}), "name": name}}
    if (tree.get("involvedObject") or {}).get("namespace") == "$ns":
        tree["involvedObject"] = {**tree["involvedObject"], "namespace": ns}
    return tree


def test_five_hundred_random_valid_objects_are_taken_and_given_back(server: Server, ns: str) -> None:
    chooser = random.Random(7)
    kinds = list(KINDS)
    for i in range(MANY):
        version, resource, namespaced = kinds[i % len(kinds)]
        make, _ = KINDS[(version, resource, namespaced)]
        name = f"r{i}-{word(chooser, 5)}"
        path = collection(version, resource, namespaced, ns)
        tree = named(make(chooser), name, ns)
        status, answer = server.request("POST", path, tree)
        assert status == 201, (resource, tree, answer)
        status, again = server.request("GET", f"{path}/{name}")
        assert (status, again) == (200, answer)
        # What the server made of an object is an object that it takes: an update without a change changes nothing.
        status, same = server.request("PUT", f"{path}/{name}", again)
        assert status == 200 and same["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"], (again, same)
        assert server.request("DELETE", f"{path}/{name}")[0] == 200


def test_five_hundred_random_invalid_objects_are_refused_at_their_field(server: Server, ns: str) -> None:
    chooser = random.Random(11)
    broken = [(kind, field) for kind, (_, breaks) in KINDS.items() for field in breaks]
    for i in range(MANY):
        (version, resource, namespaced), field = broken[i % len(broken)]
        make, breaks = KINDS[(version, resource, namespaced)]
        tree = named(make(chooser), f"r{i}", ns)
        if resource == "services" and tree["spec"]["type"] == "ExternalName":
            tree["spec"] = {"type": "ClusterIP", "ports": tree["spec"]["ports"]}
        breaks[field](tree)
        status, answer = server.request("POST", collection(version, resource, namespaced, ns), tree)
        assert status == 422 and answer["reason"] == "Invalid", (tree, answer)
        fields = [cause["field"] for cause in answer["details"]["causes"]]
        assert field in fields and all(fields), (field, answer)
        assert field in answer["message"]


def test_a_value_of_any_type_anywhere_never_makes_the_server_fail(server: Server, ns: str) -> None:
    chooser = random.Random(13)
    kinds = list(KINDS)
    for i in range(MANY):
        version, resource, namespaced = kinds[i % len(kinds)]
        make, _ = KINDS[(version, resource, namespaced)]
        path, name = collection(version, resource, namespaced, ns), f"w{i}"
        tree = named(wild(chooser, make(chooser)), name, ns)
        status, answer = server.request("POST", path, tree)
        assert status in (201, 400, 422), (tree, answer)
        if status == 422:
            assert all(cause["field"] for cause in answer["details"]["causes"]), answer
        elif status == 400:
            assert answer["message"], answer
        else:
            assert server.request("DELETE", f"{path}/{name}")[0] == 200
