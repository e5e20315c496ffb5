"""Probes and hooks of running containers: the tasks around `probes`, and commands run inside."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

from seaway.cluster.node import plans, probes
from seaway.cluster.node.shims import ShimError

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]
HOOK_LONGEST = 24 * 3600.0  # postStart has no limit of its own


def start(worker: PodWorker, container: Tree, fresh: bool) -> None:
    name = container["name"]
    stop(worker, name)
    adopted_ready = None if fresh else worker.ready.get(name)
    if fresh:
        worker.ready[name] = "readinessProbe" not in container
        worker.started[name] = "startupProbe" not in container
    worker.probing[name] = {"run": asyncio.ensure_future(_run(worker, container, adopted_ready))}


async def _run(worker: PodWorker, container: Tree, adopted: bool | None) -> None:
    name = container["name"]

    async def inside(command: list[str], timeout: float) -> tuple[int, str]:
        return await execute(worker, name, command, timeout)

    def attempted_as(kind: str) -> Any:
        def attempted(ok: bool, why: str) -> None:
            if not ok:
                worker.agent.event(
                    worker.pod, "Warning", "Unhealthy", f"{kind} probe failed: {why}", worker.path_of(name)
                )

        return attempted

    address = worker.addresses[0] if worker.addresses else ""
    if "startupProbe" in container and not worker.started.get(name):
        passed = asyncio.Event()

        def startup(ok: bool, why: str) -> None:
            if ok:
                worker.started[name] = True
                passed.set()
                worker.wake.set()
            else:
                worker.restart(name, "startup", _grace(container["startupProbe"]))

        task = asyncio.ensure_future(
            probes.run(
                container["startupProbe"],
                container,
                address,
                inside,
                startup,
                attempted_as("Startup"),
                None,
                False,
            )
        )
        worker.probing[name]["startup"] = task
        await passed.wait()
        task.cancel()
    if "livenessProbe" in container:

        def liveness(ok: bool, why: str) -> None:
            if not ok:
                worker.restart(name, "liveness", _grace(container["livenessProbe"]))

        worker.probing[name]["liveness"] = asyncio.ensure_future(
            probes.run(
                container["livenessProbe"],
                container,
                address,
                inside,
                liveness,
                attempted_as("Liveness"),
                None,
                False,
            )
        )
    if "readinessProbe" in container:

        def readiness(ok: bool, why: str) -> None:
            if worker.ready.get(name) != ok:
                worker.ready[name] = ok
                worker.wake.set()
                if worker.ending is not None:  # nobody else looks now, and its endpoints are to stop serving before it ends
                    asyncio.ensure_future(_report(worker))

        worker.probing[name]["readiness"] = asyncio.ensure_future(
            probes.run(
                container["readinessProbe"],
                container,
                address,
                inside,
                readiness,
                attempted_as("Readiness"),
                adopted,
                True,
            )
        )


async def _report(worker: PodWorker) -> None:
    with contextlib.suppress(Exception):  # the end of the pod reports once more
        await worker.report()


def _grace(probe: Tree) -> float | None:
    found = probe.get("terminationGracePeriodSeconds")
    return None if found is None else float(found)


def stop(worker: PodWorker, name: str) -> None:
    for task in worker.probing.pop(name, {}).values():
        task.cancel()


def stop_liveness(worker: PodWorker, name: str) -> None:
    """Liveness must not kill what is being stopped; readiness goes on, as the kubelet has it."""
    task = worker.probing.get(name, {}).get("liveness")
    if task:
        task.cancel()


async def hook(worker: PodWorker, container: Tree, hook: Tree, limit: float | None, failed: str) -> str:
    """Runs a lifecycle hook, for `limit` seconds at most; what went wrong, which an event has told."""
    name = container["name"]
    problem = ""
    patience = limit if limit is not None else HOOK_LONGEST
    if "sleep" in hook:
        await asyncio.sleep(min(float(hook["sleep"]["seconds"]), patience))
    elif "exec" in hook:
        code, output = await execute(worker, name, list(hook["exec"]["command"]), patience)
        problem = f"command exited with {code}: {output.strip()}" if code else ""
    elif "httpGet" in hook or "tcpSocket" in hook:
        address = worker.addresses[0] if worker.addresses else ""
        ok, why = await probes.attempt({**hook, "timeoutSeconds": patience}, container, address, _no_exec)
        problem = "" if ok else why
    if problem:
        text = f"{failed.removeprefix('Failed')} failed: {problem}"
        worker.agent.event(worker.pod, "Warning", failed, text, worker.path_of(name))
    return problem


async def execute(worker: PodWorker, name: str, command: list[str], timeout: float) -> tuple[int, str]:
    """A command inside a container: (exit code, output). The time-out is code 124 and kills nothing else."""
    assert worker.shim
    read, write = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = await worker.shim.execute(name, plans.exec_plan(worker, name, command, False), [null, write, write])
    except ShimError as e:
        os.close(read)
        return 126, str(e)
    finally:
        os.close(write)
        os.close(null)
    try:
        code, problem = await asyncio.wait_for(done, timeout)
        if problem:
            return code, problem
        os.set_blocking(read, False)
        try:
            output = os.read(read, 10240).decode("utf-8", "replace")
        except BlockingIOError:
            output = ""
        return code, output
    except TimeoutError:
        return 124, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s'
    finally:
        os.close(read)


async def _no_exec(command: list[str], timeout: float) -> tuple[int, str]:
    return 126, "exec is not possible here"
