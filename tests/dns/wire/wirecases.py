"""The cases of the DNS server as values: YAML files of groups, each with the objects of a namespace and the questions about it.

In all texts `$ns` is the group's namespace, `~` at the end of a name is `<namespace>.svc.cluster.local.`, `$g` and `$x` are the
group's number (decimal and in two hexadecimal digits), so that every group has addresses of its own: `10.96.$g.7`,
`fd00:10:96::$x07`. A file is a mapping:

    about: what it covers
    corefile: the options of its server (absent: those of `default.corefile`); a group may have its own, with `files` beside it
    groups:
      - name: a claim
        objects: [{service: web, ips: [10.96.$g.1], ports: ["http:80"]}, {slice: web-1, of: web, endpoints: [10.244.$g.1]}]
        questions: [{ask: web.~, type: A, answer: [10.96.$g.1]}]
        steps: [{name: what changes, objects: [...], delete: [...], files: {...}, outside: {...}, pause: 2, questions: [...]}]
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ZONE = "cluster.local."
FIRST = 16  # the number of the first group: two hexadecimal digits without a leading zero
Tree = dict[str, Any]
QUESTION_KEYS = frozenset(
    "ask ptr type class edns do cd rd opcode version over from to packet silence dig is answer ttl aa ra tc additional authority size soa orders count least edns_reply upstream_most upstream_least upstream_by".split()
)


@dataclass(frozen=True)
class Question:
    name: str
    type: str
    row: Tree

    def __str__(self) -> str:
        return f"{self.name or 'packet'} {self.type}" + "".join(f" {k}={self.row[k]}" for k in ("class", "edns", "do", "opcode", "from", "to", "packet") if k in self.row)


@dataclass(frozen=True)
class Step:
    name: str
    pause: float
    files: Tree  # written anew beside the Corefile
    outside: Tree  # names that the upstream knows otherwise from now on
    objects: tuple[Tree, ...]
    delete: tuple[Tree, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Group:
    file: str
    name: str
    namespace: str
    corefile: str
    steps: tuple[Step, ...]
    files: Tree = field(default_factory=dict)  # name to text: files beside the Corefile, `$folder/name`

    @property
    def id(self) -> str:
        return f"{self.file}: {self.name}"


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_filled(k, words): _filled(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, words) for v in value]
    if isinstance(value, str):
        for old, new in words.items():
            value = value.replace(old, new)
    return value


def _port(text: Any, number: str) -> Tree:
    """`http:80`, `dns:53/UDP`, or `80` without a name."""
    rest, _, protocol = str(text).partition("/")
    name, _, port = rest.rpartition(":")
    return {**({"name": name} if name else {}), number: int(port), "protocol": protocol or "TCP"}


def _meta(name: str, row: Tree, namespace: str) -> Tree:
    return {"name": name, "namespace": row.get("namespace", namespace), "labels": row.get("labels") or {}}


def _service(row: Tree, namespace: str) -> Tree:
    spec: Tree = {}
    if "external" in row:
        spec = {"type": "ExternalName", "externalName": row["external"]}
    else:
        ips = ["None"] if row.get("ips") == "None" else row["ips"]
        spec = {"type": row.get("kind", "ClusterIP"), "clusterIP": ips[0], "clusterIPs": ips}
        if ips != ["None"]:
            families = ["IPv6" if ":" in i else "IPv4" for i in ips]
            spec |= {"ipFamilies": families, "ipFamilyPolicy": "RequireDualStack" if len(ips) > 1 else "SingleStack"}
        if row.get("publish"):
            spec["publishNotReadyAddresses"] = True
    if row.get("ports"):
        spec["ports"] = [_port(p, "port") for p in row["ports"]]
    spec |= row.get("spec") or {}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(row["service"], row, namespace), "spec": spec}


def _endpoint(row: Any) -> Tree:
    """`10.244.1.1`, `10.244.1.1 db-0` (its hostname), or a mapping {at, hostname, ready, serving, terminating, pod}."""
    if isinstance(row, str):
        address, _, hostname = row.partition(" ")
        row = {"at": [address], **({"hostname": hostname} if hostname else {})}
    found: Tree = {"addresses": row["at"] if isinstance(row["at"], list) else [row["at"]]}
    conditions = {k: row[k] for k in ("ready", "serving", "terminating") if k in row}
    found["conditions"] = conditions if conditions or row.get("unknown") else {"ready": True}
    if "hostname" in row:
        found["hostname"] = row["hostname"]
    if "pod" in row:
        found["targetRef"] = {"kind": "Pod", "name": row["pod"]}
    return found


def _slice(row: Tree, namespace: str) -> Tree:
    endpoints = [_endpoint(e) for e in row.get("endpoints") or ()]
    if many := row.get("many"):  # {first: 10.245.0.1, count: 300}
        first = ipaddress.ip_address(many["first"])
        endpoints += [_endpoint(str(first + i)) for i in range(many["count"])]
    family = row.get("family") or ("IPv6" if any(":" in e["addresses"][0] for e in endpoints) else "IPv4")
    meta = _meta(row["slice"], row, namespace)
    if row.get("of"):
        meta["labels"] = {**meta["labels"], "kubernetes.io/service-name": row["of"]}
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": family,
        "endpoints": endpoints, "ports": [_port(p, "port") for p in row.get("ports", ["http:8080"])],
    }


def _pod(row: Tree, namespace: str) -> Tree:
    ips = row["ip"] if isinstance(row["ip"], list) else [row["ip"]]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": _meta(row["pod"], row, namespace),
        "spec": {"containers": [{"name": "c", "image": "none"}], "nodeName": "nowhere", "hostNetwork": bool(row.get("host_network"))},
        "status": {"phase": row.get("phase", "Running"), "podIP": ips[0], "podIPs": [{"ip": i} for i in ips]},
    }


def manifest(row: Tree, namespace: str) -> Tree:
    """A short form, or a manifest as it is, to a manifest."""
    for word, make in (("service", _service), ("slice", _slice), ("pod", _pod)):
        if word in row:
            return make(row, namespace)
    if "namespace" in row and "kind" not in row:
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": row["namespace"], "labels": row.get("labels") or {}}}
    return row


def _question(row: Tree) -> Question:
    unknown = set(row) - QUESTION_KEYS
    assert not unknown, f"{row}: unknown keys {unknown}"
    if "ptr" in row:
        return Question(ipaddress.ip_address(row["ptr"]).reverse_pointer + ".", row.get("type", "PTR"), row)
    return Question(str(row.get("ask", "")), str(row.get("type", "A")), row)


def _step(tree: Tree, words: dict[str, str], namespace: str, defaults: Tree) -> Step:
    tree = _filled(tree, words)
    return Step(
        tree.get("name", ""), tree.get("pause", 0.0), tree.get("files") or {}, tree.get("outside") or {},
        tuple(manifest(o, namespace) for o in tree.get("objects") or ()), tuple(tree.get("delete") or ()),
        tuple(_question({**defaults, **q}) for q in tree.get("questions") or ()),
    )


def read(folder: Path = HERE) -> Iterator[Group]:
    """All groups, those of one server in a row."""
    default = (folder / "default.corefile").read_text()
    number = FIRST
    for path in sorted(folder.glob("*.yaml")):
        tree = yaml.safe_load(path.read_text())
        if "groups" not in tree:
            continue
        for group in tree["groups"]:
            namespace = group.get("namespace") or f"n{number}"
            # `~` last: what stands for the namespace may stand in what it becomes.
            words = {"$ns": namespace, "$NS": namespace.upper(), "$g": str(number), "$x": f"{number:02x}", ".~": f".{namespace}.svc.{ZONE}"}
            defaults = {**(tree.get("defaults") or {}), **(group.get("defaults") or {})}
            steps = [_step(s, words, namespace, defaults) for s in ({**group, "name": ""}, *(group.get("steps") or ()))]
            yield Group(path.stem, group["name"], namespace, group.get("corefile") or tree.get("corefile") or default, tuple(steps), group.get("files") or {})
            number += 1
    assert number < 256, "two hexadecimal digits"


def waiting(folder: Path = HERE) -> dict[str, str]:
    """`file` or `file: group` to why it is not played yet."""
    return yaml.safe_load((folder / "waiting.yaml").read_text()).get("waiting") or {}


def waits(group: Group, listed: dict[str, str]) -> str:
    return listed.get(group.id) or listed.get(group.file) or ""
