"""Defaults of pods and pod templates (pkg/apis/core/v1/defaults.go), and the fields that disabled features drop.

A template gets the defaults of its spec only; requests from limits, host ports and service links are the pod's own.
"""

from __future__ import annotations

import re
from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver.rules import pod_resources, volume_claims

Tree = dict[str, Any]
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
NAME_LENGTH = 256
COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:(?P<domain>(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?)/)?"
    rf"(?P<path>{COMPONENT}(?:/{COMPONENT})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\Z"
)
DEFAULT_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
# Fields of volume sources that are given a value where they have none.
SOURCES: dict[str, Tree] = {
    "hostPath": {"type": ""},
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def pull_policy(image: str) -> str:
    """Always where the tag is `latest`, written or implied; a digest alone implies none."""
    form = IMAGE.match(image)
    if form is None or len(f"{form['domain'] or ''}/{form['path']}") > NAME_LENGTH:
        return "IfNotPresent"
    tag = form["tag"] or ("" if form["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _http(action: Tree) -> None:
    action.setdefault("path", "/")
    action.setdefault("scheme", "HTTP")


def _probe(probe: Tree) -> None:
    for name, value in PROBE.items():
        probe[name] = probe.get(name) or value
    if not probe.get("initialDelaySeconds", 1):
        del probe["initialDelaySeconds"]
    if "httpGet" in probe:
        _http(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _amounts(resources: Tree) -> None:
    for section in ("limits", "requests"):
        for name, text in (resources.get(section) or {}).items():
            resources[section][name] = quantities.rounded_up(text)


def _container(container: Tree) -> None:
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    _amounts(container.setdefault("resources", {}))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        if "fieldRef" in source:
            source["fieldRef"].setdefault("apiVersion", "v1")
        if "fileKeyRef" in source:
            source["fileKeyRef"].setdefault("optional", False)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for name in ("postStart", "preStop"):
        hook = (container.get("lifecycle") or {}).get(name) or {}
        if "httpGet" in hook:
            _http(hook["httpGet"])


def _volume(volume: Tree) -> None:
    if not any(value is not None for name, value in volume.items() if name != "name"):
        volume["emptyDir"] = {}
    for name, defaults in SOURCES.items():
        if volume.get(name) is not None:
            for field, value in defaults.items():
                volume[name].setdefault(field, value)
    image = volume.get("image")
    if image is not None:
        image.setdefault("pullPolicy", pull_policy(image.get("reference", "")))
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim is not None:
        volume_claims.default_spec(claim.setdefault("spec", {}))
        _amounts(claim["spec"].get("resources") or {})
    items = list((volume.get("downwardAPI") or {}).get("items") or ())
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        items += (source.get("downwardAPI") or {}).get("items") or []
    for item in items:
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")


def default_spec(spec: Tree) -> None:
    """The defaults of a PodSpec, in place."""
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # the older name is an alias
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    else:
        spec.pop("serviceAccount", None)
    for name in CONTAINER_LISTS:
        for container in spec.get(name) or ():
            _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)
    if spec.get("overhead"):
        _amounts({"limits": spec["overhead"]})
    if spec.get("resources"):
        _amounts(spec["resources"])
    drop_disabled(spec)


def drop_disabled(spec: Tree) -> None:
    """Fields of features that v1.36 has switched off: they are taken and forgotten (pkg/api/pod/util.go)."""
    spec.pop("schedulingGroup", None)
    for name in CONTAINER_LISTS:
        for container in spec.get(name) or ():
            lifecycle = container.get("lifecycle") or {}
            if lifecycle.pop("stopSignal", None) is not None and not lifecycle:
                del container["lifecycle"]
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            source.pop("clusterTrustBundle", None)
            source.pop("podCertificate", None)


def default_tolerations(spec: Tree) -> None:
    """Five minutes on a node that is not ready or not reachable, unless the pod says otherwise (create and update)."""
    have = spec.get("tolerations") or []
    for key in DEFAULT_TOLERATIONS:
        if not any(t.get("key", "") in (key, "") and t.get("effect", "") in ("NoExecute", "") for t in have):
            have = [*have, {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]
    spec["tolerations"] = have


def default_pod(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            resources = container.get("resources") or {}
            for resource, amount in (resources.get("limits") or {}).items():
                resources.setdefault("requests", {}).setdefault(resource, amount)
            for port in container.get("ports") or ():
                if spec.get("hostNetwork") and not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]
    pod_resources.default_pod_level(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1
    default_spec(spec)
