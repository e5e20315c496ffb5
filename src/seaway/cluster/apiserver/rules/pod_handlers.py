"""What the kubelet does to a container at times: probes and lifecycle hooks."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.status import Cause, not_permitted, required, wrong

Tree = dict[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def port(path: str, value: Any) -> list[Cause]:
    """A number or the name of a port; a port that is not given is 0."""
    if isinstance(value, str):
        return formats.causes(path, value, formats.port_name)
    return [wrong(path, value or 0, why) for why in formats.port_number(value or 0)]


def _action(name: str, action: Tree, grace: int | None, path: str) -> list[Cause]:
    if name == "exec":
        return [] if action.get("command") else [required(f"{path}.command")]
    if name == "sleep":
        seconds = action.get("seconds", 0)
        if grace is None or 0 <= seconds <= grace:
            return []
        return [wrong(path, seconds, f"must be non-negative and less than terminationGracePeriodSeconds ({grace})")]
    if name != "httpGet":
        return port(f"{path}.port", action.get("port"))
    found = [] if action.get("path") else [required(f"{path}.path")]
    found += port(f"{path}.port", action.get("port"))
    found += fieldrules.listed(f"{path}.scheme", action.get("scheme", ""), ("HTTP", "HTTPS"))
    for header in action.get("httpHeaders") or ():
        found += formats.causes(f"{path}.httpHeaders", header.get("name", ""), formats.header_name)
    return found


def _handler(tree: Tree, names: tuple[str, ...], grace: int | None, path: str) -> list[Cause]:
    """Exactly one action; of several the first is checked and the others are refused."""
    given = [name for name in names if tree.get(name) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    found = _action(given[0], tree[given[0]], grace, f"{path}.{given[0]}")
    return found + [not_permitted(f"{path}.{n}", "may not specify more than 1 handler type") for n in given[1:]]


def validate_probe(name: str, probe: Tree | None, grace: int | None, path: str) -> list[Cause]:
    if probe is None:
        return []
    found = _handler(probe, PROBE_HANDLERS, grace, path)
    found += fieldrules.not_negatives(probe, path, *NUMBERS)
    own = probe.get("terminationGracePeriodSeconds")
    if own is not None and own <= 0:
        found.append(wrong(f"{path}.terminationGracePeriodSeconds", own, "must be greater than 0"))
    if name == "readinessProbe" and own is not None:
        why = "must not be set for readinessProbes"
        found.append(wrong(f"{path}.terminationGracePeriodSeconds", own, why))
    threshold = probe.get("successThreshold", 0)
    if name != "readinessProbe" and threshold != 1:
        found.append(wrong(f"{path}.successThreshold", threshold, "must be 1"))
    return found


def validate_all(container: Tree, grace: int | None, path: str) -> list[Cause]:
    """The hooks and probes of a container that runs as long as its pod."""
    found = []
    for name in ("postStart", "preStop"):
        hook = (container.get("lifecycle") or {}).get(name)
        if hook is not None:
            found += _handler(hook, HOOK_HANDLERS, grace, f"{path}.lifecycle.{name}")
    for name in PROBES:
        found += validate_probe(name, container.get(name), grace, f"{path}.{name}")
    return found
