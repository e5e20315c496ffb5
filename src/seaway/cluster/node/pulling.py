"""Images on their way to a container: pull policies, the back-off of pulls that fail, and the words for both.

The rules are kubelet/images/image_manager.go's. There is no registry: what is loaded, built in or installed is present;
what a package must bring first is pulled; all else fails to be pulled, with the way out.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seaway.cluster.fabric import linux
from seaway.cluster.node import references
from seaway.cluster.node.images import Image, Missing

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]
FIRST, LONGEST = 10.0, 300.0
AGAIN = 1.0  # a sync after a failure says what it waits for


@dataclass(slots=True)
class Pull:
    """The pulls of one image for one pod."""

    failures: int = 0
    until: float = 0.0
    error: str = ""
    began: float = 0.0
    said: bool = False

    def fail(self, error: str, now: float) -> None:
        self.failures += 1
        self.until = now + min(FIRST * 2 ** (self.failures - 1), LONGEST)
        self.error, self.began, self.said = error, 0.0, False


def policy_of(container: Tree) -> str:
    """The container's policy; the API server's default where an object came around it."""
    given = container.get("imagePullPolicy")
    if given:
        return str(given)
    return "Always" if references.parse(container["image"]).tag == "latest" else "IfNotPresent"


def took(seconds: float) -> str:
    return f"{seconds:.3g}s" if seconds >= 1 else f"{seconds * 1000:.3g}ms"


def forget_failures(worker: PodWorker) -> None:
    """Other images are there now: what failed is tried at once."""
    for pull in worker.pulls.values():
        pull.until = 0.0
    worker.wake.set()


async def ensure(worker: PodWorker, container: Tree, path: str) -> Image | float | None:
    """The image, or seconds until the next look (None: when something happens); `worker.waiting` says why."""
    name, text = container["name"], str(container["image"])

    def event(kind: str, reason: str, message: str) -> None:
        worker.agent.event(worker.pod, kind, reason, message, path)

    def wait(reason: str, message: str, kind: str, event_reason: str, said: str) -> None:
        if worker.waiting.get(name) != (reason, message):
            event(kind, event_reason, said)
            event("Warning", "Failed", f"Error: {reason}")
        worker.waiting[name] = (reason, message)

    try:
        references.parse(text)
        policy = policy_of(container)
    except ValueError as e:
        message = f'Failed to apply default image tag "{text}": {e}'
        wait("InvalidImageName", message, "Warning", "InspectFailed", message)
        return None
    found = worker.agent.image(text)
    note = f": {found.note}" if isinstance(found, Image) and found.note else ""
    if isinstance(found, Image) and policy != "Always":
        worker.pulls.pop(text, None)
        event(
            "Normal",
            "Pulled",
            f'Container image "{text}" already present on machine and can be accessed by the pod{note}',
        )
        return found
    if policy == "Never":
        message = f'Container image "{text}" is not present with pull policy of Never'
        wait("ErrImageNeverPull", message, "Warning", "ErrImageNeverPull", message)
        return None
    return await _pull(worker, container, found, event, wait)


async def _pull(
    worker: PodWorker, container: Tree, found: Image | Missing, event: Any, wait: Any
) -> Image | float | None:
    name, text, now = container["name"], str(container["image"]), time.time()
    pull = worker.pulls.setdefault(text, Pull())
    if pull.until > now:
        if not pull.said:
            message = f'Back-off pulling image "{text}"'
            wait("ImagePullBackOff", f"{message}: ErrImagePull: {pull.error}", "Normal", "BackOff", message)
            pull.said = True
        return pull.until - now
    if not pull.began:
        pull.began = now
        event("Normal", "Pulling", f'Pulling image "{text}"')
    if isinstance(found, Missing) and found.program:
        worker.waiting[name] = ("ContainerCreating", "")
        task = worker.agent.fetch(found.program)
        if not task.done():
            task.add_done_callback(lambda _: worker.wake.set())
            return None
        worker.agent.fetches.pop(found.program, None)
        error, found = task.result(), worker.agent.image(text)
        if isinstance(found, Missing) and error:
            found = Missing(text, f"{found.text} ({error})")
    if isinstance(found, Missing):
        pull.fail(found.text, now)
        worker.waiting.pop(name, None)
        wait("ErrImagePull", found.text, "Warning", "Failed", f'Failed to pull image "{text}": {found.text}')
        return AGAIN
    spent = took(now - pull.began)
    worker.pulls.pop(text, None)
    size = f"Image size: {found.size} bytes." if found.layers else f"{found.note[:1].upper()}{found.note[1:]}."
    event("Normal", "Pulled", f'Successfully pulled image "{text}" in {spent} ({spent} including waiting). {size}')
    return found


async def fetch(path: str, program: str) -> str:
    """Asks the fetcher for a program; what went wrong, empty: nothing."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with linux.socket_path(path) as short:
            sock.connect(short)
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        writer.write(json.dumps({"program": program}).encode() + b"\n")
        answer = json.loads(await reader.readline() or b'{"error": "the fetcher ended"}')
        writer.close()
        return str(answer.get("error", ""))
    except (OSError, ValueError) as e:
        sock.close()
        return f"the fetcher of this cluster does not answer: {e}"


def status_images(records: tuple[Tree, ...], most: int = 50) -> list[Tree]:
    """A node's `status.images`: the largest first, at most `most` (kubelet nodeStatusMaxImages)."""
    rows = [{"names": [*r["digests"], *r["names"]] or [r["id"]], "sizeBytes": r["size"]} for r in records]
    return sorted(rows, key=lambda r: (-r["sizeBytes"], r["names"]))[:most]


async def watch(store: Any, changed: Any) -> None:
    """Calls `changed()` when the store holds other images than before: a look a second, at one file."""
    while True:
        await asyncio.sleep(AGAIN)
        try:
            if store.changed():
                await changed()
        except OSError as e:
            print(f"agent: {e}", flush=True)
