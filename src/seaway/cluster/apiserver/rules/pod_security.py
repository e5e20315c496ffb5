"""Security contexts of pods and containers: ids, seccomp, AppArmor, sysctls, Windows, what an OS forbids, host users."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules, pod_paths
from seaway.cluster.apiserver.rules.internal_forms import internal
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, too_long, unlisted, wrong

Tree = dict[str, Any]
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
SYSCTL = "([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
# Sysctls that are a namespace's own, by prefix (component-helpers/node/util/sysctl).
SYSCTL_NAMESPACES = (("kernel.shm", "ipc"), ("kernel.msg", "ipc"), ("fs.mqueue.", "ipc"), ("net.", "net"))
ESCALATION = "cannot set `allowPrivilegeEscalation` to false and "
WINDOWS_POD = "cannot be set for a windows pod"
LINUX_POD = "windows options cannot be set for a linux pod"
HOST_USERS = "when `hostUsers` is false"
PROFILE_LIMIT = 4095
GMSA_LIMIT = 64 * 1024
NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}\Z')
DNS_DOMAIN = re.compile(
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\Z"
)
# Upstream's order of what a Windows pod may not have: (in securityContext or in the spec, field).
WINDOWS_POD_FIELDS = (
    ("securityContext", "appArmorProfile"),
    ("securityContext", "seLinuxOptions"),
    ("", "hostUsers"),
    ("", "hostPID"),
    ("", "hostIPC"),
    ("securityContext", "seccompProfile"),
    ("securityContext", "fsGroup"),
    ("securityContext", "fsGroupChangePolicy"),
    ("securityContext", "sysctls"),
    ("", "shareProcessNamespace"),
    ("securityContext", "runAsUser"),
    ("securityContext", "runAsGroup"),
    ("securityContext", "supplementalGroups"),
    ("securityContext", "supplementalGroupsPolicy"),
    ("securityContext", "seLinuxChangePolicy"),
)
POLICIES: dict[str, tuple[str, ...]] = {
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("Recursive",),  # SELinuxMount is off in v1.36
}
WINDOWS_CONTAINER_FIELDS = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def visited(spec: Tree, path: str) -> Iterator[tuple[Tree, str]]:
    """Every container with its path, in upstream's order."""
    for name in CONTAINER_LISTS:
        for i, container in enumerate(spec.get(name) or ()):
            yield container, f"{path}.{name}[{i}]" if path else f"{name}[{i}]"


def _ids(context: Tree, path: str, *names: str) -> list[Cause]:
    return [
        wrong(f"{path}.{name}", context[name], why)
        for name in names
        if context.get(name) is not None
        for why in formats.user_id(context[name])
    ]


def seccomp(profile: Tree | None, path: str) -> list[Cause]:
    if profile is None:
        return []
    kind, local = profile.get("type", ""), profile.get("localhostProfile")
    found = fieldrules.one_of(f"{path}.type", kind, PROFILES, "type is required when seccompProfile is set")
    if kind == "Localhost":
        if local is None:
            return [*found, required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")]
        return found + pod_paths.descending(f"{path}.localhostProfile", local)
    if local is not None:
        why = "can only be set when seccomp type is Localhost"
        found.append(wrong(f"{path}.localhostProfile", internal("SeccompProfile", profile), why))
    return found


def app_armor(profile: Tree | None, path: str) -> list[Cause]:
    if profile is None:
        return []
    kind, local, at = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None:
            return [required(at, "must be set when AppArmor type is Localhost")]
        found = []
        if local.strip() != local:
            found.append(wrong(at, local, "must not be padded with whitespace"))
        elif not local:
            found.append(required(at, "must be set when AppArmor type is Localhost"))
        return [*found, too_long(at, PROFILE_LIMIT)] if len(local) > PROFILE_LIMIT else found
    if kind in ("RuntimeDefault", "Unconfined"):
        return [] if local is None else [wrong(at, local, "can only be set when AppArmor type is Localhost")]
    return fieldrules.one_of(f"{path}.type", kind, PROFILES, "type is required when appArmorProfile is set")


def _user_name(name: str, path: str) -> list[Cause]:
    """A Windows user, `DOMAIN\\user` or `user`."""
    if not name:
        return [wrong(path, name, "runAsUserName cannot be an empty string")]
    if re.search(r"[\x00-\x1f\x7f]", name):
        return [wrong(path, name, "runAsUserName cannot contain control characters")]
    parts = name.split("\\")
    if len(parts) > 2:
        return [wrong(path, name, "runAsUserName cannot contain more than one backslash")]
    domain, user, problems = parts[0] if len(parts) == 2 else None, parts[-1], []
    if domain is not None and len(domain) >= 256:
        problems.append("runAsUserName's Domain length must be under 256 characters")
    if domain is not None and not NETBIOS.match(domain) and not DNS_DOMAIN.match(domain):
        problems.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        problems.append("runAsUserName's User cannot be empty")
    elif len(user) > 104:
        problems.append("runAsUserName's User length must not be longer than 104 characters")
    if re.fullmatch(r"[. ]+", user):
        problems.append("runAsUserName's User cannot contain only periods or spaces")
    if re.search(r'["/\\:;|=,+*?<>@\[\]]', user):
        problems.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return [wrong(path, name, why) for why in problems]


def _windows(options: Tree | None, path: str) -> list[Cause]:
    options, found = options or {}, []
    name, spec = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        found += formats.causes(f"{path}.gmsaCredentialSpecName", name, formats.subdomain)
    if spec == "":
        found.append(wrong(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string"))
    elif spec is not None and len(spec) > GMSA_LIMIT:
        found.append(wrong(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec size must be under 64 KiB"))
    if options.get("runAsUserName") is not None:
        found += _user_name(options["runAsUserName"], f"{path}.runAsUserName")
    return found


def validate_container(context: Tree | None, host_users: bool, path: str) -> list[Cause]:
    """A container's SecurityContext."""
    if context is None:
        return []
    found = _ids(context, path, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None:
        found += fieldrules.listed(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if host_users and mount == "Unmasked":
            found.append(wrong(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    found += seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        whole = internal("SecurityContext", context)
        if context.get("privileged"):
            found.append(wrong(path, whole, f"{ESCALATION}`privileged` to true"))
        for capability in (context.get("capabilities") or {}).get("add") or ():
            if capability == "CAP_SYS_ADMIN":
                found.append(wrong(path, whole, f"{ESCALATION}`capabilities.Add` CAP_SYS_ADMIN"))
    found += _windows(context.get("windowsOptions"), f"{path}.windowsOptions")
    return found + app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def _sysctls(sysctls: list[Tree], spec: Tree, path: str) -> list[Cause]:
    found, seen = [], set[str]()
    for i, sysctl in enumerate(sysctls):
        at, name = f"{path}[{i}].name", sysctl.get("name", "")
        if not name:
            found.append(required(at))
        elif len(name) > 253 or not re.fullmatch(SYSCTL, name):
            found.append(wrong(at, name, f"must have at most 253 characters and match regex ^{SYSCTL}$"))
        elif name in seen:
            found.append(duplicate(at, name))
        seen.add(name)
        dotted = name.replace("/", ".")
        namespace = next((ns for prefix, ns in SYSCTL_NAMESPACES if dotted.startswith(prefix)), "")
        if dotted == "kernel.sem":
            namespace = "ipc"
        if spec.get("hostNetwork") and namespace == "net":
            found.append(wrong(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and namespace == "ipc":
            found.append(wrong(at, name, "may not be specified when 'hostIPC' is true"))
    return found


def validate_pod(spec: Tree, path: str) -> list[Cause]:
    """The PodSecurityContext, with the fields beside it that upstream keeps in it."""
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    found = _ids(context, at, "fsGroup", "runAsUser", "runAsGroup")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        found += [wrong(f"{at}.supplementalGroups[{i}]", group, why) for why in formats.user_id(group)]
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(wrong(f"{at}.shareProcessNamespace", True, why))
    found += _sysctls(context.get("sysctls") or [], spec, f"{at}.sysctls")
    if context.get("fsGroupChangePolicy") is not None:
        allowed = ("Always", "OnRootMismatch")
        found += fieldrules.listed(f"{at}.fsGroupChangePolicy", context["fsGroupChangePolicy"], allowed)
    found += seccomp(context.get("seccompProfile"), f"{at}.seccompProfile")
    found += _windows(context.get("windowsOptions"), f"{at}.windowsOptions")
    found += app_armor(context.get("appArmorProfile"), f"{at}.appArmorProfile")
    for name, policies in POLICIES.items():
        if context.get(name) is not None:
            found += fieldrules.listed(f"{at}.{name}", context[name], policies)
    return found


def validate_host_process(spec: Tree, path: str) -> list[Cause]:
    """Windows HostProcess containers: all of a pod's or none, and in the host's network."""
    own = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    found, total, hosted = [], 0, 0
    for container, at in visited(spec, path):
        total += 1
        value = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if own is not None and value is not None and own != value:
            told = "true" if own else "false"
            why = f"pod hostProcess value must be identical if both are specified, was {told}"
            found.append(wrong(f"{at}.securityContext.windowsOptions.hostProcess", value, why))
        hosted += bool(own if value is None else value)
    if hosted and hosted != total:
        why = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        found.append(wrong(path, "", why))
    if hosted and not spec.get("hostNetwork"):
        why = "hostNetwork must be true if pod contains any hostProcess containers"
        found.append(wrong(f"{path}.hostNetwork", False, why))
    return found


def validate_host_users(spec: Tree, path: str) -> list[Cause]:
    """A pod in a user namespace of its own (KEP-127) shares no other namespace with the host."""
    if spec.get("hostUsers") is not False:
        return []
    fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    found = [not_permitted(f"{path}.{told}", HOST_USERS) for name, told in fields if spec.get(name)]
    for container, at in visited(spec, path):
        if container.get("volumeDevices"):
            found.append(not_permitted(f"{at}.volumeDevices", HOST_USERS))
    return found


def _linux(spec: Tree, path: str) -> list[Cause]:
    found = []
    if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
        found.append(not_permitted(f"{path}.securityContext.windowsOptions", LINUX_POD))
    for container, at in visited(spec, path):
        if (container.get("securityContext") or {}).get("windowsOptions") is not None:
            found.append(not_permitted(f"{at}.securityContext.windowsOptions", LINUX_POD))
    return found


def _windows_pod(spec: Tree, path: str) -> list[Cause]:
    found = []
    for place, name in WINDOWS_POD_FIELDS:
        owner = (spec.get(place) or {}) if place else spec
        given = owner.get(name)
        if given is None or (given is False and name in ("hostPID", "hostIPC")) or (name == "sysctls" and not given):
            continue
        found.append(not_permitted(f"{path}.{place}.{name}" if place else f"{path}.{name}", WINDOWS_POD))
    for container, at in visited(spec, path):
        context = container.get("securityContext") or {}
        for name in WINDOWS_CONTAINER_FIELDS:
            if context.get(name) is not None:
                found.append(not_permitted(f"{at}.securityContext.{name}", WINDOWS_POD))
    return found


def validate_os(spec: Tree, path: str) -> list[Cause]:
    """`spec.os` and what it rules out."""
    if spec.get("os") is None:
        return []
    name = spec["os"].get("name", "")
    if not name:
        return [required(f"{path}.os.name")]
    if name not in ("linux", "windows"):
        return [unlisted(f"{path}.os", name, ("linux", "windows"))]
    return _linux(spec, path) if name == "linux" else _windows_pod(spec, path)
