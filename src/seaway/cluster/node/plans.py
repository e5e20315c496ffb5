"""What a container is to be, as the plan that the shim carries out (`container`): command, environment, identity, root."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from seaway.cluster.fabric.linux import CAPABILITIES, DEFAULT_CAPABILITIES
from seaway.cluster.node import (
    accounts,
    cgroups,
    environment,
    envoy,
    hostnames,
    images,
    messages,
    mounts,
    packages,
    rootfs,
    seccomp,
    volumes,
)
from seaway.cluster.node.volumes import VolumeError

if TYPE_CHECKING:
    from seaway.cluster.node.pods import PodWorker

Tree = dict[str, Any]


def plan(worker: PodWorker, container: Tree, image: images.Image, env: dict[str, str], attempt: int) -> Tree:
    spec = worker.pod["spec"]
    name = container["name"]
    context = {
        **{k: v for k, v in (spec.get("securityContext") or {}).items()},
        **(container.get("securityContext") or {}),
    }
    privileged = bool(context.get("privileged"))
    account = identity(worker, context, image)
    argv = [volumes.expand(a, env) for a in container.get("command") or image.entrypoint]
    argv += [
        volumes.expand(a, env) for a in container.get("args") or (() if container.get("command") else image.command)
    ]
    if not argv:
        raise VolumeError(f"no command specified for image {container['image']}")
    target = image.target
    if target and container.get("command") and not images.is_own_program(image, container["command"][0]):
        target = ""  # the pod brings its own command: the machine's programs run it
    if container.get("tty"):
        env = {"TERM": "xterm", **env}
    wanted = mounts.of_container(worker, container, env)
    message = messages.prepare(worker.message_path(name, attempt))
    path = os.path.normpath(container.get("terminationMessagePath") or "/dev/termination-log")
    wanted.append({"path": path, "source": message, "readOnly": False, "file": True})
    domain = worker.agent.domain
    hostname = hostnames.of_kernel(worker.pod, worker.agent.name, domain)
    of_node = worker.agent.files.hosts() if worker.host_network else ""
    hosts = hostnames.hosts_of_pod(worker.pod, worker.addresses, of_node, domain)
    capabilities = set(build_capabilities(context))
    groups = list(account.groups)
    return {
        "name": name,
        "id": hashlib.sha256(f"{worker.uid}/{name}/{attempt}/{time.time()}".encode()).hexdigest(),
        "attempt": attempt,
        "image": container["image"],
        "argv": argv,
        "env": environment.complete(env, dict(image.env), hostname, account.home),
        "cwd": container.get("workingDir") or image.workdir or "/",
        "stopSignal": image.stop_signal,
        "target": target,
        "component": bool(target) and images.normalize(container["image"]) == images.OWN,
        "uid": account.uid,
        "gid": account.gid,
        "groups": groups,
        "capabilities": sorted(capabilities),
        "privileged": privileged,
        "hostPids": bool(spec.get("hostPID")),
        "noNewPrivileges": True,
        "seccomp": seccomp.of(worker.pod, container, frozenset(capabilities), VolumeError),
        "readOnlyRoot": bool(context.get("readOnlyRootFilesystem")),
        "root": os.path.join(worker.folder, "roots", name),
        "log": worker.log_path(name, attempt),
        "stdin": bool(container.get("stdin")),
        "tty": bool(container.get("tty")),
        "targetContainer": container.get("targetContainerName", ""),
        "cgroups": worker.agent.cgroups.place(worker.uid, name, cgroups.limits(container)),
        "steps": root_steps(worker, container, image, (hosts, worker.resolv_conf, hostname), wanted),
    }


def root_steps(
    worker: PodWorker, container: Tree, image: images.Image, files: tuple[str, str, str], wanted: list[Tree]
) -> list[Tree]:
    """The steps of the container's root; at the end its working directory, which the runtime makes where it is missing."""
    if image.layers:
        steps = rootfs.image_steps(worker.agent.store.layers, image.layers, *files, wanted)
    else:
        around = surroundings(worker, image)
        steps = rootfs.steps(worker.agent.host, *files, wanted, bool(image.target), *around)
    folder = container.get("workingDir") or image.workdir
    return [*steps, {"do": "point", "path": folder}] if folder else steps


def surroundings(worker: PodWorker, image: images.Image) -> tuple[list[Tree], list[str], list[str]]:
    """What an image that stands for a program has beside the host's: steps, and roots over and under the host's."""
    agent = worker.agent
    if image.base in images.APPLETS:
        return [], *agent.applets
    if image.base in images.KUBECTL:
        bind = {"do": "bind", "path": "/usr/local/bin/kubectl", "source": agent.kubectl, "readOnly": True}
        link = {"do": "link", "path": "/usr/bin/kubectl", "to": "/usr/local/bin/kubectl"}
        return [bind, link], [], []
    if image.base == "python":
        return (
            [
                {
                    "do": "link",
                    "path": "/usr/local/bin/python",
                    "to": shutil.which("python3", path=environment.PATH) or "",
                }
            ],
            [],
            [],
        )
    if image.program in envoy.KINDS:
        known = envoy.KINDS[image.program]
        bind = {"do": "bind", "path": known.at, "source": envoy.program(), "readOnly": True}
        return [bind, *rootfs.program_steps(known, "")], [], []
    program = packages.program_of(image.program) if image.program else None
    if program is None:
        return [], [], []
    fetched = agent.fetched.root(program.program)
    return rootfs.program_steps(program, fetched), [fetched] if fetched else [], []


def identity(worker: PodWorker, context: Tree, image: images.Image) -> accounts.Account:
    """Who the container runs as: the pod's word, else the image's, by the container's own passwd and group."""
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot"):  # kubelet verifyRunAsNonRoot
        if user is None and image.user and not accounts.is_numeric(image.user):
            who = image.user.partition(":")[0]
            raise VolumeError(
                f"container has runAsNonRoot and image has non-numeric user ({who}), cannot verify user is non-root"
            )
        if user == 0:
            raise VolumeError("container's runAsUser breaks non-root policy")
        if user is None and int(image.user.partition(":")[0] or 0) == 0:
            raise VolumeError("container has runAsNonRoot and image will run as root")
    passwd, groups = worker.agent.host.passwd, worker.agent.host.group
    if image.layers:
        record = {"layers": image.layers}
        passwd = worker.agent.store.read(record, "/etc/passwd")
        groups = worker.agent.store.read(record, "/etc/group")
    try:
        found = accounts.account(image.user if user is None else str(user), passwd, groups)
    except accounts.UserError as e:
        raise VolumeError(str(e)) from None
    if worker.agent.host.one_user:  # no other user is there; root here is nobody's but ours, and no more than who started it
        if user not in (None, 0):
            text = f"runAsUser {user}: this cluster was started without root and has one user id; the container runs as it"
            worker.agent.event(worker.pod, "Warning", "OneUser", text)
        return accounts.Account(0, 0, (), found.home)
    pod = worker.pod["spec"].get("securityContext") or {}
    merged = [] if pod.get("supplementalGroupsPolicy") == "Strict" else list(found.groups)
    merged += pod.get("supplementalGroups") or []
    if pod.get("fsGroup") is not None:
        merged.append(pod["fsGroup"])
    return accounts.Account(
        found.uid, found.gid if group is None else int(group), tuple(dict.fromkeys(merged)), found.home
    )


def exec_plan(worker: PodWorker, name: str, command: list[str], tty: bool) -> Tree:
    """What an exec inherits from its container: identity, environment, folder."""
    with open(os.path.join(worker.folder, f"{name}.json")) as f:
        plan = json.load(f)
    fields = ("uid", "gid", "groups", "capabilities", "privileged", "hostPids", "noNewPrivileges", "seccomp", "cwd", "cgroups")
    kept = {k: plan[k] for k in fields if k in plan}
    env = {**({"TERM": "xterm"} if tty else {}), **plan["env"]}
    return {**kept, "argv": command, "env": env, "tty": tty}


def build_capabilities(context: Tree) -> frozenset[str]:
    """Docker's default set, changed by securityContext.capabilities."""

    wanted = set(DEFAULT_CAPABILITIES)
    change = context.get("capabilities") or {}
    for name in change.get("drop") or ():
        wanted = set() if name == "ALL" else wanted - {name.removeprefix("CAP_")}
    for name in change.get("add") or ():
        wanted |= set(CAPABILITIES) if name == "ALL" else {name.removeprefix("CAP_")}
    return frozenset(wanted)
