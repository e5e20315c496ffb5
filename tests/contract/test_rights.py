"""Who may do what, walked through: every resource, verb and subresource that is served, asked for over the wire.

What is expected is worked out here from the rules as written, not by the server's own functions.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from rights import MERGE, grant, token_of
from server import Server

RULES = Path(__file__).resolve().parents[2] / "src" / "seaway" / "deploy" / "rbac"
Tree = dict[str, Any]
UPGRADES = ("exec", "attach", "portforward")


@dataclass(frozen=True)
class Ask:
    """A right, and a request that needs it and harms nothing when it is there."""

    group: str
    resource: str
    verb: str
    namespaced: bool
    version: str

    def path(self, ns: str, name: str = "none") -> str:
        resource, _, part = self.resource.partition("/")
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{ns}" if self.namespaced else ""
        single = self.verb in ("get", "update", "patch", "delete") or part
        return f"{root}{where}/{resource}" + (f"/{name}" if single else "") + (f"/{part}" if part else "")

    def send(self, server: Server, ns: str, name: str = "none", **who: Any) -> tuple[int, Any]:
        """Asks for the right with something that cannot be: a name that is not there, a version that is none."""
        method = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}.get(self.verb, "GET")
        query, body, media = {}, None, "application/json"
        if self.verb == "watch":
            query = {"watch": "true", "resourceVersion": "none"}
        elif self.verb == "patch":
            body, media = {}, MERGE
        elif method in ("POST", "PUT"):
            body = []
        elif self.verb == "deletecollection":
            query = {"labelSelector": "none=such", "dryRun": "All"}
        elif self.verb == "list":
            query = {"limit": "1"}
        return server.request(method, self.path(ns, name), body, query=query, media=media, **who)


def served(server: Server) -> list[Ask]:
    """Every right that discovery speaks of; a stream by GET needs `create`."""
    found = []
    groups = [("", "v1", "/api/v1")]
    for group in server.request("GET", "/apis")[1]["groups"]:
        for version in group["versions"]:
            groups.append((group["name"], version["version"], f"/apis/{version['groupVersion']}"))
    for group, version, path in groups:
        for resource in server.request("GET", path)[1]["resources"]:
            verbs = ["create"] if resource["name"].endswith(UPGRADES) else resource["verbs"]
            found += [Ask(resource.get("group", group) if "/" not in resource["name"] else group, resource["name"], verb, resource["namespaced"], version) for verb in verbs]
    return [a for a in found if a.resource != "namespaces/finalize"]  # named by the namespace itself


@pytest.fixture(scope="module")
def asks(server: Server) -> list[Ask]:
    found = served(server)
    assert len(found) > 400
    assert {"pods/log", "pods/exec", "pods/status", "deployments/scale", "serviceaccounts/token"} <= {a.resource for a in found}
    return found


def refusal(ask: Ask, user: str, ns: str) -> str:
    where = f' in the namespace "{ns}"' if ask.namespaced else " at the cluster scope"
    if ask.resource.startswith("namespaces") and ask.path("").endswith(("/none", "/none/status")):
        where = ' in the namespace "none"'  # a namespace lies in itself
    return f'User "{user}" cannot {ask.verb} resource "{ask.resource}" in API group "{ask.group}"{where}'


def check(server: Server, asks: list[Ask], ns: str, user: str, allowed: set[Ask], **who: Any) -> list[str]:
    """What was answered other than these rights say."""
    wrong = []
    for ask in asks:
        status, answer = ask.send(server, ns, **who)
        if status == 403 and not isinstance(answer, dict):
            wrong.append(f"{ask}: {answer!r}")
        elif ask in allowed:
            if status in (401, 403) or status >= 500:
                wrong.append(f"{ask} is granted and was answered {status}: {answer}")
        elif status != 403 or refusal(ask, user, ns) not in answer["message"]:
            wrong.append(f"{ask} is not granted and was answered {status}: {answer}")
    return wrong


SELF = {("authorization.k8s.io", "selfsubjectaccessreviews"), ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authentication.k8s.io", "selfsubjectreviews")}  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_an_account_does_exactly_what_its_roles_say(server: Server, ns: str, asks: list[Ask], seed: int) -> None:
    """Roles drawn at random; then every right there is is asked for, in the account's namespace and in another."""
    dice = random.Random(seed)
    user, subject = f"system:serviceaccount:{ns}:default", {"kind": "ServiceAccount", "name": "default", "namespace": ns}
    token = token_of(server, ns)
    drawn = dice.sample(asks, len(asks) // 6)
    for cluster in (False, True):
        mine = [a for a in drawn if a.namespaced is not cluster]
        rules = [{"apiGroups": [a.group], "resources": [a.resource], "verbs": [a.verb]} for a in mine]
        grant(server, ns, f"drawn-{seed}-{ns}", rules, cluster, subject)
    rights = {(a.group, a.resource, a.verb) for a in drawn} | {(g, r, "create") for g, r in SELF}
    allowed = {a for a in asks if (a.group, a.resource, a.verb) in rights}
    connection = server.connect(server.context())
    wrong = check(server, asks, ns, user, allowed, token=token, connection=connection)
    elsewhere = [a for a in asks if a.namespaced]
    wrong += check(server, elsewhere, "default", user, set(), token=token, connection=connection)
    assert not wrong, "\n".join(wrong)


NAMED = {"apiGroups": [""], "resources": ["configmaps", "configmaps/part"], "resourceNames": ["mine"], "verbs": ["*"]}


@pytest.mark.parametrize(
    ("method", "rest", "query", "allowed"),
    [
        ("GET", "/mine", {}, True),
        ("PATCH", "/mine", {}, True),
        ("PUT", "/mine", {}, True),
        ("DELETE", "/mine", {}, True),
        ("GET", "/other", {}, False),
        ("DELETE", "/other", {}, False),
        ("POST", "", {}, False),
        ("GET", "", {}, False),
        ("DELETE", "", {}, False),
        ("GET", "", {"fieldSelector": "metadata.name=mine"}, True),
        ("GET", "", {"fieldSelector": "metadata.name=other"}, False),
        ("GET", "", {"fieldSelector": "metadata.name!=mine"}, False),
        ("GET", "", {"labelSelector": "name=mine"}, False),
        ("GET", "", {"watch": "true", "fieldSelector": "metadata.name=mine", "resourceVersion": "none"}, True),
        ("DELETE", "", {"fieldSelector": "metadata.name=mine", "dryRun": "All"}, True),
    ],
)
def test_names_in_a_rule_are_the_only_ones(server: Server, ns: str, method: str, rest: str, query: dict[str, str], allowed: bool) -> None:
    grant(server, ns, "named", [NAMED], False, {"kind": "User", "name": "rights-nia"})
    body = {"PATCH": {}, "PUT": [], "POST": []}.get(method)
    media = MERGE if method == "PATCH" else "application/json"
    headers = {"Impersonate-User": "rights-nia"}
    status, _ = server.request(method, f"/api/v1/namespaces/{ns}/configmaps{rest}", body, query=query, media=media, headers=headers)
    assert (status != 403) is allowed, status


@pytest.mark.parametrize(
    ("urls", "path", "allowed"),
    [
        (["/metrics"], "/metrics", True),
        (["/metrics"], "/metrics/slis", False),
        (["/metrics*"], "/metrics/slis", True),
        (["/logs/*"], "/logs/x/y", True),
        (["/logs/*"], "/logs", False),
        (["*"], "/anything", True),
        (["/metrics"], "/Metrics", False),
        (["/metrics"], "/metrics/", False),
        (["/metrics"], "/api/../metrics", False),
    ],
)
def test_paths_in_a_rule_are_the_only_ones(server: Server, ns: str, urls: list[str], path: str, allowed: bool) -> None:
    grant(server, ns, f"urls-{ns}", [{"nonResourceURLs": urls, "verbs": ["get"]}], True, {"kind": "User", "name": f"rights-{ns}"})
    for method in ("GET", "POST"):
        body = {} if method == "POST" else None
        status, _ = server.request(method, path, body, headers={"Impersonate-User": f"rights-{ns}"})
        assert (status != 403) is (allowed and method == "GET"), (method, status)


def test_nobody_without_credentials_gets_anything_but_health_and_version(server: Server, asks: list[Ask]) -> None:
    connection = server.connect(server.context())
    wrong = check(server, asks, "default", "system:anonymous", set(), anonymous=True, connection=connection)
    assert not wrong, "\n".join(wrong)
    paths = ["/", "/api", "/api/", "/api/v1", "/apis", "/apis/", "/openapi/v2", "/openapi/v3", "/metrics", "/metrics/slis", "/logs", "/debug/pprof",
             "/debug/pprof/", "/configz", "/none", "/swagger.json", "/.well-known/openid-configuration", "/openid/v1/jwks", "/api/v2",
             "/apis/none", "/apis/none/v1/things", "/apis/apps/v1/none", "/Version", "/version/x", "//version/../api"]  # fmt: skip
    paths += [f"/apis/{a.group}" for a in asks if a.group] + [f"/apis/{a.group}/{a.version}" for a in asks if a.group]
    paths += server.request("GET", "/openapi/v3")[1]["paths"]
    for path in dict.fromkeys(p if p.startswith("/") else f"/openapi/v3/{p}" for p in paths):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            status, _ = server.request(method, path, anonymous=True, connection=connection)
            assert status == 403, (method, path, status)
    for path in ("/version", "/healthz", "/livez", "/readyz"):
        assert server.request("GET", path, anonymous=True, connection=connection)[0] == 200, path


@pytest.mark.parametrize("header", ["Bearer x", "Bearer ", "Basic YWRtaW46YWRtaW4=", "Negotiate x", "Bearer a.b.c", "bearer", "x"])
def test_wrong_credentials_open_not_even_what_nobody_may(server: Server, header: str) -> None:
    for path in ("/version", "/api/v1/namespaces"):
        status, answer = server.request("GET", path, anonymous=True, headers={"Authorization": header})
        assert (status, answer["reason"]) == (401, "Unauthorized"), path


# nodes


def certificate(server: Server, folder: Path, name: str, *groups: str) -> ssl.SSLContext:
    pair = server.authority.issue(name, time.time(), groups)
    (folder / f"{name}.pem").write_bytes(pair.certificate + pair.key)
    return server.context(str(folder / f"{name}.pem"))


def test_a_node_touches_itself_and_what_its_pods_need(server: Server, ns: str, tmp_path: Path) -> None:
    base = f"/api/v1/namespaces/{ns}"
    for name in ("mine", "other"):
        server.create(f"{base}/secrets", {"metadata": {"name": name}})
    node = server.connect(certificate(server, tmp_path, f"system:node:{ns}-1", "system:nodes"))
    for i in (1, 2):
        server.create("/api/v1/nodes", {"metadata": {"name": f"{ns}-{i}"}})
    assert server.request("GET", f"{base}/secrets/mine", connection=node)[0] == 403, "no pod needs it yet"
    volume = {"name": "v", "secret": {"secretName": "mine"}}
    uids = {}
    for name, where, volumes in (("p1", 1, [volume]), ("p2", 2, [])):
        spec = {"nodeName": f"{ns}-{where}", "containers": [{"name": "c", "image": "i"}], "volumes": volumes}
        uids[name] = server.create(f"{base}/pods", {"metadata": {"name": name}, "spec": spec})["metadata"]["uid"]
    status, answer = server.request("GET", f"{base}/secrets/other", connection=node)
    assert status == 403 and f"no relationship found between node '{ns}-1' and this object" in answer["message"]

    def may(method: str, path: str, body: Any = None, **query: str) -> bool:
        media = MERGE if method == "PATCH" else "application/json"
        return server.request(method, path, body, query=query, media=media, connection=node)[0] < 300

    def token(pod: str) -> Tree:
        return {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uids[pod]}}}

    assert may("GET", f"{base}/secrets/mine")
    assert may("GET", f"{base}/pods/p1") and not may("GET", f"{base}/pods/p2")
    assert may("GET", "/api/v1/pods", fieldSelector=f"spec.nodeName={ns}-1") and not may("GET", "/api/v1/pods")
    assert not may("GET", "/api/v1/secrets") and not may("GET", f"{base}/secrets")
    assert may("POST", f"{base}/serviceaccounts/default/token", token("p1"))
    assert not may("POST", f"{base}/serviceaccounts/default/token", token("p2"))
    assert not may("POST", f"{base}/serviceaccounts/default/token", {"spec": {}})
    assert may("PATCH", f"{base}/pods/p1/status", {"status": {"phase": "Running"}})
    assert not may("PATCH", f"{base}/pods/p2/status", {"status": {"phase": "Running"}})
    assert may("PATCH", f"/api/v1/nodes/{ns}-1/status", {"status": {"capacity": {"cpu": "1"}}})
    assert not may("PATCH", f"/api/v1/nodes/{ns}-2/status", {"status": {"capacity": {"cpu": "1"}}})
    assert not may("PATCH", f"/api/v1/nodes/{ns}-1", {"spec": {"taints": None}})
    assert not may("PATCH", f"/api/v1/nodes/{ns}-1", {"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}})
    assert not may("POST", "/api/v1/nodes", {"metadata": {"name": f"{ns}-3"}})
    assert not may("POST", f"{base}/pods", {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    assert not may("DELETE", f"{base}/pods/p2") and may("DELETE", f"{base}/pods/p1", {"gracePeriodSeconds": 0})
    assert not may("GET", f"{base}/secrets/mine"), "the pod that needed it is gone"
    review = {"spec": {"namespace": ns}}
    told = server.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, connection=node)[1]["status"]
    assert told["incomplete"] and told["evaluationError"] == "node authorizer does not support user rule resolution"
    asked = {"verb": "list", "resource": "pods", "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": [f"{ns}-1"]}]}}
    for selected, allowed in ((asked, True), ({"verb": "list", "resource": "pods"}, False)):
        review = {"spec": {"user": f"system:node:{ns}-1", "groups": ["system:nodes"], "resourceAttributes": selected}}
        assert server.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"] is allowed


# our own components


def bundles() -> Iterator[tuple[str, tuple[str, list[Tree]]]]:
    """account -> (its namespace, rules) of each identity of ours, from the files that a cluster is made with."""
    for file in sorted(RULES.glob("*.yaml")):
        documents = [d for d in yaml.safe_load_all(file.read_text()) if d]
        roles = {d["metadata"]["name"]: d.get("rules", []) for d in documents if d["kind"] == "ClusterRole"}
        for bound in documents:
            for subject in bound.get("subjects", ()) if bound["kind"] == "ClusterRoleBinding" else ():
                if subject["kind"] == "ServiceAccount":
                    yield subject["name"], (subject["namespace"], roles[bound["roleRef"]["name"]])


COMPONENTS = dict(bundles())


def written(rules: list[Tree], ask: Ask) -> bool:
    return any(
        {"*", ask.group} & set(r.get("apiGroups", ())) and {"*", ask.resource} & set(r.get("resources", ())) and {"*", ask.verb} & set(r["verbs"])
        for r in rules
        if not r.get("resourceNames")
    )


@pytest.mark.parametrize("account", COMPONENTS)
def test_a_component_does_what_its_role_says_and_nothing_else(server: Server, asks: list[Ask], account: str) -> None:
    namespace, rules = COMPONENTS[account]
    allowed = {a for a in asks if written(rules, a) or (a.group, a.resource) in SELF}
    user = f"system:serviceaccount:{namespace}:{account}"
    groups = "system:serviceaccounts"
    wrong = check(server, asks, "default", user, allowed, headers={"Impersonate-User": user, "Impersonate-Group": groups}, connection=server.connect())
    assert not wrong, "\n".join(wrong)
    dangerous = [a for a in allowed if a.resource in ("secrets", "pods/exec", "nodes/proxy") or a.verb in ("escalate", "bind", "impersonate")]
    # The gateway serves with certificates of any namespace, and gives each of its fleets one.
    known = {"workloads": dangerous, "seaway-gateway": [a for a in dangerous if a.resource == "secrets"]}
    assert dangerous == known.get(account, []), dangerous
    assert not any("*" in r["verbs"] for r in rules)
