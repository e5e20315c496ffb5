"""Values as errors show them where upstream checks its internal types: Go's field names, in order, all of them.

Upstream validates an unversioned form of each kind; an error that shows a whole struct shows that form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Tree = dict[str, Any]


class Field(NamedTuple):
    """A field's name in Go and in JSON, what it shows when absent, and the form of a struct in it (or in its items)."""

    name: str
    key: str
    zero: Any = None
    form: str = ""


FORMS: dict[str, tuple[Field, ...]] = {
    "SecurityContext": (
        Field("Capabilities", "capabilities", form="Capabilities"),
        Field("Privileged", "privileged"),
        Field("SELinuxOptions", "seLinuxOptions", form="SELinuxOptions"),
        Field("WindowsOptions", "windowsOptions", form="WindowsOptions"),
        Field("RunAsUser", "runAsUser"),
        Field("RunAsGroup", "runAsGroup"),
        Field("RunAsNonRoot", "runAsNonRoot"),
        Field("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
        Field("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
        Field("ProcMount", "procMount"),
        Field("SeccompProfile", "seccompProfile", form="Profile"),
        Field("AppArmorProfile", "appArmorProfile", form="Profile"),
    ),
    "Capabilities": (Field("Add", "add"), Field("Drop", "drop")),
    "SELinuxOptions": (
        Field("User", "user", ""),
        Field("Role", "role", ""),
        Field("Type", "type", ""),
        Field("Level", "level", ""),
    ),
    "WindowsOptions": (
        Field("GMSACredentialSpecName", "gmsaCredentialSpecName"),
        Field("GMSACredentialSpec", "gmsaCredentialSpec"),
        Field("RunAsUserName", "runAsUserName"),
        Field("HostProcess", "hostProcess"),
    ),
    "Profile": (Field("Type", "type", ""), Field("LocalhostProfile", "localhostProfile")),
    "PodResourceClaim": (
        Field("Name", "name", ""),
        Field("ResourceClaimName", "resourceClaimName"),
        Field("ResourceClaimTemplateName", "resourceClaimTemplateName"),
    ),
    "NodeSelectorTerm": (
        Field("MatchExpressions", "matchExpressions", form="NodeSelectorRequirement"),
        Field("MatchFields", "matchFields", form="NodeSelectorRequirement"),
    ),
    "NodeSelectorRequirement": (
        Field("Key", "key", ""),
        Field("Operator", "operator", ""),
        Field("Values", "values"),
    ),
    "Strategy": (Field("Type", "type", ""), Field("RollingUpdate", "rollingUpdate", form="Rolling")),
    "Rolling": (Field("MaxUnavailable", "maxUnavailable", 0), Field("MaxSurge", "maxSurge", 0)),
    "StatefulSetStrategy": (
        Field("Type", "type", ""),
        Field("RollingUpdate", "rollingUpdate", form="StatefulSetRolling"),
    ),
    "StatefulSetRolling": (Field("Partition", "partition", 0), Field("MaxUnavailable", "maxUnavailable")),
    "PodIP": (Field("IP", "ip", ""),),
    "SuccessPolicy": (Field("Rules", "rules", form="SuccessPolicyRule"),),
    "SuccessPolicyRule": (
        Field("SucceededIndexes", "succeededIndexes"),
        Field("SucceededCount", "succeededCount"),
    ),
    "PodFailurePolicy": (Field("Rules", "rules", form="PodFailurePolicyRule"),),
    "PodFailurePolicyRule": (
        Field("Action", "action", ""),
        Field("OnExitCodes", "onExitCodes", form="OnExitCodes"),
        Field("OnPodConditions", "onPodConditions", form="OnPodConditions"),
    ),
    "OnExitCodes": (
        Field("ContainerName", "containerName"),
        Field("Operator", "operator", ""),
        Field("Values", "values"),
    ),
    "OnPodConditions": (Field("Type", "type", ""), Field("Status", "status", "")),
    "UncountedTerminatedPods": (Field("Succeeded", "succeeded"), Field("Failed", "failed")),
    "ContainerResizePolicy": (Field("ResourceName", "resourceName", ""), Field("RestartPolicy", "restartPolicy", "")),
}


def internal(form: str, value: Any) -> Any:
    """A struct, or a list of structs, in its internal form; None stays None."""
    if value is None:
        return None
    if isinstance(value, list):
        return [internal(form, item) for item in value]
    found = {}
    for field in FORMS[form]:
        have = value.get(field.key)
        found[field.name] = field.zero if have is None else internal(field.form, have) if field.form else have
    return found
