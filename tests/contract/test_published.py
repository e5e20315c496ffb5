"""The published CRDs (Gateway API, cert-manager) installed with kubectl, and objects of them judged as their schemas and rules say.

The objects are data, written by hand: published/README.md says how they are read.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from published_objects import FILES, Case, cases, changes, definitions, holds, served
from server import Server

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
SAFE_UPGRADES = "safe-upgrades.gateway.networking.k8s.io"
CHANNEL = "gateway.networking.k8s.io/channel"
CASES = list(cases())
CHANGES = changes()
MERGE = "application/merge-patch+json"
Tree = dict[str, Any]
KUBECTL = shutil.which("kubectl") or str(Path(__file__).resolve().parents[2] / ".venv" / "bin" / "kubectl")


@dataclass
class Story:
    """What happened, in its order; written by `story`, read by the tests."""

    client_side: str = ""
    installed: dict[str, str] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)  # where OpenAPI says other than the definitions
    explained: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)  # channel -> judgements that were not as the data says
    refused: str = ""
    of_versions: dict[str, tuple[int, Any]] = field(default_factory=dict)
    channels_after_refusal: list[str] = field(default_factory=list)
    upgraded: list[str] = field(default_factory=list)


class Client:
    """One connection to the server, kubectl beside it."""

    def __init__(self, server: Server) -> None:
        self.server, self.connection = server, server.connect(timeout=60)
        self.plurals: dict[tuple[str, str], str] = {}

    def kubectl(self, *args: str, text: str | None = None) -> tuple[int, str]:
        command = [KUBECTL, "--kubeconfig", str(self.server.folder / "kubeconfig"), *args]
        done = subprocess.run(command, capture_output=True, text=True, input=text, timeout=90, check=False)
        return done.returncode, done.stdout + done.stderr

    def ask(self, method: str, path: str, body: Any = None, media: str = "application/json", **query: str) -> tuple[int, Any]:
        return self.server.request(method, path, body, query=query, media=media, connection=self.connection)

    def warnings(self) -> list[str]:
        return self.server.headers.get_all("Warning") or []

    def install(self, channel: str) -> str:
        """Applies a bundle on the server's side and waits until it is served."""
        code, said = self.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(FILES[channel]))
        assert code == 0, said
        names = []
        for crd in definitions(channel):
            if crd["kind"] == "CustomResourceDefinition":
                names.append(crd["metadata"]["name"])
                for version in crd["spec"]["versions"]:
                    key = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
                    self.plurals[key] = crd["spec"]["names"]["plural"]
        end = time.monotonic() + 30
        while not all(self.established(name) for name in names):
            assert time.monotonic() < end, [n for n in names if not self.established(n)]
            time.sleep(0.05)
        return said

    def established(self, name: str) -> bool:
        status, crd = self.ask("GET", f"{CRDS}/{name}")
        found = {c["type"]: c["status"] for c in (crd.get("status") or {}).get("conditions", ())} if status == 200 else {}
        return found.get("Established") == "True"

    def collection(self, tree: Tree) -> str:
        plural = self.plurals[(tree["apiVersion"], tree["kind"])]
        where = "" if tree["kind"] in ("GatewayClass", "ClusterIssuer", "XMesh") else "namespaces/default/"
        return f"/apis/{tree['apiVersion']}/{where}{plural}"

    def judge(self, case: Case) -> str:
        """What was said other than the case says; empty when all is as it says."""
        code, answer = self.ask("POST", self.collection(case.tree), case.tree, dryRun="All", fieldValidation="Strict")
        if not case.breaks:
            if code != 201:
                return f"refused: {answer}"
            told = " ".join(self.warnings())
            return "" if (case.warns in told if case.warns else not told) else f"warned: {told!r}"
        return refused_for(code, answer, case.field, case.says)


def refused_for(code: int, answer: Any, path: str, says: str) -> str:
    """What is wrong with a refusal that should name a field with a text."""
    if code != 422 or answer.get("reason") != "Invalid":
        return f"{code}: {json.dumps(answer)[:300]}"
    causes = answer["details"].get("causes", ())
    if any(c["field"] == path and says in c["message"] for c in causes):
        return ""
    return f"no cause for {path} says {says!r}: {json.dumps(causes)[:600]}"


def judged(client: Client, channel: str) -> list[str]:
    wrong = [f"{case}: {why}" for case in CASES if case.channel == channel and (why := client.judge(case))]
    for what in ("defaults", "changes", "unknown", "kept"):
        for entry in CHANGES[what]:
            if entry["channel"] == channel:
                wrong += [f"{what}: {entry.get('why') or entry['object']['kind']}: {why}" for why in CHECKS[what](client, entry)]
    return wrong


def defaults_are_given(client: Client, entry: Tree) -> Iterator[str]:
    code, made = client.ask("POST", client.collection(entry["object"]), entry["object"])
    if code != 201 or not holds(made, entry["becomes"]):
        yield f"{code}: {json.dumps(made)[:900]}"
    _, read = client.ask("GET", f"{client.collection(entry['object'])}/{entry['object']['metadata']['name']}")
    if not holds(read, entry["becomes"]):
        yield f"read back: {json.dumps(read)[:900]}"


def changes_are_judged(client: Client, entry: Tree) -> Iterator[str]:
    path = client.collection(entry["object"])
    code, made = client.ask("POST", path, entry["object"])
    if code != 201:
        yield f"{code}: {json.dumps(made)[:600]}"
        return
    path = f"{path}/{entry['object']['metadata']['name']}"
    for step in entry["steps"]:
        whole = f"{path}/{step['subresource']}" if "subresource" in step else path
        code, answer = client.ask("PATCH", whole, step["patch"], MERGE)
        if "says" in step:
            if why := refused_for(code, answer, step["field"], step["says"]):
                yield f"{step['patch']}: {why}"
        elif code != 200 or not holds(answer, step["becomes"]):
            yield f"{step['patch']}: {code}: {json.dumps(answer)[:900]}"


def unknown_fields_are_named(client: Client, entry: Tree) -> Iterator[str]:
    path, tree = client.collection(entry["object"]), entry["object"]
    code, answer = client.ask("POST", path, tree, fieldValidation="Strict")
    if code != 400 or f"strict decoding error: {entry['says']}" not in str(answer.get("message")):
        yield f"Strict: {code}: {json.dumps(answer)[:400]}"
    code, answer = client.ask("POST", path, tree, fieldValidation="Warn", dryRun="All")
    if code != 201 or entry["says"].replace('"', '\\"') not in " ".join(client.warnings()):
        yield f"Warn: {code}: {client.warnings()}"
    code, answer = client.ask("POST", path, tree, fieldValidation="Ignore")
    if code != 201 or not holds(answer, entry["keeps"]) or client.warnings():
        yield f"Ignore: {code}: {client.warnings()} {json.dumps(answer)[:400]}"


def subtrees_are_kept(client: Client, entry: Tree) -> Iterator[str]:
    code, answer = client.ask("POST", client.collection(entry["object"]), entry["object"], fieldValidation="Strict")
    if code != 201 or not holds(answer, entry["keeps"]):
        yield f"{code}: {json.dumps(answer)[:600]}"


CHECKS = {
    "defaults": defaults_are_given,
    "changes": changes_are_judged,
    "unknown": unknown_fields_are_named,
    "kept": subtrees_are_kept,
}


def described(client: Client, channel: str) -> Iterator[str]:
    """Where the OpenAPI documents of a bundle's versions say other than its definitions."""
    _, index = client.ask("GET", "/openapi/v3")
    for (version, kind), schema in served(channel).items():
        entry = index["paths"].get(f"apis/{version}")
        if entry is None:
            yield f"{version}: no document"
            continue
        _, document = client.ask("GET", entry["serverRelativeURL"])
        group, _, name = version.partition("/")
        gvk = {"group": group, "version": name, "kind": kind}
        schemas = document["components"]["schemas"].values()
        found = next((s for s in schemas if gvk in s.get("x-kubernetes-group-version-kind", ())), None)
        if found is None:
            yield f"{version} {kind}: no schema"
            continue
        for part in ("spec", "status"):
            if found["properties"].get(part) != schema["properties"].get(part):
                yield f"{version} {kind}: {part} is another"
        if set(found.get("required", ())) != set(schema.get("required", ())):
            yield f"{version} {kind}: required is {found.get('required')}"
        paths = [path for path in document["paths"] if path.endswith((f"/{client.plurals[(version, kind)]}", "/{name}"))]
        if len(paths) < 2:
            yield f"{version} {kind}: paths are {sorted(document['paths'])}"


EXPLAINED = {
    "gateways.spec.listeners": ("GROUP:      gateway.networking.k8s.io", "FIELD: listeners <[]Object>", "hostname\t<string>", "port\t<integer> -required-"),
    "httproutes.spec.rules.filters.type": ("FIELD: type <string>", "ENUM:\n    RequestHeaderModifier\n"),
    "certificates.spec.privateKey": ("KIND:       Certificate", "rotationPolicy\t<string>"),
}  # fmt: skip


def channel_of(client: Client, name: str) -> str:
    return str(client.ask("GET", f"{CRDS}/{name}")[1]["metadata"]["annotations"][CHANNEL])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One server through it all: client-side apply, standard, cert-manager, the refused and the real upgrade."""
    experimental = {d["metadata"]["name"]: d for d in definitions("experimental")}
    server = Server(tmp_path_factory.mktemp("published") / "api").start().wait()
    try:
        client, told = Client(server), Story()
        big = yaml.dump(experimental["httproutes.gateway.networking.k8s.io"], Dumper=yaml.CSafeDumper)
        _, told.client_side = client.kubectl("apply", "-f", "-", text=big)
        for channel in ("standard", "cert-manager"):
            told.installed[channel] = client.install(channel)
            told.wrong[channel] = judged(client, channel)
            told.described += described(client, channel)
        told.explained = {path: client.kubectl("explain", path)[1] for path in EXPLAINED}
        names = [n for n, d in experimental.items() if n.endswith(".gateway.networking.k8s.io") and "group" in d["spec"]]
        for version in ("v1.4.0", "v1.4.0-rc.1", "v0.8.1", "v1.7.0"):
            patch = {"metadata": {"annotations": {"gateway.networking.k8s.io/bundle-version": version}}}
            told.of_versions[version] = client.ask("PATCH", f"{CRDS}/{names[0]}", patch, MERGE, dryRun="All")
        code, told.refused = client.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(FILES["experimental"]))
        assert code != 0, told.refused
        told.channels_after_refusal = [channel_of(client, n) for n in names]
        for resource in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            assert client.ask("DELETE", f"{POLICIES}/{resource}/{SAFE_UPGRADES}")[0] == 200
        told.installed["experimental"] = client.install("experimental")
        told.upgraded = [channel_of(client, n) for n in names]
        told.wrong["experimental"] = judged(client, "experimental")
        yield told
    finally:
        server.close()


def test_client_side_apply_of_the_largest_fails_with_kubernetes_message(story: Story) -> None:
    assert "metadata.annotations: Too long: may not be more than 262144 bytes" in story.client_side


@pytest.mark.parametrize("channel", FILES)
def test_server_side_apply_installs_every_published_definition(story: Story, channel: str) -> None:
    for document in definitions(channel):
        if document["kind"] == "CustomResourceDefinition":
            name = f"customresourcedefinition.apiextensions.k8s.io/{document['metadata']['name']}"
            assert f"{name} serverside-applied" in story.installed[channel]


def test_experimental_over_standard_is_refused_by_the_bundles_policy_until_it_is_deleted(story: Story) -> None:
    text = "Installing experimental CRDs on top of standard channel CRDs is prohibited by default."
    assert f"ValidatingAdmissionPolicy '{SAFE_UPGRADES}' with binding '{SAFE_UPGRADES}' denied request: {text}" in story.refused
    assert set(story.channels_after_refusal) == {"standard"} and len(story.channels_after_refusal) == 10
    assert set(story.upgraded) == {"experimental"}


def test_the_bundles_policy_refuses_versions_before_its_own(story: Story) -> None:
    assert {version: code for version, (code, _) in story.of_versions.items()} == {"v1.4.0": 422, "v1.4.0-rc.1": 200, "v0.8.1": 422, "v1.7.0": 200}
    _, refused = story.of_versions["v1.4.0"]
    assert refused["reason"] == "Invalid" and "Installing CRDs with version before v1.5.0 is prohibited by default." in refused["message"]


def test_published_definitions_are_described_in_openapi_and_explained(story: Story) -> None:
    assert not story.described, "\n".join(story.described)
    for path, texts in EXPLAINED.items():
        assert all(text in story.explained[path] for text in texts), story.explained[path]


@pytest.mark.parametrize("channel", FILES)
def test_published_objects_are_judged_as_their_schemas_and_rules_say(story: Story, channel: str) -> None:
    wrong = story.wrong[channel]
    total = sum(c.channel == channel for c in CASES)
    print(f"{channel}: {total} objects")
    assert not wrong, f"{len(wrong)} judgements:\n" + "\n".join(wrong)
