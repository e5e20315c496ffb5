"""When a Service's endpoints last had a reason to change: the value of `endpoints.kubernetes.io/last-change-trigger-time`,
from which proxies measure how long programming took (kubernetes/endpointslice util TriggerTimeTracker)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seaway.api.tree import Key, condition

Tree = dict[str, Any]
ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


class Triggers:
    """Remembers for each Service the times that it has already told. Times are RFC 3339 texts of whole seconds in UTC, which
    sort as they are."""

    def __init__(self) -> None:
        self._seen: dict[Key, tuple[str, dict[str, str]]] = {}

    def time_of(self, key: Key, service: Tree, pods: Iterable[Tree]) -> str:
        """The earliest time that is new since the last call; '' where none is (the annotation then goes)."""
        known = self._seen.get(key)
        created = service["metadata"].get("creationTimestamp") or ""
        before_service, before_pods = known or ("", {})
        times = {}
        for pod in pods:
            ready = condition(pod, "Ready")
            when = (ready or {}).get("lastTransitionTime") or ""
            if when:
                times[pod["metadata"]["name"]] = when
        fresh = [when for name, when in times.items() if when > before_pods.get(name, "")]
        if created > before_service:
            fresh.append(created)
        self._seen[key] = (created, times)
        if known is None:
            return created
        return min(fresh, default="")

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)
