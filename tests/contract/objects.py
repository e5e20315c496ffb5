"""Random objects of every kind but pods and workloads: valid ones, and ways to make one invalid at a known field."""

from __future__ import annotations

import copy
import random
import string
from collections.abc import Callable
from typing import Any

Tree = dict[str, Any]
Make = Callable[[random.Random], Tree]
# field that the refusal names -> what makes it wrong
Breaks = dict[str, Callable[[Tree], None]]
RBAC, NETWORKING = "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"


def word(chooser: random.Random, longest: int = 12) -> str:
    return "".join(chooser.choices(string.ascii_lowercase, k=chooser.randint(1, longest)))


def words(chooser: random.Random, most: int = 4) -> dict[str, str]:
    return {word(chooser): word(chooser) for _ in range(chooser.randint(0, most))}


def maybe(chooser: random.Random, tree: Tree, **fields: Any) -> Tree:
    """The tree with some of the fields."""
    return {**tree, **{k: v for k, v in fields.items() if chooser.random() < 0.5}}


def address(chooser: random.Random) -> str:
    return f"192.0.2.{chooser.randint(1, 254)}" if chooser.random() < 0.7 else f"2001:db8::{chooser.randint(1, 9)}"


def port_name(chooser: random.Random, i: int) -> str:
    return f"{word(chooser, 8)}{i}"


def service(chooser: random.Random) -> Tree:
    kind = chooser.choice(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
    count = chooser.randint(1, 4)
    ports = [
        maybe(
            chooser,
            {"name": port_name(chooser, i), "port": 1000 + i},
            protocol=chooser.choice(["TCP", "UDP", "SCTP"]),
            targetPort=chooser.choice([8080, "web"]),
            appProtocol="kubernetes.io/h2c",
        )
        for i in range(count)
    ]
    spec: Tree = {"type": kind, "ports": ports}
    if kind == "ExternalName":
        return {"spec": {**spec, "externalName": "a.example"}}
    spec = maybe(
        chooser,
        spec,
        selector={"app": word(chooser)},
        sessionAffinity="ClientIP",
        internalTrafficPolicy="Local",
        ipFamilyPolicy=chooser.choice(["SingleStack", "PreferDualStack", "RequireDualStack"]),
        externalIPs=[address(chooser)],
        trafficDistribution=chooser.choice(["PreferClose", "PreferSameZone"]),
    )
    if kind == "LoadBalancer":
        spec = maybe(
            chooser,
            spec,
            externalTrafficPolicy="Local",
            loadBalancerSourceRanges=["10.0.0.0/8"],
            allocateLoadBalancerNodePorts=False,
        )
    return {"spec": spec}


def endpoints(chooser: random.Random) -> Tree:
    def subset() -> Tree:
        found = {"addresses": [{"ip": address(chooser)} for _ in range(chooser.randint(1, 3))]}
        return maybe(chooser, found, ports=[{"port": chooser.randint(1, 65535)}])

    return {"subsets": [subset() for _ in range(chooser.randint(1, 3))]}


def endpoint_slice(chooser: random.Random) -> Tree:
    def endpoint() -> Tree:
        return maybe(
            chooser,
            {"addresses": [f"192.0.2.{chooser.randint(1, 254)}"]},
            conditions={"ready": chooser.random() < 0.5},
            nodeName=word(chooser),
            zone=word(chooser),
            hostname=word(chooser),
            hints={"forZones": [{"name": word(chooser)}]},
        )

    return {"addressType": "IPv4", "endpoints": [endpoint() for _ in range(chooser.randint(0, 5))], "ports": [{"port": 80}]}


def ingress(chooser: random.Random) -> Tree:
    def path() -> Tree:
        number = {"number": chooser.randint(1, 65535)}
        backend = {"service": {"name": word(chooser), "port": chooser.choice([number, {"name": "web"}])}}
        kind = chooser.choice(["Exact", "Prefix", "ImplementationSpecific"])
        return {"path": f"/{word(chooser)}", "pathType": kind, "backend": backend}

    def rule() -> Tree:
        paths = [path() for _ in range(chooser.randint(1, 3))]
        return maybe(chooser, {"http": {"paths": paths}}, host=chooser.choice(["a.example", "*.b.example"]))

    spec = {"rules": [rule() for _ in range(chooser.randint(1, 3))]}
    return {"spec": maybe(chooser, spec, ingressClassName=word(chooser), tls=[{"hosts": ["a.example"], "secretName": "s"}])}


def network_policy(chooser: random.Random) -> Tree:
    peer = chooser.choice(
        [{"podSelector": {}}, {"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]
    )
    rule = maybe(chooser, {"from": [peer]}, ports=[{"port": 80, "endPort": 90}, {"port": "web", "protocol": "UDP"}])
    selector = maybe(chooser, {"matchLabels": words(chooser)}, matchExpressions=[{"key": "k", "operator": "In", "values": ["v"]}])
    return {"spec": {"podSelector": selector, "ingress": [rule]}}


def config_map(chooser: random.Random) -> Tree:
    return maybe(chooser, {"data": words(chooser)}, binaryData={"0": "AAE="}, immutable=chooser.random() < 0.5)


def secret(chooser: random.Random) -> Tree:
    return maybe(chooser, {"stringData": words(chooser)}, type=chooser.choice(["Opaque", "example.com/x"]))


def budget(chooser: random.Random) -> Tree:
    bound = chooser.choice([{"minAvailable": 1}, {"minAvailable": "50%"}, {"maxUnavailable": 2}, {}])
    return {"spec": maybe(chooser, {"selector": {"matchLabels": words(chooser)}, **bound}, unhealthyPodEvictionPolicy="AlwaysAllow")}


def role(chooser: random.Random) -> Tree:
    rules = [
        {"apiGroups": [word(chooser)], "resources": [word(chooser)], "verbs": [chooser.choice(["get", "list", "*"])]}
        for _ in range(chooser.randint(0, 3))
    ]
    return {"rules": rules}


def binding(chooser: random.Random) -> Tree:
    subject = chooser.choice(
        [{"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]
    )
    return {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": [subject]}


def autoscaler(chooser: random.Random) -> Tree:
    low = chooser.randint(1, 4)
    target = {"type": "Utilization", "averageUtilization": chooser.randint(1, 99)}
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": word(chooser)}, "minReplicas": low, "maxReplicas": low + 2}
    return {
        "spec": maybe(
            chooser,
            spec,
            metrics=[{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            behavior={"scaleDown": {"stabilizationWindowSeconds": chooser.randint(0, 3600)}},
        )
    }


def claim(chooser: random.Random) -> Tree:
    spec = {
        "accessModes": [chooser.choice(["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"])],
        "resources": {"requests": {"storage": f"{chooser.randint(1, 9)}Gi"}},
    }
    return {"spec": maybe(chooser, spec, storageClassName=word(chooser), volumeMode="Block", selector={"matchLabels": words(chooser)})}


def quota(chooser: random.Random) -> Tree:
    names = chooser.sample(["pods", "services", "requests.cpu", "limits.memory", "count/jobs.batch", "example.com/gpu"], 3)
    return {"spec": {"hard": {name: str(chooser.randint(0, 20)) for name in names}}}


def limits(chooser: random.Random) -> Tree:
    low = chooser.randint(1, 5)
    return {"spec": {"limits": [{"type": chooser.choice(["Container", "Pod"]), "min": {"cpu": f"{low}00m"}, "max": {"cpu": low}}]}}


def lease(chooser: random.Random) -> Tree:
    return {"spec": maybe(chooser, {}, holderIdentity=word(chooser), leaseDurationSeconds=chooser.randint(1, 99))}


def event(chooser: random.Random) -> Tree:
    return maybe(chooser, {"involvedObject": {"kind": "Pod", "name": word(chooser), "namespace": "$ns"}}, reason="R", message="m", count=2, type="Normal")


def storage_class(chooser: random.Random) -> Tree:
    return maybe(chooser, {"provisioner": "a.example/x"}, parameters=words(chooser), reclaimPolicy="Retain", volumeBindingMode="WaitForFirstConsumer")


def priority(chooser: random.Random) -> Tree:
    return maybe(chooser, {"value": chooser.randint(-10, 1000)}, description=word(chooser), preemptionPolicy="Never")


def runtime(chooser: random.Random) -> Tree:
    return maybe(chooser, {"handler": word(chooser)}, overhead={"podFixed": {"cpu": "100m"}})


def ingress_class(chooser: random.Random) -> Tree:
    return {"spec": maybe(chooser, {"controller": "a.example/c"}, parameters={"kind": "K", "name": word(chooser)})}


def volume(chooser: random.Random) -> Tree:
    source = chooser.choice([{"hostPath": {"path": "/x"}}, {"nfs": {"server": "s", "path": "/x"}}, {"csi": {"driver": "d", "volumeHandle": "h"}}])
    return {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **source}}


def at(*path: str | int) -> Callable[[Any], Callable[[Tree], None]]:
    """`at("spec", "x")(value)` sets that field; the value `...` takes it away."""

    def to(value: Any) -> Callable[[Tree], None]:
        def change(tree: Tree) -> None:
            place: Any = tree
            for step in path[:-1]:
                place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
            if value is ...:
                place.pop(path[-1], None)
            else:
                place[path[-1]] = copy.deepcopy(value)

        return change

    return to


# (apiVersion, resource, namespaced) -> (valid objects, what makes them invalid)
KINDS: dict[tuple[str, str, bool], tuple[Make, Breaks]] = {
    ("v1", "services", True): (
        service,
        {
            "spec.type": at("spec", "type")("Odd"),
            "spec.ports[0].port": at("spec", "ports", 0, "port")(0),
            "spec.ports[0].protocol": at("spec", "ports", 0, "protocol")("ICMP"),
            "spec.sessionAffinity": at("spec", "sessionAffinity")("Sticky"),
            "spec.externalIPs[0]": at("spec", "externalIPs")(["x"]),
            "spec.ports[0].name": at("spec", "ports", 0, "name")("A_"),
            "spec.selector": at("spec", "selector")({"a b": "c"}),
            "metadata.labels": at("metadata", "labels")({"a": "b c"}),
        },
    ),
    ("v1", "endpoints", True): (
        endpoints,
        {
            "subsets[0]": at("subsets", 0)({}),
            "subsets[0].addresses[0].ip": at("subsets", 0, "addresses", 0, "ip")("127.0.0.1"),
        },
    ),
    ("discovery.k8s.io/v1", "endpointslices", True): (
        endpoint_slice,
        {
            "addressType": at("addressType")("IPX"),
            "endpoints[0].addresses": at("endpoints")([{"addresses": []}]),
            "ports[0].protocol": at("ports", 0, "protocol")("x"),
        },
    ),
    (NETWORKING, "ingresses", True): (
        ingress,
        {
            "spec": at("spec")({}),
            "spec.rules[0].host": at("spec", "rules", 0, "host")("192.0.2.1"),
            "spec.rules[0].http.paths[0].pathType": at("spec", "rules", 0, "http", "paths", 0, "pathType")(...),
            "spec.rules[0].http.paths[0].backend": at("spec", "rules", 0, "http", "paths", 0, "backend")({}),
        },
    ),
    (NETWORKING, "networkpolicies", True): (
        network_policy,
        {
            "spec.policyTypes[0]": at("spec", "policyTypes")(["Both"]),
            "spec.ingress[0].from[0]": at("spec", "ingress", 0, "from", 0)({}),
            "spec.podSelector.matchExpressions[0].operator": at("spec", "podSelector")({"matchExpressions": [{"key": "k", "operator": "Is"}]}),
        },
    ),
    ("v1", "configmaps", True): (config_map, {"data[a/b]": at("data")({"a/b": "c"})}),
    ("v1", "secrets", True): (secret, {"data[tls.crt]": at("type")("kubernetes.io/tls")}),
    ("policy/v1", "poddisruptionbudgets", True): (
        budget,
        {"spec.minAvailable": at("spec")({"minAvailable": -1}), "spec.maxUnavailable": at("spec")({"maxUnavailable": "x%"})},
    ),
    (RBAC, "roles", True): (role, {"rules[0].verbs": at("rules")([{"apiGroups": [""], "resources": ["x"]}])}),
    (RBAC, "rolebindings", True): (
        binding,
        {"roleRef.kind": at("roleRef", "kind")("Group"), "subjects[0].kind": at("subjects", 0, "kind")("Robot")},
    ),
    ("autoscaling/v2", "horizontalpodautoscalers", True): (
        autoscaler,
        {"spec.maxReplicas": at("spec", "maxReplicas")(0), "spec.scaleTargetRef.kind": at("spec", "scaleTargetRef", "kind")("")},
    ),
    ("autoscaling/v1", "horizontalpodautoscalers", True): (
        lambda chooser: {"spec": {**{k: v for k, v in autoscaler(chooser)["spec"].items() if k not in ("metrics", "behavior")}}},
        {"spec.minReplicas": at("spec", "minReplicas")(-1)},
    ),
    ("v1", "persistentvolumeclaims", True): (
        claim,
        {"spec.accessModes": at("spec", "accessModes")([]), "spec.resources[storage]": at("spec", "resources")({})},
    ),
    ("v1", "resourcequotas", True): (quota, {"spec.hard[odd]": at("spec", "hard")({"odd": "1"})}),
    ("v1", "limitranges", True): (limits, {"spec.limits[0].min[cpu]": at("spec", "limits", 0, "min")({"cpu": "99"})}),
    ("coordination.k8s.io/v1", "leases", True): (lease, {"spec.leaseDurationSeconds": at("spec", "leaseDurationSeconds")(-1)}),
    ("v1", "events", True): (event, {"involvedObject.namespace": at("involvedObject", "namespace")("elsewhere")}),
    ("storage.k8s.io/v1", "storageclasses", False): (
        storage_class,
        {"provisioner": at("provisioner")(""), "reclaimPolicy": at("reclaimPolicy")("Burn")},
    ),
    ("scheduling.k8s.io/v1", "priorityclasses", False): (
        priority,
        {"value": at("value")(2000000000), "preemptionPolicy": at("preemptionPolicy")("Always")},
    ),
    ("node.k8s.io/v1", "runtimeclasses", False): (runtime, {"handler": at("handler")("A_b")}),
    (NETWORKING, "ingressclasses", False): (ingress_class, {"spec.controller": at("spec", "controller")("x")}),
    ("v1", "persistentvolumes", False): (
        volume,
        {"spec.capacity": at("spec", "capacity")({}), "spec.accessModes": at("spec", "accessModes")(["Own"])},
    ),
}


def wild(chooser: random.Random, tree: Tree) -> Tree:
    """The tree with one value somewhere replaced by another of any type."""
    tree = copy.deepcopy(tree)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            places.append((value, key))
            walk(inner)

    walk({k: v for k, v in tree.items() if k != "metadata"})
    if places:
        holder, key = chooser.choice(places)
        holder[key] = chooser.choice([None, "", "x" * 300, -1, 1 << 40, 1.5, True, [], {}, [None], {"": ""}, "\x00", "é", "::", "999"])
    return tree
