"""A container's environment: Service variables, envFrom, env, and $(NAME) in commands; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seaway.cluster.node import volumes
from seaway.cluster.node.volumes import Fetch, VolumeError, expand

Tree = dict[str, Any]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def needed(container: Tree) -> set[tuple[str, str]]:
    """(resource, name) of the objects that the environment reads."""
    found = set()
    for source in container.get("envFrom") or ():
        if "configMapRef" in source:
            found.add(("configmaps", source["configMapRef"].get("name", "")))
        if "secretRef" in source:
            found.add(("secrets", source["secretRef"].get("name", "")))
    for entry in container.get("env") or ():
        source = entry.get("valueFrom") or {}
        if "configMapKeyRef" in source:
            found.add(("configmaps", source["configMapKeyRef"].get("name", "")))
        if "secretKeyRef" in source:
            found.add(("secrets", source["secretKeyRef"].get("name", "")))
    return found


def service_variables(services: list[Tree]) -> dict[str, str]:
    """Docker-links style variables of the Services that a pod sees (pkg/kubelet/envvars)."""
    found: dict[str, str] = {}
    for service in sorted(services, key=lambda s: str(s["metadata"]["name"])):
        spec = service["spec"]
        address = spec.get("clusterIP")
        if not address or address == "None" or spec.get("type") == "ExternalName" or not spec.get("ports"):
            continue
        name = service["metadata"]["name"].upper().replace("-", "_")
        shown = f"[{address}]" if ":" in address else address
        first = spec["ports"][0]
        found[f"{name}_SERVICE_HOST"] = address
        found[f"{name}_SERVICE_PORT"] = str(first["port"])
        for port in spec["ports"]:
            if port.get("name"):
                found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        protocol = first.get("protocol", "TCP").lower()
        found[f"{name}_PORT"] = f"{protocol}://{shown}:{first['port']}"
        for port in spec["ports"]:
            protocol = port.get("protocol", "TCP")
            prefix = f"{name}_PORT_{port['port']}_{protocol}"
            found[prefix] = f"{protocol.lower()}://{shown}:{port['port']}"
            found[f"{prefix}_PROTO"] = protocol.lower()
            found[f"{prefix}_PORT"] = str(port["port"])
            found[f"{prefix}_ADDR"] = address
    return found


def _value(pod: Tree, container: Tree, source: Tree, fetch: Fetch, allocatable: Mapping[str, str]) -> str | None:
    """A valueFrom's value; None where an optional source is missing."""
    if "fieldRef" in source:
        return volumes.field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return volumes.resource_field(pod, source["resourceFieldRef"], container["name"], allocatable)
    for field, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if field in source:
            ref = source[field]
            tree = fetch(resource, ref.get("name", ""))
            if tree is None:
                if ref.get("optional"):
                    return None
                raise VolumeError(f'{resource[:-1]} "{ref.get("name", "")}" not found')
            data = volumes.data_of(resource, tree)
            if ref["key"] not in data:
                if ref.get("optional"):
                    return None
                noun = "ConfigMap" if resource == "configmaps" else "Secret"
                raise VolumeError(
                    f"couldn't find key {ref['key']} in {noun} {tree['metadata']['namespace']}/{ref['name']}"
                )
            return data[ref["key"]].decode("utf-8", "replace")
    raise VolumeError(f"valueFrom {next(iter(source), '')!r} is not supported")


def declared(
    pod: Tree, container: Tree, services: list[Tree], fetch: Fetch, allocatable: Mapping[str, str]
) -> dict[str, str]:
    """What Kubernetes gives a container, in the order in which later entries win; $(NAME) means these and no others."""
    env = service_variables(services)
    for source in container.get("envFrom") or ():
        for field, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field not in source:
                continue
            ref = source[field]
            tree = fetch(resource, ref.get("name", ""))
            if tree is None:
                if ref.get("optional"):
                    continue
                raise VolumeError(f'{resource[:-1]} "{ref.get("name", "")}" not found')
            prefix = source.get("prefix", "")
            env.update({prefix + k: v.decode("utf-8", "replace") for k, v in volumes.data_of(resource, tree).items()})
    for entry in container.get("env") or ():
        if entry.get("valueFrom"):
            value = _value(pod, container, entry["valueFrom"], fetch, allocatable)
            if value is not None:
                env[entry["name"]] = value
        else:
            env[entry["name"]] = expand(entry.get("value", ""), env)
    return env


def complete(env: Mapping[str, str], image: Mapping[str, str], hostname: str, home: str) -> dict[str, str]:
    """The whole environment: the runtime's, over it the image's, over it what the pod declares."""
    runtime = {"PATH": PATH, "HOSTNAME": hostname, "HOME": home}
    return {**runtime, **image, **env}
