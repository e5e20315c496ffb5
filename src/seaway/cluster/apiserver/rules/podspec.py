"""Pods and pod templates: defaults and validation (pkg/apis/core/v1/defaults.go, pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from seaway.api import quantities
from seaway.cluster.apiserver import metadata
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unsupported, wrong

Tree = dict[str, Any]
PROTOCOLS = ("TCP", "UDP", "SCTP")


def default_probe(probe: Tree) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(name):
            probe[name] = value
    if "httpGet" in probe:
        default_http(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def default_http(action: Tree) -> None:
    action.setdefault("path", "/")
    action.setdefault("scheme", "HTTP")


def pull_policy(image: str) -> str:
    """Always for :latest and for no tag at all."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return "Always" if name.partition("@")[0].endswith(":latest") else "IfNotPresent"
    return "IfNotPresent" if ":" in name and not name.endswith(":latest") else "Always"


def default_container(container: Tree, host_network: bool) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", pull_policy(str(container.get("image", ""))))
    container.setdefault("resources", {})
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")
    for env in container.get("env") or ():
        ref = (env.get("valueFrom") or {}).get("fieldRef")
        if ref is not None:
            ref.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            default_probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and "httpGet" in hook:
            default_http(hook["httpGet"])
    resources = container["resources"]
    for name, amount in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, amount)


def default_volume(volume: Tree) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", 420)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
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
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec.get("serviceAccountName") or spec["serviceAccount"]
        spec["serviceAccount"] = spec["serviceAccountName"]
    for name in ("initContainers", "containers"):
        for container in spec.get(name) or ():
            default_container(container, bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        default_volume(volume)


def default_pod(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    default_spec(spec)
    spec.setdefault("enableServiceLinks", True)


def begin_pod(tree: Tree) -> None:
    tree["status"] = {"phase": "Pending", "qosClass": qos_class(tree.get("spec") or {})}
    if tree["spec"].get("schedulingGates"):  # podStrategy: applySchedulingGatedCondition
        tree["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": None,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]


def qos_class(spec: Tree) -> str:
    """Guaranteed, Burstable or BestEffort (pkg/apis/core/v1/helper/qos)."""
    containers = list(spec.get("containers") or ()) + list(spec.get("initContainers") or ())
    guaranteed, anything = True, False
    for container in containers:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in ("cpu", "memory"):
            limit, request = limits.get(name), requests.get(name)
            if limit is not None or request is not None:
                anything = True
            if limit is None or (request is not None and quantities.parse(request) != quantities.parse(limit)):
                guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def grace(tree: Tree, asked: int | None) -> int:
    """Seconds of grace for a delete; 0 removes the object at once."""
    if asked is None:
        asked = (tree.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
    if asked < 0:
        asked = 1
    # Nobody has to be waited for where no kubelet has the pod, or where it has ended.
    if not (tree.get("spec") or {}).get("nodeName"):
        return 0
    if (tree.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return 0
    return int(asked)


def _port_causes(ports: list[Tree], path: str) -> list[Cause]:
    found, names = [], set()
    for i, port in enumerate(ports):
        at = f"{path}[{i}]"
        name = port.get("name")
        if name:
            if len(name) > 15 or not metadata.LABEL.match(name) or not any(c.isalpha() for c in name) or "--" in name:
                found.append(
                    wrong(
                        f"{at}.name",
                        name,
                        "must be no more than 15 characters"
                        if len(name) > 15
                        else "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                    )
                )
            if name in names:
                found.append(duplicate(f"{at}.name", name))
            names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            found.append(required(f"{at}.containerPort"))
        elif not 0 < number < 65536:
            found.append(wrong(f"{at}.containerPort", number, "must be between 1 and 65535, inclusive"))
        host = port.get("hostPort", 0)
        if host and not 0 < host < 65536:
            found.append(wrong(f"{at}.hostPort", host, "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in PROTOCOLS:
            found.append(unsupported(f"{at}.protocol", port.get("protocol", ""), PROTOCOLS))
    return found


def _resource_causes(resources: Tree, path: str) -> list[Cause]:
    found = []
    for section in ("limits", "requests"):
        for name, amount in (resources.get(section) or {}).items():
            if quantities.parse(amount) < 0:
                found.append(wrong(f"{path}.{section}[{name}]", amount, "must be greater than or equal to 0"))
    for name, amount in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(name)
        if limit is not None and quantities.parse(amount) > quantities.parse(limit):
            found.append(wrong(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}"))
    return found


def _container_causes(containers: list[Tree], path: str, volumes: set[str], seen: set[str]) -> list[Cause]:
    found = []
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        name = container.get("name", "")
        if not name:
            found.append(required(f"{at}.name"))
        elif len(name) > 63 or not metadata.LABEL.match(name):
            why = "must be no more than 63 bytes" if len(name) > 63 else metadata.LABEL_TEXT
            found.append(wrong(f"{at}.name", name, why))
        elif name in seen:
            found.append(duplicate(f"{at}.name", name))
        seen.add(name)
        image = container.get("image", "")
        if not image:
            found.append(required(f"{at}.image"))
        elif image != image.strip():
            found.append(wrong(f"{at}.image", image, "must not have leading or trailing whitespace"))
        found += _port_causes(container.get("ports") or [], f"{at}.ports")
        for j, env in enumerate(container.get("env") or ()):
            if not env.get("name"):
                found.append(required(f"{at}.env[{j}].name"))
            if env.get("value") and env.get("valueFrom"):
                found.append(wrong(f"{at}.env[{j}].valueFrom", "", "may not be specified when `value` is not empty"))
        points = set()
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            if not mount.get("name"):
                found.append(required(f"{at}.volumeMounts[{j}].name"))
            elif mount["name"] not in volumes:
                found.append(
                    Cause(f"{at}.volumeMounts[{j}].name", "FieldValueNotFound", f'Not found: "{mount["name"]}"')
                )
            if not mount.get("mountPath"):
                found.append(required(f"{at}.volumeMounts[{j}].mountPath"))
            elif mount["mountPath"] in points:
                found.append(wrong(f"{at}.volumeMounts[{j}].mountPath", mount["mountPath"], "must be unique"))
            points.add(mount.get("mountPath"))
        for probe_name in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = container.get(probe_name)
            if probe is None:
                continue
            handlers = [h for h in ("exec", "httpGet", "tcpSocket", "grpc") if h in probe]
            if not handlers:
                found.append(required(f"{at}.{probe_name}", "must specify a handler type"))
            for extra in handlers[1:]:
                found.append(not_permitted(f"{at}.{probe_name}.{extra}", "may not specify more than 1 handler type"))
            if probe_name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
                found.append(wrong(f"{at}.{probe_name}.successThreshold", probe["successThreshold"], "must be 1"))
        found += _resource_causes(container.get("resources") or {}, f"{at}.resources")
        if container.get("imagePullPolicy") not in ("Always", "IfNotPresent", "Never"):
            found.append(
                unsupported(
                    f"{at}.imagePullPolicy", container.get("imagePullPolicy"), ("Always", "IfNotPresent", "Never")
                )
            )
    return found


def validate_spec(spec: Tree, path: str = "spec") -> list[Cause]:
    """Everything that is wrong with a PodSpec."""
    found: list[Cause] = []
    volumes: set[str] = set()
    for i, volume in enumerate(spec.get("volumes") or ()):
        name = volume.get("name", "")
        if not name:
            found.append(required(f"{path}.volumes[{i}].name"))
        elif not metadata.LABEL.match(name) or len(name) > 63:
            found.append(wrong(f"{path}.volumes[{i}].name", name, metadata.LABEL_TEXT))
        elif name in volumes:
            found.append(duplicate(f"{path}.volumes[{i}].name", name))
        volumes.add(name)
        sources = [k for k in volume if k != "name"]
        for extra in sources[1:]:
            found.append(not_permitted(f"{path}.volumes[{i}].{extra}", "may not specify more than 1 volume type"))
    if not spec.get("containers"):
        found.append(required(f"{path}.containers"))
    seen: set[str] = set()
    found += _container_causes(spec.get("containers") or [], f"{path}.containers", volumes, seen)
    found += _container_causes(spec.get("initContainers") or [], f"{path}.initContainers", volumes, seen)
    if spec.get("restartPolicy") not in ("Always", "OnFailure", "Never"):
        found.append(unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), ("Always", "OnFailure", "Never")))
    policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    if spec.get("dnsPolicy") not in policies:
        found.append(unsupported(f"{path}.dnsPolicy", spec.get("dnsPolicy"), policies))
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        found.append(
            wrong(
                f"{path}.terminationGracePeriodSeconds",
                spec["terminationGracePeriodSeconds"],
                "must be greater than or equal to 0",
            )
        )
    found += metadata.label_causes(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    for i, toleration in enumerate(spec.get("tolerations") or ()):
        at = f"{path}.tolerations[{i}]"
        if toleration.get("operator") == "Exists" and toleration.get("value"):
            found.append(wrong(f"{at}.operator", toleration, "value must be empty when `operator` is 'Exists'"))
        effect = toleration.get("effect")
        if effect and effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            found.append(unsupported(f"{at}.effect", effect, ("NoSchedule", "PreferNoSchedule", "NoExecute")))
    return found


def validate_pod(tree: Tree) -> list[Cause]:
    return validate_spec(tree.get("spec") or {})


# Parts of a running pod that may change; everything else of the spec is fixed (pkg/apis/core/validation).
MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates", "nodeSelector")


def _fixed(spec: Tree) -> Tree:
    fixed = {k: v for k, v in spec.items() if k not in (*MUTABLE, "ephemeralContainers")}
    for name in ("containers", "initContainers"):
        if name in fixed:
            fixed[name] = [{k: v for k, v in c.items() if k != "image"} for c in fixed[name]]
    return fixed


def validate_pod_update(tree: Tree, old: Tree) -> list[Cause]:
    before = old.get("spec") or {}
    after = tree.get("spec") or {}
    if not before.get("nodeName") and after.get("nodeName"):
        before = {**before, "nodeName": after["nodeName"]}
    if _fixed(after) != _fixed(before):
        fields = (
            "spec.containers[*].image,spec.initContainers[*].image,spec.activeDeadlineSeconds,spec.tolerations "
            "(only additions to existing tolerations),spec.terminationGracePeriodSeconds (allow it to be set to 1 "
            "if it was previously negative)"
        )
        return [not_permitted("spec", f"pod updates may not change fields other than `{fields.replace(',', '`,`')}`")]
    return []
