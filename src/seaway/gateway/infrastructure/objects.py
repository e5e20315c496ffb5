"""Everything that a fleet consists of, as trees: what the controller makes the API server hold, by server-side apply; pure.

The order is that in which they are wanted: an Envoy begins when what it reads is there.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
from typing import Any

from seaway.gateway.infrastructure import bootstrap
from seaway.gateway.infrastructure.values import INSTANCE, Wanted, labels, selector
from seaway.gateway.infrastructure.workload import workload

Tree = dict[str, Any]
# The kinds that a fleet has objects of: of these what is labelled as the fleet's and not wanted any more is removed.
KINDS = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("policy/v1", "PodDisruptionBudget"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
)
OF_SECRET = "-xds"  # behind the fleet's name
ADDRESSES = "seaway.dev/load-balancer-ips"  # an address a family; spec.loadBalancerIP has room for one


def _metadata(wanted: Wanted, name: str = "", annotations: Tree | None = None) -> Tree:
    found: Tree = {"name": name or wanted.name, "namespace": wanted.namespace, "labels": labels(wanted)}
    notes = {**dict(wanted.annotations), **(annotations or {}), INSTANCE: wanted.own}
    found["annotations"] = dict(sorted(notes.items()))
    if wanted.owner:
        found["ownerReferences"] = [
            {
                "apiVersion": wanted.owner.api_version,
                "kind": wanted.owner.kind,
                "name": wanted.owner.name,
                "uid": wanted.owner.uid,
                "controller": True,
            }
        ]
    return found


def requested(wanted: Wanted) -> tuple[str, ...]:
    """The addresses asked for, in canonical form, one a family: a load balancer has no more."""
    found: dict[int, str] = {}
    for text in wanted.addresses:
        with contextlib.suppress(ValueError):  # what is no address is told of in the Gateway's status
            address = ipaddress.ip_address(text)
            found.setdefault(address.version, str(address))
    return tuple(found.values())


def service(wanted: Wanted) -> Tree:
    parameters = wanted.parameters
    notes: Tree = dict(parameters.service_annotations)
    asked = requested(wanted)
    spec: Tree = {
        "type": parameters.service_type,
        "selector": selector(wanted),
        "ipFamilyPolicy": "PreferDualStack",
        "ports": [{"name": p.name, "port": p.port, "targetPort": p.port, "protocol": p.protocol} for p in wanted.ports],
    }
    families = sorted({f"IPv{ipaddress.ip_address(a).version}" for a in asked})
    if len(families) == 1:
        # Who asks for one address gets that one, and none of the other family besides.
        spec |= {"ipFamilyPolicy": "SingleStack", "ipFamilies": families}
    if parameters.service_type != "ClusterIP":
        spec["externalTrafficPolicy"] = parameters.external_traffic_policy
    if parameters.service_type == "LoadBalancer":
        if parameters.load_balancer_class:
            spec["loadBalancerClass"] = parameters.load_balancer_class
        if asked:
            spec["loadBalancerIP"] = asked[0]
            notes[ADDRESSES] = ",".join(asked)
    elif asked:
        spec["externalIPs"] = list(asked)
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(wanted, annotations=notes), "spec": spec}


def secret(wanted: Wanted) -> Tree:
    identity = wanted.identity
    data = {"ca.crt": identity.authorities, "tls.crt": identity.certificate, "tls.key": identity.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(wanted, wanted.name + OF_SECRET),
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def objects(wanted: Wanted) -> list[Tree]:
    """All of them. A fleet without a port has no Service: the API knows none without ports."""
    account: Tree = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(wanted),
        "automountServiceAccountToken": False,
    }
    texts = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(wanted), "data": bootstrap.files(wanted)}
    budget: Tree = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(wanted),
        # One at a time; what is not ready holds no node's drain up (KEP-3017).
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(wanted)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    found = [account, texts, secret(wanted)]
    if wanted.parameters.kind == "Deployment":  # budgets count by the scale subresource, which a DaemonSet has not
        found.append(budget)
    if wanted.ports:
        found.append(service(wanted))
    return [*found, workload(wanted, _metadata(wanted))]
