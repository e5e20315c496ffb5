"""Leader election by a Lease (coordination.k8s.io/v1), as client-go does it: who renews within the duration leads.

`decide` is pure: the Lease as it is, who we are and when we last saw it change, in; what to write, out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from seaway.api.tree import stamp_micro
from seaway.client.errors import ApiStatusError, Conflict, NotFound, Unavailable
from seaway.client.rest import Api, kind_of

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: how long a lease holds, when a leader gives up renewing, how often both try."""

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0


def decide(spec: Tree, identity: str, unchanged_for: float, now: float, timing: Timing) -> Tree | None:
    """The spec to write, or None while another holds the lease. `unchanged_for`: seconds since we saw it change, on our
    own clock: clocks of two machines are never compared."""
    holder = spec.get("holderIdentity") or ""
    base = {"holderIdentity": identity, "leaseDurationSeconds": int(timing.duration), "renewTime": stamp_micro(now)}
    if holder == identity:
        return base
    if holder and unchanged_for < (spec.get("leaseDurationSeconds") or timing.duration):
        return None
    return {
        **base,
        "acquireTime": stamp_micro(now),
        "leaseTransitions": (spec.get("leaseTransitions") or 0) + (1 if holder else 0),
    }


async def lead(
    api: Api,
    namespace: str,
    name: str,
    identity: str,
    work: Callable[[], Awaitable[None]],
    timing: Timing = Timing(),
    release: bool = False,
) -> None:
    """Runs `work` while we hold the lease; returns when it is lost or `work` ends. The caller starts again. With `release` who
    ends gives it away."""
    kind = kind_of("leases.coordination.k8s.io")
    seen: tuple[Tree, float] = ({}, time.monotonic())

    async def attempt() -> bool:
        nonlocal seen
        try:
            lease = await api.get(kind, namespace, name)
        except NotFound:
            wanted = decide({}, identity, 0, time.time(), timing)
            await api.create(
                kind,
                namespace,
                {"apiVersion": kind.api_version, "kind": "Lease", "metadata": {"name": name}, "spec": wanted},
            )
            return True
        spec = lease.get("spec") or {}
        if spec != seen[0]:
            seen = (spec, time.monotonic())
        wanted = decide(spec, identity, time.monotonic() - seen[1], time.time(), timing)
        if wanted is None:
            return False
        version = lease["metadata"]["resourceVersion"]
        await api.patch(kind, namespace, name, {"metadata": {"resourceVersion": version}, "spec": wanted})
        return True

    async def held() -> bool:
        try:
            return await attempt()
        except (ApiStatusError, Unavailable, Conflict):
            return False

    while not await held():
        await asyncio.sleep(timing.retry)
    working = asyncio.ensure_future(work())
    renewed = time.monotonic()
    try:
        while not working.done() and time.monotonic() - renewed < timing.deadline:
            await asyncio.wait((working,), timeout=timing.retry)
            if await held():
                renewed = time.monotonic()
        if working.done():
            working.result()
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        if release:
            await _release(api, namespace, name, identity)


async def _release(api: Api, namespace: str, name: str, identity: str) -> None:
    """Gives the lease away, so that a successor need not wait for its end (client-go's ReleaseOnCancel)."""
    kind = kind_of("leases.coordination.k8s.io")
    try:
        lease = await api.get(kind, namespace, name)
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") == identity:
            version = lease["metadata"]["resourceVersion"]
            freed = {"holderIdentity": "", "leaseDurationSeconds": 1}
            await api.patch(kind, namespace, name, {"metadata": {"resourceVersion": version}, "spec": freed})
    except (ApiStatusError, Unavailable):
        pass  # it runs out by itself
