"""StorageClass, VolumeAttachment, the CSI kinds, VolumeAttributesClass (pkg/apis/storage): stored and validated; pure."""

from __future__ import annotations

from typing import Any

from seaway.api import quantities
from seaway.api.tree import get
from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, too_long, unsupported, wrong

Tree = dict[str, Any]
BINDING = ("Immediate", "WaitForFirstConsumer")
IMMUTABLE = "field is immutable"
MOST_PARAMETERS, PARAMETERS_SIZE = 512, 256 * 1024
DRIVER_LONGEST = 63
ATTACHED = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def default_class(tree: Tree) -> None:
    tree["reclaimPolicy"] = tree.get("reclaimPolicy") or "Delete"
    if tree.get("volumeBindingMode") is None:
        tree["volumeBindingMode"] = "Immediate"


def validate_class(tree: Tree) -> list[Cause]:
    found = _provisioner_causes(tree.get("provisioner", ""))
    found += _parameter_causes(tree.get("parameters") or {})
    policy, mode = tree.get("reclaimPolicy"), tree.get("volumeBindingMode")
    if policy not in ("Delete", "Retain"):
        found.append(unsupported("reclaimPolicy", policy, ("Delete", "Retain")))
    if mode not in BINDING:
        found.append(unsupported("volumeBindingMode", mode, BINDING))
    for i, term in enumerate(tree.get("allowedTopologies") or ()):
        for j, rule in enumerate(term.get("matchLabelExpressions") or ()):
            at = f"allowedTopologies[{i}].matchLabelExpressions[{j}]"
            if not rule.get("values"):
                found.append(required(f"{at}.values"))
            found += formats.causes(f"{at}.key", rule.get("key", ""), formats.qualified_name)
    return found


def _provisioner_causes(name: str) -> list[Cause]:
    if not name:
        return [required("provisioner", name)]
    return [wrong("provisioner", name, why) for why in formats.qualified_name(name.lower())]


def _parameter_causes(parameters: Tree) -> list[Cause]:
    if len(parameters) > MOST_PARAMETERS:
        return [too_long("parameters", MOST_PARAMETERS)]
    found = [wrong("parameters", "", "field can not be empty.")] if "" in parameters else []
    if sum(len(k) + len(v) for k, v in parameters.items()) > PARAMETERS_SIZE:
        found.append(too_long("parameters", PARAMETERS_SIZE))
    return found


def class_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    found = [
        not_permitted(name, f"updates to {name} are forbidden.")
        for name in ("parameters", "provisioner", "reclaimPolicy")
        if (tree.get(name) or None) != (old.get(name) or None)
    ]
    if tree.get("volumeBindingMode") != old.get("volumeBindingMode"):
        found.append(wrong("volumeBindingMode", tree.get("volumeBindingMode"), IMMUTABLE))
    return found


# VolumeAttachments


def validate_attachment(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = driver_causes("spec.attacher", spec.get("attacher", ""))
    source = spec.get("source") or {}
    volume, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if volume is None and inline is None:
        found.append(required("spec.source", ATTACHED))
    elif volume is not None and inline is not None:
        found.append(not_permitted("spec.source", ATTACHED))
    elif volume is not None:
        if not volume:
            found.append(required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName"))
        else:
            found += formats.causes("spec.source.persistentVolumeName", volume, formats.subdomain)
    return found + formats.causes("spec.nodeName", spec.get("nodeName", ""), formats.subdomain)


def revalidate_attachment(tree: Tree, old: Tree) -> list[Cause]:
    found = validate_attachment(tree)
    if tree.get("spec") != old.get("spec"):
        found.append(wrong("spec", tree.get("spec"), IMMUTABLE))
    return found


def driver_causes(path: str, name: str) -> list[Cause]:
    """The name of a CSI driver."""
    if not name:
        return [required(path)]
    found = [too_long(path, DRIVER_LONGEST)] if len(name) > DRIVER_LONGEST else []
    return found + formats.causes(path, name.lower(), formats.subdomain)


# CSI


def default_driver(tree: Tree) -> None:
    spec = tree.setdefault("spec", {})
    defaults = {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "volumeLifecycleModes": ["Persistent"],
        "requiresRepublish": False,
        "seLinuxMount": False,
    }
    for name, value in defaults.items():
        if spec.get(name) in (None, []):
            spec[name] = value


def validate_driver(tree: Tree) -> list[Cause]:
    spec = tree.get("spec") or {}
    found = driver_causes("metadata.name", tree["metadata"].get("name", ""))
    policy = spec.get("fsGroupPolicy")
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    if policy not in policies:
        found.append(unsupported("spec.fsGroupPolicy", policy, policies))
    seen: set[str] = set()
    for i, request in enumerate(spec.get("tokenRequests") or ()):
        at, audience = f"spec.tokenRequests[{i}]", request.get("audience", "")
        if audience in seen:
            found.append(duplicate(f"{at}.audience", audience))
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            found.append(wrong(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in ("Ephemeral", "Persistent"):
            found.append(unsupported("spec.volumeLifecycleModes", mode, ("Ephemeral", "Persistent")))
    return found


def driver_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    new, was = tree.get("spec") or {}, old.get("spec") or {}
    names = ("attachRequired", "volumeLifecycleModes")
    return [wrong(f"spec.{name}", new.get(name), IMMUTABLE) for name in names if new.get(name) != was.get(name)]


def validate_node(tree: Tree) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for i, driver in enumerate(get(tree, "spec", "drivers") or ()):
        at, name = f"spec.drivers[{i}]", driver.get("name", "")
        found += driver_causes(f"{at}.name", name)
        if not driver.get("nodeID"):
            found.append(required(f"{at}.nodeID"))
        count = get(driver, "allocatable", "count")
        if count is not None and count < 0:
            found.append(wrong(f"{at}.allocatable.count", count, "must be greater than or equal to 0"))
        keys: list[str] = driver.get("topologyKeys") or []
        for key in keys:
            found += formats.causes(f"{at}.topologyKeys", key, formats.qualified_name)
            if not key:
                found.append(required(f"{at}.topologyKeys"))
        if name in seen:
            found.append(duplicate(f"{at}.name", name))
        seen.add(name)
    return found


def validate_capacity(tree: Tree) -> list[Cause]:
    name = tree.get("storageClassName", "")
    found = formats.causes("storageClassName", name, formats.subdomain)
    found += fieldrules.selector_causes(tree.get("nodeTopology"), "nodeTopology")
    for field in ("capacity", "maximumVolumeSize"):
        if tree.get(field) is not None and quantities.parse(tree[field]) < 0:
            found.append(wrong(field, tree[field], "must be greater than or equal to 0"))
    return found


def capacity_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    names = ("nodeTopology", "storageClassName")
    return [wrong(name, tree.get(name), IMMUTABLE) for name in names if tree.get(name) != old.get(name)]


# VolumeAttributesClasses


def validate_attributes(tree: Tree) -> list[Cause]:
    found = driver_causes("driverName", tree.get("driverName", ""))
    parameters = tree.get("parameters") or {}
    if not parameters:
        found.append(required("parameters", "must contain at least one key/value pair"))
    return found + _parameter_causes(parameters)


def attributes_update_causes(tree: Tree, old: Tree) -> list[Cause]:
    found = []
    if tree.get("driverName") != old.get("driverName"):
        found.append(wrong("driverName", tree.get("driverName", ""), IMMUTABLE))
    if tree.get("parameters") != old.get("parameters"):
        found.append(wrong("parameters", tree.get("parameters"), IMMUTABLE))
    return found
