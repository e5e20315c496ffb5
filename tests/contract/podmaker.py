"""Random pods and workloads: valid ones, valid ones that a known mistake spoils, and trees that only fit the schema."""

from __future__ import annotations

import copy
from random import Random
from typing import Any, NamedTuple

from seaway.api import facts

Tree = dict[str, Any]
APPS, BATCH = "/apis/apps/v1", "/apis/batch/v1"
KINDS = {
    "Pod": ("/api/v1", "pods"),
    "PodTemplate": ("/api/v1", "podtemplates"),
    "ReplicationController": ("/api/v1", "replicationcontrollers"),
    "Deployment": (APPS, "deployments"),
    "ReplicaSet": (APPS, "replicasets"),
    "DaemonSet": (APPS, "daemonsets"),
    "StatefulSet": (APPS, "statefulsets"),
    "Job": (BATCH, "jobs"),
    "CronJob": (BATCH, "cronjobs"),
}
WORDS = ("web", "db", "cache", "a1", "x-y", "front", "worker-2")
IMAGES = ("nginx", "nginx:1.27", "registry.example:5000/team/app:v2", "busybox@sha256:" + "0" * 64, "app:latest")
PROBE_ACTIONS: tuple[Tree, ...] = (
    {"exec": {"command": ["true"]}},
    {"httpGet": {"port": 80, "path": "/ready"}},
    {"httpGet": {"port": "http", "scheme": "HTTPS", "httpHeaders": [{"name": "X-A", "value": "b"}]}},
    {"tcpSocket": {"port": 5432}},
    {"grpc": {"port": 9000, "service": "s"}},
)
ENV: tuple[Tree, ...] = (
    {"value": "x"},
    {"value": "$(OTHER)"},
    {"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
    {"valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}},
    {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k.txt"}}},
)
VOLUMES: tuple[Tree, ...] = (
    {},
    {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    {"hostPath": {"path": "/var/lib/x", "type": "DirectoryOrCreate"}},
    {"configMap": {"name": "c", "items": [{"key": "k", "path": "a/b", "mode": 256}]}},
    {"secret": {"secretName": "s", "defaultMode": 0o400}},
    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    {"persistentVolumeClaim": {"claimName": "data"}},
    {"projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}},
    {"image": {"reference": "busybox:1", "pullPolicy": "Never"}},
    {"csi": {"driver": "csi.example.com"}},
    {"nfs": {"server": "nfs.example", "path": "/share"}},
)
LABEL_SELECTORS: tuple[Tree, ...] = (
    {"matchLabels": {"app": "x"}},
    {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]},
    {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
)


class Made(NamedTuple):
    """An object, and the field that its refusal has to name (empty: it is to be taken)."""

    kind: str
    tree: Tree
    field: str = ""

    @property
    def pod(self) -> str:
        """Where the PodSpec is."""
        if self.kind == "Pod":
            return "spec"
        if self.kind == "PodTemplate":
            return "template.spec"
        return "spec.jobTemplate.spec.template.spec" if self.kind == "CronJob" else "spec.template.spec"


def _maybe(random: Random, tree: Tree, name: str, value: Any, chance: float = 0.35) -> None:
    if random.random() < chance:
        tree[name] = copy.deepcopy(value)


def _container(random: Random, name: str, volumes: list[str]) -> Tree:
    tree: Tree = {"name": name, "image": random.choice(IMAGES)}
    _maybe(random, tree, "command", ["sh", "-c", "true"])
    _maybe(random, tree, "imagePullPolicy", random.choice(("Always", "Never", "IfNotPresent")))
    _maybe(random, tree, "workingDir", "/srv")
    port = {"containerPort": random.randrange(1, 65536), "name": "http", "protocol": random.choice(("TCP", "UDP", "SCTP"))}
    _maybe(random, tree, "ports", [port])
    _maybe(random, tree, "env", [{"name": f"V_{i}", **random.choice(ENV)} for i in range(random.randrange(1, 4))])
    _maybe(random, tree, "envFrom", [{"prefix": "P_", "configMapRef": {"name": "c"}}])
    limits = {"cpu": random.choice(("1", "500m", "2")), "memory": random.choice(("1Gi", "256Mi"))}
    resources = random.choice(
        ({"limits": limits}, {"requests": {"cpu": "100m"}}, {"limits": limits, "requests": {"cpu": "10m", "memory": "1Mi"}})
    )
    _maybe(random, tree, "resources", resources)
    if volumes and random.random() < 0.6:
        names = random.sample(volumes, random.randrange(1, len(volumes) + 1))
        tree["volumeMounts"] = [{"name": n, "mountPath": f"/mnt/{i}", "readOnly": True} for i, n in enumerate(names)]
    context: Tree = {"runAsUser": random.randrange(0, 70000), "allowPrivilegeEscalation": False}
    context["seccompProfile"] = random.choice(({"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "a/b"}))
    context["capabilities"] = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    _maybe(random, tree, "securityContext", context, 0.2)
    return tree


def _running(random: Random, tree: Tree) -> Tree:
    """A container that may have probes and hooks."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        _maybe(random, tree, name, {**random.choice(PROBE_ACTIONS), "periodSeconds": random.randrange(0, 20)}, 0.2)
    _maybe(random, tree, "lifecycle", {"preStop": random.choice(({"sleep": {"seconds": 3}}, PROBE_ACTIONS[0]))}, 0.15)
    return tree


def _affinity(random: Random) -> Tree:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": random.choice(LABEL_SELECTORS)}
    node = {"matchExpressions": [{"key": "zone", "operator": random.choice(("In", "NotIn")), "values": ["a"]}]}
    return random.choice(
        (
            {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [node]}}},
            {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference": node}]}},
            {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
            {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}},
        )
    )


def pod_spec(random: Random, kind: str) -> Tree:
    """A PodSpec that a kind takes."""
    volumes = [{"name": f"v{i}", **copy.deepcopy(random.choice(VOLUMES))} for i in range(random.randrange(0, 4))]
    names = [v["name"] for v in volumes]
    count = random.randrange(1, 4)
    spec: Tree = {"containers": [_running(random, _container(random, f"c{i}", names)) for i in range(count)]}
    if volumes:
        spec["volumes"] = volumes
    if random.random() < 0.3:
        sidecar = _running(random, {**_container(random, "side", names), "restartPolicy": "Always"})
        spec["initContainers"] = [_container(random, "init", names), sidecar][: random.randrange(1, 3)]
    restart = {"Job": ("Never", "OnFailure"), "CronJob": ("Never", "OnFailure")}.get(kind, ("Always",))
    if kind in ("Pod", "PodTemplate"):
        restart = ("Always", "Never", "OnFailure")
    spec["restartPolicy"] = random.choice(restart)
    _maybe(random, spec, "terminationGracePeriodSeconds", random.randrange(5, 90))
    _maybe(random, spec, "affinity", _affinity(random))
    _maybe(random, spec, "nodeSelector", {"disk": "ssd"}, 0.2)
    _maybe(random, spec, "tolerations", [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}])
    _maybe(random, spec, "hostAliases", [{"ip": "192.0.2.7", "hostnames": ["a.example"]}], 0.15)
    _maybe(random, spec, "dnsConfig", {"nameservers": ["192.0.2.1"], "searches": ["x.example", "_tcp.y"], "options": [{"name": "n"}]}, 0.2)
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": random.choice(LABEL_SELECTORS)}
    _maybe(random, spec, "topologySpreadConstraints", [spread], 0.2)
    _maybe(random, spec, "securityContext", {"fsGroup": 5, "supplementalGroups": [7], "runAsNonRoot": True}, 0.2)
    _maybe(random, spec, "hostname", random.choice(WORDS), 0.2)
    _maybe(random, spec, "shareProcessNamespace", True, 0.1)
    _maybe(random, spec, "schedulingGates", [{"name": "example.com/g"}], 0.1)
    _maybe(random, spec, "readinessGates", [{"conditionType": "example.com/r"}], 0.1)
    return spec


def _workload(random: Random, kind: str, spec: Tree) -> None:
    """The fields of the kind's own spec."""
    if kind == "Deployment":
        strategies = ({"type": "Recreate"}, {"rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 0}}, {})
        _maybe(random, spec, "strategy", random.choice(strategies))
        _maybe(random, spec, "minReadySeconds", random.randrange(0, 50))
    elif kind == "DaemonSet":
        strategies = ({"type": "OnDelete"}, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}})
        _maybe(random, spec, "updateStrategy", random.choice(strategies))
    elif kind == "StatefulSet":
        spec["serviceName"] = "db"
        _maybe(random, spec, "podManagementPolicy", random.choice(("Parallel", "OrderedReady")))
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        _maybe(random, spec, "volumeClaimTemplates", [{"metadata": {"name": "data"}, "spec": claim}])
        _maybe(random, spec, "ordinals", {"start": 3})
    if kind in ("Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"):
        _maybe(random, spec, "replicas", random.randrange(0, 9))


def _job(random: Random, pod: Tree) -> Tree:
    spec: Tree = {"template": {"spec": pod}}
    _maybe(random, spec, "backoffLimit", random.randrange(0, 9))
    _maybe(random, spec, "activeDeadlineSeconds", 60)
    _maybe(random, spec, "ttlSecondsAfterFinished", 5)
    if random.random() < 0.4:
        spec.update(completionMode="Indexed", completions=5, parallelism=2)
        _maybe(random, spec, "backoffLimitPerIndex", 1)
        _maybe(random, spec, "successPolicy", {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 1}]})
    if pod["restartPolicy"] == "Never" and random.random() < 0.4:
        codes = {"operator": "In", "values": [1, 42]}
        spec["podFailurePolicy"] = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    return spec


def valid(random: Random, number: int) -> Made:
    kind = random.choice(tuple(KINDS))
    pod, name = pod_spec(random, kind), f"{random.choice(WORDS)}-{number}"
    tree: Tree = {"metadata": {"name": name}}
    if kind == "Pod":
        tree["spec"] = pod
    elif kind == "PodTemplate":
        tree["template"] = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    elif kind == "Job":
        tree["spec"] = _job(random, pod)
    elif kind == "CronJob":
        schedule = random.choice(("*/5 * * * *", "@hourly", "0 9-17/2 * * mon-fri"))
        tree["spec"] = {"schedule": schedule, "jobTemplate": {"spec": _job(random, pod)}}
        _maybe(random, tree["spec"], "timeZone", "Etc/UTC")
    else:
        selector: Tree = {"app": "x"} if kind == "ReplicationController" else {"matchLabels": {"app": "x"}}
        tree["spec"] = {"selector": selector, "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod}}
        _workload(random, kind, tree["spec"])
    return Made(kind, tree)


# A mistake in a PodSpec: (path from the PodSpec, bad value, the field that is named where it is not the path).
SPOILS: tuple[tuple[str, Any, str], ...] = (
    ("containers.0.name", "Not_A_Label", ""),
    ("containers.0.image", "", ""),
    ("containers.0.imagePullPolicy", "Sometimes", ""),
    ("containers.0.terminationMessagePolicy", "Else", ""),
    ("containers.0.ports", [{"containerPort": 70000}], "containers[0].ports[0].containerPort"),
    ("containers.0.ports", [{"containerPort": 1, "protocol": "ICMP"}], "containers[0].ports[0].protocol"),
    ("containers.0.env", [{"name": "a=b"}], "containers[0].env[0].name"),
    ("containers.0.env", [{"name": "A", "valueFrom": {}}], "containers[0].env[0].valueFrom"),
    ("containers.0.envFrom", [{}], "containers[0].envFrom"),
    ("containers.0.volumeMounts", [{"name": "nowhere", "mountPath": "/x"}], "containers[0].volumeMounts[0].name"),
    ("containers.0.livenessProbe", {}, ""),
    ("containers.0.readinessProbe", {"tcpSocket": {"port": 0}}, "containers[0].readinessProbe.tcpSocket.port"),
    ("containers.0.lifecycle", {"postStart": {}}, "containers[0].lifecycle.postStart"),
    ("containers.0.resources", {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, "containers[0].resources.requests"),
    ("containers.0.resources", {"limits": {"gold": "1"}}, "containers[0].resources.limits[gold]"),
    ("containers.0.securityContext", {"runAsUser": -5}, "containers[0].securityContext.runAsUser"),
    ("containers.0.resizePolicy", [{"resourceName": "cpu", "restartPolicy": "x"}], "containers[0].resizePolicy"),
    ("containers.0.restartPolicyRules", [{"action": "Restart"}], "containers[0].restartPolicy"),
    ("containers", [], ""),
    ("volumes", [{"name": "Bad_"}], "volumes[0].name"),
    ("volumes", [{"name": "a", "secret": {}}], "volumes[0].secret.secretName"),
    ("volumes", [{"name": "a", "hostPath": {"path": "/a/../b"}}], "volumes[0].hostPath.path"),
    ("volumes", [{"name": "a", "emptyDir": {}, "nfs": {"server": "s", "path": "/p"}}], "volumes[0].nfs"),
    ("initContainers", [{"name": "i", "image": "x", "livenessProbe": {"exec": {"command": ["a"]}}}], "initContainers[0].livenessProbe"),
    ("restartPolicy", "Maybe", ""),
    ("dnsPolicy", "Maybe", ""),
    ("dnsConfig", {"nameservers": ["one"]}, "dnsConfig.nameservers[0]"),
    ("nodeSelector", {"a b": "c"}, ""),
    ("securityContext", {"fsGroup": -1}, "securityContext.fsGroup"),
    ("securityContext", {"sysctls": [{"name": "A B", "value": "1"}]}, "securityContext.sysctls[0].name"),
    ("affinity", {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}, "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey"),
    ("topologySpreadConstraints", [{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}], "topologySpreadConstraints[0].maxSkew"),
    ("tolerations", [{"operator": "Equal", "value": "v"}], "tolerations[0].operator"),
    ("hostAliases", [{"ip": "1.2.3.4.5"}], "hostAliases[0].ip"),
    ("subdomain", "a.b", ""),
    ("activeDeadlineSeconds", -2, ""),
    ("preemptionPolicy", "Maybe", ""),
    ("readinessGates", [{"conditionType": "a b"}], "readinessGates[0].conditionType"),
    ("schedulingGates", [{"name": "a"}, {"name": "a"}], "schedulingGates[1]"),
    ("os", {"name": "plan9"}, ""),
    ("hostNetwork", True, "hostNetwork"),
    ("overhead", {"cpu": "-1"}, "overhead.limits[cpu]"),
    ("resources", {"limits": {"storage": "1"}}, "resources.limits[storage]"),
)
# A mistake outside the PodSpec, by kind.
OWN_SPOILS: dict[str, tuple[tuple[str, Any, str], ...]] = {
    "Deployment": (
        ("spec.replicas", -1, ""),
        ("spec.strategy", {"type": "Slow"}, ""),
        ("spec.selector", {}, ""),
        ("spec.progressDeadlineSeconds", 0, ""),
        ("spec.template.metadata.labels", {"app": "other"}, ""),
    ),
    "ReplicaSet": (("spec.minReadySeconds", -1, ""), ("spec.selector", {"matchLabels": {"a b": "c"}}, "spec.selector.matchLabels")),
    "ReplicationController": (("spec.selector", {"app": "z"}, "spec.template.metadata.labels"),),
    "DaemonSet": (("spec.updateStrategy", {"rollingUpdate": {"maxSurge": 1}}, "spec.updateStrategy.rollingUpdate.maxSurge"),),
    "StatefulSet": (
        ("spec.serviceName", "A_", ""),
        ("spec.podManagementPolicy", "Random", ""),
        ("spec.volumeClaimTemplates", [{"metadata": {"name": "d"}, "spec": {}}], "spec.volumeClaimTemplates[0].spec.accessModes"),
    ),
    "Job": (
        ("spec.parallelism", -1, ""),
        ("spec.completionMode", "Both", ""),
        ("spec.managedBy", "me", ""),
        ("spec.maxFailedIndexes", 1, "spec.backoffLimitPerIndex"),
        ("spec.podReplacementPolicy", "Never", ""),
    ),
    "CronJob": (
        ("spec.schedule", "61 * * * *", ""),
        ("spec.timeZone", "Nowhere/At_all", ""),
        ("spec.concurrencyPolicy", "Queue", ""),
        ("spec.jobTemplate.spec.manualSelector", True, ""),
    ),
}
DEADLINES = frozenset({"Deployment", "ReplicaSet", "ReplicationController", "DaemonSet", "StatefulSet"})


def put(tree: Tree, path: str, value: Any) -> None:
    """Sets what is at a dotted path; steps that are not there are made."""
    *steps, last = path.split(".")
    place: Any = tree
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    place[int(last) if isinstance(place, list) else last] = copy.deepcopy(value)


def bracketed(path: str) -> str:
    """`a.0.b` as errors write it."""
    return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path.split(".")).lstrip(".")


def spoilt(random: Random, number: int) -> Made:
    """A valid object with one mistake in it."""
    made = valid(random, number)
    own = OWN_SPOILS.get(made.kind, ())
    if own and random.random() < 0.3:
        path, value, field = random.choice(own)
        if path.endswith(".labels"):
            field = field or path
        put(made.tree, path, value)
        return made._replace(field=field or bracketed(path))
    path, value, field = random.choice(SPOILS)
    put(made.tree, f"{made.pod}.{path}", value)
    if path == "hostNetwork":  # what is wrong is a host port of the main container that is another port
        put(made.tree, f"{made.pod}.containers.0.ports", [{"containerPort": 80, "hostPort": 81}])
        field = "containers[0].ports[0].hostPort"
    return made._replace(field=f"{made.pod}.{field or bracketed(path)}")


ODD: tuple[Any, ...] = ("", "x", "A_b", "-", "a.b", "../..", "é", "a" * 300, "1", "$(X)")
NUMBERS = (-1, 0, 1, 7, 65536, 2**31 - 1)


def _value(random: Random, schema: Tree, depth: int) -> Any:
    if "$ref" in schema:
        return by_schema(random, schema["$ref"], depth - 1)
    kind, form = schema.get("type"), schema.get("format", "")
    if kind == "array":
        return [_value(random, schema.get("items") or {}, depth) for _ in range(random.randrange(0, 3))]
    if kind == "object":
        inner = schema.get("additionalProperties")
        keys = random.sample(("a", "b c", "cpu", "app", "x/y"), random.randrange(0, 3))
        return {k: _value(random, inner, depth) for k in keys} if isinstance(inner, dict) else {}
    if form == "int-or-string":
        return random.choice((*NUMBERS, "25%", "http", "x y"))
    if kind == "integer":
        return random.choice(NUMBERS)
    if kind == "boolean":
        return random.random() < 0.5
    if form == "date-time":
        return "2026-01-02T03:04:05Z"
    return "" if form == "byte" else random.choice(ODD)


def by_schema(random: Random, definition: str, depth: int) -> Any:
    """A tree with random fields of a definition: of the right types, and seldom right."""
    if definition.endswith("Quantity"):
        return random.choice(("1", "-1", "100m", "1.5Gi", "0"))
    schema = facts.definitions()[definition]
    if not schema.get("properties"):
        return _value(random, schema, depth) if schema.get("type") == "string" else {}
    if depth <= 0:
        return {}
    names = [n for n in schema["properties"] if n not in ("kind", "apiVersion", "managedFields", "status")]
    chosen = random.sample(names, min(len(names), random.randrange(1, 6)))
    return {name: _value(random, schema["properties"][name], depth) for name in chosen}


def odd(random: Random, number: int) -> Made:
    """An object of the right types whose fields are drawn blindly."""
    made = valid(random, number)
    steps = made.pod.split(".")
    spec = by_schema(random, "io.k8s.api.core.v1.PodSpec", 6)
    containers = [by_schema(random, "io.k8s.api.core.v1.Container", 5) for _ in range(random.randrange(0, 3))]
    put(made.tree, ".".join(steps), {**spec, "containers": containers})
    return made
