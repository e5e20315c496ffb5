"""OpenAPI v3 as it is served, against the facts of the real one: every field, type, required field, list type and merge key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server import Server

FACTS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "openapi-facts.json"
KUBECTL = shutil.which("kubectl") or str(Path(__file__).resolve().parents[2] / ".venv" / "bin" / "kubectl")
PREFIX = "#/components/schemas/"
# What facts say of a schema beyond its fields; the rest (descriptions, defaults, formats' prose) they leave out.
SAID = ("type", "format", "required", "enum", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
        "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key", "x-kubernetes-group-version-kind", "x-kubernetes-unions")  # fmt: skip
# Unions in the real document too: their own JSON is a string or a number.
UNIONS = {"io.k8s.apimachinery.pkg.api.resource.Quantity", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"}
METHODS = {"get": "get", "list": "get", "watch": "get", "watchlist": "get", "post": "post", "put": "put", "patch": "patch",
           "delete": "delete", "deletecollection": "delete"}  # fmt: skip
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def facts() -> Tree:
    if not FACTS.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{FACTS} is not here")
        pytest.skip(f"{FACTS} is not here")
    found: Tree = json.loads(FACTS.read_text())
    return found


@pytest.fixture(scope="module")
def documents(server: Server) -> dict[str, Tree]:
    """Path of a group version -> its document."""
    found = {}
    for path, entry in server.request("GET", "/openapi/v3")[1]["paths"].items():
        status, found[path] = server.request("GET", entry["serverRelativeURL"])
        assert status == 200, path
    return found


@pytest.fixture(scope="module")
def served(server: Server) -> list[tuple[str, str, str, str]]:
    """(path of the group version, group, version, kind) of everything that discovery speaks of."""
    paths = ["api/v1"] + [f"apis/{v['groupVersion']}" for g in server.request("GET", "/apis")[1]["groups"] for v in g["versions"]]
    found = []
    for path in paths:
        for resource in server.request("GET", f"/{path}")[1]["resources"]:
            group, _, version = path.removeprefix("apis/").rpartition("/") if path != "api/v1" else ("", "", "v1")
            found.append((path, resource.get("group", group), resource.get("version", version), resource["kind"]))
    return sorted(set(found))


def reference(schema: Tree) -> str:
    """The definition that a schema is, where it is nothing but that."""
    whole = schema.get("allOf", [schema])
    return str(whole[0].get("$ref", "")).removeprefix(PREFIX) if len(whole) == 1 else ""


def differences(at: str, fact: Tree, schema: Tree) -> Iterator[str]:
    """Where a schema says other than the facts."""
    if "$ref" in fact:
        if reference(schema) != fact["$ref"]:
            yield f"{at}: is {reference(schema) or schema.get('type')}, not {fact['$ref']}"
        for key in SAID[6:]:
            if fact.get(key) != schema.get(key):
                yield f"{at}: {key} is {schema.get(key)}, not {fact.get(key)}"
        return
    for key in SAID:
        known, found = fact.get(key), schema.get(key)
        if key in ("required", "x-kubernetes-group-version-kind"):
            known, found = (Counter(json.dumps(v, sort_keys=True) for v in x or ()) for x in (known, found))
        if known != found:
            yield f"{at}: {key} is {schema.get(key)}, not {fact.get(key)}"
    fields, wanted = schema.get("properties") or {}, fact.get("properties") or {}
    yield from (f"{at}.{name}: missing" for name in wanted.keys() - fields.keys())
    yield from (f"{at}.{name}: the real one has no such field" for name in fields.keys() - wanted.keys())
    for name in wanted.keys() & fields.keys():
        yield from differences(f"{at}.{name}", wanted[name], fields[name])
    for key in ("items", "additionalProperties"):
        if isinstance(fact.get(key), dict):
            if not isinstance(schema.get(key), dict):
                yield f"{at}: {key} missing"
            else:
                yield from differences(f"{at}[]" if key == "items" else f"{at}{{}}", fact[key], schema[key])
        elif fact.get(key) != schema.get(key):
            yield f"{at}: {key} is {schema.get(key)}, not {fact.get(key)}"


def test_every_definition_served_is_the_real_one(facts: Tree, documents: dict[str, Tree]) -> None:
    wrong: set[str] = set()
    seen: set[str] = set()
    for document in documents.values():
        for name, schema in document["components"]["schemas"].items():
            if name not in facts["definitions"] or name in UNIONS:
                continue
            seen.add(name)
            wrong.update(differences(name, facts["definitions"][name], schema))
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(sorted(wrong))
    assert len(seen) > 450, f"{len(seen)} definitions"
    print(f"{len(seen)} definitions of {len(facts['definitions'])}")


def test_every_kind_served_has_its_definition_and_all_that_it_names(facts: Tree, documents: dict[str, Tree], served: list[Any]) -> None:
    missing = []
    for path, group, version, kind in served:
        schemas = documents[path]["components"]["schemas"]
        gvk = {"group": group, "version": version, "kind": kind}
        names = [n for n, s in schemas.items() if gvk in s.get("x-kubernetes-group-version-kind", ())]
        if not names and not kind.endswith("Options"):  # a stream's are parameters of its paths
            missing.append(f"{path}: no definition of {kind}")
        dangling = set(json.dumps(documents[path]).split(f'"$ref": "{PREFIX}')[1:])
        missing += [f"{path}: {d.partition(chr(34))[0]} is named and not there" for d in dangling if d.partition('"')[0] not in schemas]
    assert not missing, "\n".join(sorted(set(missing)))


def test_every_operation_of_what_is_served_is_described(facts: Tree, documents: dict[str, Tree], served: list[Any], server: Server) -> None:
    paths = {path: item for document in documents.values() for path, item in document["paths"].items()}
    groups = {path for path, *_ in served}
    resources = {}
    for path in groups:
        resources[path] = {r["name"] for r in server.request("GET", f"/{path}")[1]["resources"]}
    wrong, unserved = [], set()
    for path, fact in facts["paths"].items():
        parts = [p for p in path.strip("/").split("/") if p != "watch"]
        root, rest = ("/".join(parts[:2]), parts[2:]) if parts[0] == "api" else ("/".join(parts[:3]), parts[3:])
        if rest[:2] == ["namespaces", "{namespace}"] and len(rest) > 2:
            rest = rest[2:]
        resource = "/".join(p for p in rest if not p.startswith("{"))
        if not fact.get("gvk") or resource not in resources.get(root, ()):
            if resource and "/" not in resource and fact.get("gvk"):
                unserved.add(f"{root} {fact['gvk'][2]}")
            continue
        item = paths.get(path)
        if item is None:
            wrong.append(f"{path}: not described")
            continue
        for action in fact["actions"]:
            operation = item.get(METHODS.get(action, ""), {})
            told = operation.get("x-kubernetes-group-version-kind")
            if action in METHODS and (told is None or list(told.values()) != fact["gvk"]):
                wrong.append(f"{path}: {action} is of {told}, not {fact['gvk']}")
    print(f"{len(groups)} group versions; not served: {', '.join(sorted(unserved)) or 'nothing'}")
    assert not wrong, "\n".join(wrong)


EXPLAINED = [
    (["pods.spec.containers.livenessProbe"], ["KIND:       Pod", "VERSION:    v1", "FIELD: livenessProbe <Probe>", "httpGet\t<HTTPGetAction>"]),
    (["deployments.spec.strategy"], ["GROUP:      apps", "FIELD: strategy <DeploymentStrategy>", "rollingUpdate\t<RollingUpdateDeployment>"]),
    (["ing.spec.rules"], ["GROUP:      networking.k8s.io", "FIELD: rules <[]IngressRule>", "host\t<string>"]),
    (["hpa", "--api-version=autoscaling/v1"], ["VERSION:    v1", "spec\t<HorizontalPodAutoscalerSpec>"]),
    (["endpointslices.endpoints"], ["FIELD: endpoints <[]Endpoint>", "addresses\t<[]string> -required-"]),
    (["validatingadmissionpolicies.spec", "--recursive"], ["KIND:       ValidatingAdmissionPolicy", "matchConditions\t<[]MatchCondition>", "expression\t<string> -required-"]),
]  # fmt: skip


def explain(server: Server, *args: str) -> str:
    command = [KUBECTL, "--kubeconfig", str(server.folder / "kubeconfig"), "explain", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(("args", "texts"), EXPLAINED, ids=[a[0][0] for a in EXPLAINED])
def test_kubectl_explains(server: Server, args: list[str], texts: list[str]) -> None:
    said = explain(server, *args)
    assert all(text in said for text in texts), said
