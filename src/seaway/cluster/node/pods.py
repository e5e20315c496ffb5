"""One pod on its node: a worker that makes the shim, the network, the volumes and the containers be as the pod says, probes
them, and tells the API server. Level-triggered: each turn looks at what is there; `lifecycle` decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import json
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

from seaway.api.tree import Key, get, key_of, seconds, stamp
from seaway.cluster.fabric import build
from seaway.cluster.fabric.rtnetlink import Batch
from seaway.cluster.layout import pod_mac
from seaway.cluster.node import environment, images, lifecycle, probes, rootfs, volumes
from seaway.cluster.node.lifecycle import Container, Start, Waiting
from seaway.cluster.node.shims import Shim, ShimError, ShimGone, spawn
from seaway.cluster.node.volumes import VolumeError

if TYPE_CHECKING:
    from seaway.cluster.node.agent import Agent

Tree = dict[str, Any]
MOUNT_RETRY = 1.0
IMAGE_RETRY = 10.0
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


class PodWorker:
    def __init__(self, agent: Agent, pod: Tree) -> None:
        self.agent, self.pod = agent, pod
        self.uid: str = pod["metadata"]["uid"]
        self.folder = os.path.join(agent.folder, "pods", self.uid)
        self.shim: Shim | None = None
        self.addresses: list[str] = []
        self.states: dict[str, Container] = {}
        self.waiting: dict[str, tuple[str, str]] = {}
        self.ready: dict[str, bool] = {}
        self.started: dict[str, bool] = {}
        self.probing: dict[str, list[asyncio.Task[None]]] = {}
        self.last: dict[str, Tree] = {
            c["name"]: c.get("lastState") or {} for c in get(pod, "status", "containerStatuses") or ()
        }
        self.backed_off: dict[str, int] = {}
        self.told: Tree | None = None
        self.wake = asyncio.Event()
        self.wake.set()
        self.killing = False
        self.unmounted = ""
        self.mounted_at = 0.0
        self.token_due = 0.0
        self.task = asyncio.ensure_future(self._run())

    @property
    def key(self) -> Key:
        return key_of(self.pod)

    @property
    def host_network(self) -> bool:
        return bool(self.pod["spec"].get("hostNetwork"))

    def update(self, pod: Tree) -> None:
        self.pod = pod
        self.wake.set()

    # the loop

    async def _run(self) -> None:
        while True:
            self.wake.clear()
            later: float | None
            try:
                later = await self._turn()
            except ShimGone:
                later = 0.0
            except (ShimError, OSError, VolumeError) as e:
                self.agent.event(self.pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {e}")
                later = MOUNT_RETRY
            if later is None and self._ended():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), later)

    def _ended(self) -> bool:
        return self.uid not in self.agent.workers or self.agent.workers[self.uid] is not self

    async def _turn(self) -> float | None:
        """One look at everything; seconds until the next is due, None: when something happens."""
        if get(self.pod, "metadata", "deletionTimestamp"):
            await self._terminate()
            return None
        phase = get(self.pod, "status", "phase")
        if phase in ("Succeeded", "Failed") and not self.shim:
            return None
        if self.shim is None:
            await self._sandbox()
        mounted = await self._mount()
        if not mounted:
            await self._report()
            return MOUNT_RETRY
        now = time.time()
        later = self._refresh_due(now)
        for step in lifecycle.decide(self.pod, self.states, self.started, now):
            if isinstance(step, Start):
                again = await self._start(step)
                later = min(later, again) if again is not None else later
            else:
                self._wait(step)
                later = min(later, max(step.until - now, 0.0))
        await self._report()
        if lifecycle.phase(self.pod, self.states) in ("Succeeded", "Failed"):
            await self._stop_sandbox()
            return None
        return later if later < 3600 else None

    def _refresh_due(self, now: float) -> float:
        return max(self.token_due - now, 0.0) if self.token_due else 3600.0

    # sandbox and network

    async def _sandbox(self) -> None:
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, "shim.sock")
        meta, spec = self.pod["metadata"], self.pod["spec"]
        if not await self._adopt(path):
            for container in spec.get("initContainers") or ():  # a new sandbox is initialized anew
                self.states.pop(container["name"], None)
            hostname = (
                os.uname().nodename if self.host_network else spec.get("hostname") or meta["name"][:63].rstrip("-.")
            )
            if self.host_network:
                hostname = self.agent.name
            args = {
                "folder": self.folder,
                "uid": self.uid,
                "namespace": meta["namespace"],
                "name": meta["name"],
                "hostNetwork": self.host_network,
                "hostname": hostname,
            }
            await spawn(
                self.agent.zygote,
                {
                    "name": "shim",
                    "target": "seaway.cluster.node.shim:main",
                    "netns": self.agent.netns,
                    "fds": [],
                    "args": args,
                    "log": os.path.join(self.folder, "shim.log"),
                },
            )
            self.shim = await Shim.connect(path, self._on_event, self._on_end)
        assert self.shim
        state = (await self.shim.ask("state"))["state"]
        if self.host_network:
            self.addresses = [str(a) for a in self.agent.layout.addresses]
        elif state["addresses"]:
            self.addresses = state["addresses"]
            self.agent.addresses.take(self.uid, self.addresses)
        else:
            await self._network()
        self._read_state(state)

    async def _adopt(self, path: str) -> bool:
        """Takes a living shim over, from before this agent began."""
        if not os.path.exists(path):
            return False
        try:
            self.shim = await Shim.connect(path, self._on_event, self._on_end, within=0.0)
        except ShimError:
            return False
        for status in [
            *(get(self.pod, "status", "containerStatuses") or ()),
            *(get(self.pod, "status", "initContainerStatuses") or ()),
        ]:
            self.ready[status["name"]] = bool(status.get("ready"))
            self.started[status["name"]] = bool(status.get("started"))
        return True

    async def _network(self) -> None:
        """The pod's leg: a veth into the shim's namespace, its host routes here, its gateway there."""
        assert self.shim
        state = (await self.shim.ask("state"))["state"]
        assert not state["addresses"]
        pid = await self._shim_pid()
        addresses = self.agent.addresses.give(self.uid)
        parsed = tuple(ipaddress.ip_address(a) for a in addresses)
        near = self.interface()
        mac_near, mac_far = pod_mac(parsed[0], 1), pod_mac(parsed[0], 2)
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            batch = Batch()
            batch.remove_link(near)
            batch.veth(near, mac_near, "eth0", mac_far, fd)
            batch.commit()
        finally:
            os.close(fd)
        await self.shim.ask("network", addresses=addresses, mac=mac_near)
        build.near_end(near, parsed, mac_far)
        self.addresses = addresses

    def interface(self) -> str:
        return "p" + hashlib.sha256(self.uid.encode()).hexdigest()[:13]

    async def _shim_pid(self) -> int:
        import socket
        import struct

        assert self.shim
        raw = self.shim._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[0])

    def _read_state(self, state: Tree) -> None:
        for name, entry in state["containers"].items():
            self._know(name, entry)
        for container in [*self.pod["spec"]["containers"], *(self.pod["spec"].get("initContainers") or ())]:
            known = self.states.get(container["name"])
            if known and known.status == "running" and container["name"] not in self.probing:
                self._probe(container, fresh=False)

    def _know(self, name: str, entry: Tree) -> None:
        fields = {
            k: entry[k]
            for k in ("status", "id", "attempt", "started", "code", "signal", "finished", "reason", "message")
            if k in entry
        }
        self.states[name] = Container(**fields)

    def _on_event(self, message: Tree) -> None:
        if message.get("event") == "exit":
            asyncio.ensure_future(self._exited(message["container"]))

    async def _exited(self, name: str) -> None:
        self._stop_probes(name)
        self.ready[name] = self.started[name] = False
        if self.shim and self.shim.alive:
            with contextlib.suppress(ShimError):
                self._know(name, (await self.shim.ask("state"))["state"]["containers"][name])
        self.wake.set()

    def _on_end(self) -> None:
        """The shim died and its containers with it: the sandbox is made anew, the containers count as killed."""
        now = time.time()
        self.shim = None
        for name, state in self.states.items():
            if state.status == "running":
                self.states[name] = Container(
                    "exited",
                    state.id,
                    state.attempt,
                    state.started,
                    137,
                    9,
                    now,
                    "ContainerStatusUnknown",
                    "The container could not be located when the pod was terminated",
                )
            self._stop_probes(name)
            self.ready[name] = False
        self.agent.addresses.free(self.uid)
        self.addresses = []
        if not self.killing:
            self.agent.event(
                self.pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."
            )
        self.wake.set()

    # volumes

    async def _mount(self) -> bool:
        """Every volume as it shall be; False while one cannot be."""
        try:
            for volume in self.pod["spec"].get("volumes") or ():
                await self._volume(volume)
        except (VolumeError, OSError) as e:
            if str(e) != self.unmounted:
                self.unmounted = str(e)
                self.agent.event(self.pod, "Warning", "FailedMount", f"MountVolume.SetUp failed for volume: {e}")
            return bool(self.states)  # what runs goes on with what it has
        self.unmounted = ""
        return True

    def volume_folder(self, name: str) -> str:
        return os.path.join(self.folder, "volumes", name)

    async def _volume(self, volume: Tree) -> None:
        name = volume["name"]
        folder = self.volume_folder(name)
        group = get(self.pod, "spec", "securityContext", "fsGroup")
        if any(kind in volume for kind in volumes.WRITTEN):
            namespace = self.pod["metadata"]["namespace"]
            await self.agent.objects.need(self.uid, namespace, volumes_needed(volume))
            files, tokens = volumes.content(
                self.pod_with_addresses(),
                volume,
                lambda resource, n: self.agent.objects.get(resource, namespace, n),
                self.agent.allocatable,
            )
            for token in tokens:
                text, due = await self.agent.tokens.get(self.pod, token.audience, token.seconds)
                files[token.path] = (text.encode(), token.mode)
                self.token_due = min(self.token_due or due, due) if self.token_due > time.time() else due
            volumes.write(folder, files, group)
        elif "emptyDir" in volume:
            if not os.path.isdir(folder):
                os.makedirs(folder)
                os.chmod(folder, 0o777 if group is None else 0o2777)
                if group is not None:
                    volumes._own(folder, group)
        elif "hostPath" in volume:
            volumes.host_path(self.agent.host_folder, volume["hostPath"])
        else:
            raise VolumeError(
                f"volume {name}: the volume type {next((k for k in volume if k != 'name'), '')} is not supported here"
            )

    def pod_with_addresses(self) -> Tree:
        """The pod as the downward API sees it now: with the addresses it has just been given."""
        status = {
            **(self.pod.get("status") or {}),
            "hostIP": str(self.agent.layout.addresses[0]),
            "hostIPs": [{"ip": str(a)} for a in self.agent.layout.addresses],
        }
        if self.addresses:
            status.update(podIP=self.addresses[0], podIPs=[{"ip": a} for a in self.addresses])
        return {**self.pod, "status": status}

    # containers

    def container(self, name: str) -> Tree:
        every = [*self.pod["spec"]["containers"], *(self.pod["spec"].get("initContainers") or ())]
        found: Tree = next(c for c in every if c["name"] == name)
        return found

    def _wait(self, step: Waiting) -> None:
        self.waiting[step.name] = (step.reason, step.message)
        state = self.states[step.name]
        if self.backed_off.get(step.name) != state.attempt:
            self.backed_off[step.name] = state.attempt
            self.agent.event(
                self.pod,
                "Warning",
                "BackOff",
                f"Back-off restarting failed container {step.name} in pod "
                f"{self.key.name}_{self.key.namespace}({self.uid})",
                f"spec.containers{{{step.name}}}",
            )

    async def _start(self, step: Start) -> float | None:
        """Starts a container; seconds until the next try where it cannot be yet."""
        container = self.container(step.name)
        path = f"spec.containers{{{step.name}}}"
        resolved = images.resolve(container["image"], self.agent.images, self.agent.has_program)
        if isinstance(resolved, images.Missing):
            first = self.waiting.get(step.name, ("",))[0] not in ("ErrImagePull", "ImagePullBackOff")
            if first:
                self.agent.event(
                    self.pod, "Warning", "Failed", f'Failed to pull image "{container["image"]}": {resolved.text}', path
                )
                self.agent.event(self.pod, "Warning", "Failed", "Error: ErrImagePull", path)
            self.waiting[step.name] = ("ErrImagePull" if first else "ImagePullBackOff", resolved.text)
            return IMAGE_RETRY
        previous = self.states.get(step.name)
        if previous is not None and previous.status == "exited":
            self.last[step.name] = {"terminated": lifecycle._terminated(previous)}
        elif previous is None and step.attempt == 0:
            self.agent.event(self.pod, "Normal", "Pulled", resolved.note, path)
        namespace = self.pod["metadata"]["namespace"]
        try:
            await self.agent.objects.need(self.uid, namespace, environment.needed(container))
            env = environment.build(
                self.pod_with_addresses(),
                container,
                self.agent.services_of(namespace),
                lambda resource, n: self.agent.objects.get(resource, namespace, n),
                self.agent.allocatable,
            )
            plan = self._plan(container, resolved, env, step.attempt)
        except VolumeError as e:
            if self.waiting.get(step.name) != ("CreateContainerConfigError", str(e)):
                self.agent.event(self.pod, "Warning", "Failed", f"Error: {e}", path)
            self.waiting[step.name] = ("CreateContainerConfigError", str(e))
            return MOUNT_RETRY
        assert self.shim
        plan_path = os.path.join(self.folder, f"{step.name}.json")
        with open(plan_path, "w") as f:
            json.dump(plan, f)
        self.waiting.pop(step.name, None)
        try:
            await self.shim.ask("start", plan=plan_path)
        except ShimGone:
            raise
        except ShimError as e:
            self.agent.event(self.pod, "Warning", "Failed", f"Error: {e}", path)
        else:
            self.agent.event(self.pod, "Normal", "Created", f"Container created: {step.name}", path)
            self.agent.event(self.pod, "Normal", "Started", f"Container started: {step.name}", path)
        self._know(step.name, (await self.shim.ask("state"))["state"]["containers"][step.name])
        if self.states[step.name].status == "running":
            self._probe(container, fresh=True)
            hook = get(container, "lifecycle", "postStart")
            if hook:
                asyncio.ensure_future(self._hook(container, hook, 60.0, "FailedPostStartHook"))
        self.wake.set()
        return None

    def _plan(self, container: Tree, image: images.Image, env: dict[str, str], attempt: int) -> Tree:
        spec, meta = self.pod["spec"], self.pod["metadata"]
        name = container["name"]
        context = {
            **{k: v for k, v in (spec.get("securityContext") or {}).items()},
            **(container.get("securityContext") or {}),
        }
        privileged = bool(context.get("privileged"))
        argv = [environment.expand(a, env) for a in container.get("command") or image.entrypoint]
        argv += [
            environment.expand(a, env)
            for a in container.get("args") or (() if container.get("command") else image.command)
        ]
        if not argv:
            raise VolumeError(f"no command specified for image {container['image']}")
        target = image.target
        if target and container.get("command") and not image.name.startswith(images.OWN):
            target = ""  # the pod brings its own command: the machine's programs run it
        mounts = self._mounts(container)
        hostname = self.agent.name if self.host_network else spec.get("hostname") or meta["name"][:63].rstrip("-.")
        subdomain = (
            f"{hostname}.{spec['subdomain']}.{meta['namespace']}.svc.cluster.local" if spec.get("subdomain") else ""
        )
        hosts = rootfs.hosts_file(
            hostname, subdomain, self.addresses, list(spec.get("hostAliases") or ()), self.host_network
        )
        resolv = rootfs.resolv_conf(self.pod, self.agent.nameservers)
        capabilities = set(build_capabilities(context))
        uid = context.get("runAsUser", 0)
        groups = [*(spec.get("securityContext") or {}).get("supplementalGroups", [])]
        if get(spec, "securityContext", "fsGroup") is not None:
            groups.append(spec["securityContext"]["fsGroup"])
        if context.get("runAsNonRoot") and not uid:
            raise VolumeError("container has runAsNonRoot and image will run as root")
        return {
            "name": name,
            "id": hashlib.sha256(f"{self.uid}/{name}/{attempt}/{time.time()}".encode()).hexdigest(),
            "attempt": attempt,
            "image": container["image"],
            "argv": argv,
            "env": env,
            "cwd": container.get("workingDir") or "/",
            "target": target,
            "uid": uid,
            "gid": context.get("runAsGroup", 0),
            "groups": groups,
            "capabilities": sorted(capabilities),
            "privileged": privileged,
            "noNewPrivileges": True,
            "readOnlyRoot": bool(context.get("readOnlyRootFilesystem")),
            "root": os.path.join(self.folder, "roots", name),
            "log": self.log_path(name, attempt),
            "steps": rootfs.steps(self.agent.host, hosts, resolv, hostname, mounts, bool(image.target)),
        }

    def log_path(self, name: str, attempt: int) -> str:
        return os.path.join(self.folder, "logs", name, f"{attempt}.log")

    def _mounts(self, container: Tree) -> list[Tree]:
        by_name = {v["name"]: v for v in self.pod["spec"].get("volumes") or ()}
        found = []
        for mount in container.get("volumeMounts") or ():
            volume = by_name[mount["name"]]
            if "hostPath" in volume:
                source = volumes.host_path(self.agent.host_folder, volume["hostPath"])
            else:
                source = self.volume_folder(mount["name"])
            if mount.get("subPath"):
                volumes.check_path(mount["subPath"])
                source = os.path.join(source, mount["subPath"])
                if not os.path.exists(source):
                    os.makedirs(source)
            read_only = bool(mount.get("readOnly")) or any(
                k in volume for k in ("configMap", "secret", "downwardAPI", "projected")
            )
            found.append(
                {
                    "path": os.path.normpath(mount["mountPath"]),
                    "source": source,
                    "readOnly": read_only,
                    "file": os.path.isfile(source),
                }
            )
        return found

    # probes and hooks

    def _probe(self, container: Tree, fresh: bool) -> None:
        name = container["name"]
        self._stop_probes(name)
        adopted_ready = None if fresh else self.ready.get(name)
        if fresh:
            self.ready[name] = "readinessProbe" not in container
            self.started[name] = "startupProbe" not in container
        self.probing[name] = [asyncio.ensure_future(self._probes(container, adopted_ready))]

    async def _probes(self, container: Tree, adopted: bool | None) -> None:
        name = container["name"]

        async def execute(command: list[str], timeout: float) -> tuple[int, str]:
            return await self.execute(name, command, timeout)

        def attempted_as(kind: str) -> Any:
            def attempted(ok: bool, why: str) -> None:
                if not ok:
                    self.agent.event(
                        self.pod, "Warning", "Unhealthy", f"{kind} probe failed: {why}", f"spec.containers{{{name}}}"
                    )

            return attempted

        address = self.addresses[0] if self.addresses else ""
        if "startupProbe" in container and not self.started.get(name):
            passed = asyncio.Event()

            def startup(ok: bool, why: str) -> None:
                if ok:
                    self.started[name] = True
                    passed.set()
                    self.wake.set()
                else:
                    self._restart(name, "startup")

            task = asyncio.ensure_future(
                probes.run(
                    container["startupProbe"],
                    container,
                    address,
                    execute,
                    startup,
                    attempted_as("Startup"),
                    None,
                    False,
                )
            )
            self.probing[name].append(task)
            await passed.wait()
            task.cancel()
        if "livenessProbe" in container:

            def liveness(ok: bool, why: str) -> None:
                if not ok:
                    self._restart(name, "liveness")

            self.probing[name].append(
                asyncio.ensure_future(
                    probes.run(
                        container["livenessProbe"],
                        container,
                        address,
                        execute,
                        liveness,
                        attempted_as("Liveness"),
                        None,
                        False,
                    )
                )
            )
        if "readinessProbe" in container:

            def readiness(ok: bool, why: str) -> None:
                if self.ready.get(name) != ok:
                    self.ready[name] = ok
                    self.wake.set()

            self.probing[name].append(
                asyncio.ensure_future(
                    probes.run(
                        container["readinessProbe"],
                        container,
                        address,
                        execute,
                        readiness,
                        attempted_as("Readiness"),
                        adopted,
                        True,
                    )
                )
            )

    def _restart(self, name: str, which: str) -> None:
        self.agent.event(
            self.pod,
            "Normal",
            "Killing",
            f"Container {name} failed {which} probe, will be restarted",
            f"spec.containers{{{name}}}",
        )
        asyncio.ensure_future(self._kill(name, float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))))

    def _stop_probes(self, name: str) -> None:
        for task in self.probing.pop(name, ()):
            task.cancel()

    async def execute(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        """A command inside a container: (exit code, output). The time-out is code 124 and kills nothing else."""
        assert self.shim
        read, write = os.pipe2(os.O_CLOEXEC)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        try:
            done = await self.shim.execute(name, self.exec_plan(name, command, False), [null, write, write])
        except ShimError as e:
            os.close(read)
            return 126, str(e)
        finally:
            os.close(write)
            os.close(null)
        try:
            code = await asyncio.wait_for(done, timeout)
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

    def exec_plan(self, name: str, command: list[str], tty: bool) -> Tree:
        """What an exec inherits from its container: identity, environment, folder."""
        with open(os.path.join(self.folder, f"{name}.json")) as f:
            plan = json.load(f)
        kept = {k: plan[k] for k in ("uid", "gid", "groups", "capabilities", "privileged", "noNewPrivileges", "cwd")}
        env = {**plan["env"], **({"TERM": "xterm"} if tty else {})}
        return {**kept, "argv": command, "env": env, "tty": tty}

    async def _hook(self, container: Tree, hook: Tree, limit: float, failed: str) -> None:
        name = container["name"]
        problem = ""
        if "sleep" in hook:
            await asyncio.sleep(min(float(hook["sleep"]["seconds"]), limit))
        elif "exec" in hook:
            code, output = await self.execute(name, list(hook["exec"]["command"]), limit)
            problem = f"command exited with {code}: {output.strip()}" if code else ""
        elif "httpGet" in hook or "tcpSocket" in hook:
            ok, why = await probes.attempt(
                {**hook, "timeoutSeconds": limit}, container, self.addresses[0] if self.addresses else "", _no_exec
            )
            problem = "" if ok else why
        if problem:
            self.agent.event(
                self.pod,
                "Warning",
                failed,
                f"{failed.removeprefix('Failed')} failed: {problem}",
                f"spec.containers{{{name}}}",
            )

    # the end

    async def _kill(self, name: str, grace: float) -> None:
        """preStop, SIGTERM, the rest of the grace period, SIGKILL: one container."""
        if not self.shim or name not in self.states or self.states[name].status != "running":
            return
        container = self.container(name)
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        hook = get(container, "lifecycle", "preStop")
        if hook and grace > 0:
            await self._hook(container, hook, grace, "FailedPreStopHook")
        with contextlib.suppress(ShimError):
            if grace > 0:
                await self.shim.ask("signal", container=name, signal=int(signal.SIGTERM))
                left = max(end - loop.time(), 2.0 if hook else 0.0)
                while left > 0 and self.shim and self.states[name].status == "running":
                    step = min(left, 0.02)
                    await asyncio.sleep(step)
                    left -= step
            if self.shim and self.states[name].status == "running":
                await self.shim.ask("signal", container=name, signal=int(signal.SIGKILL))

    async def _terminate(self) -> None:
        """The end of a pod; the endpoint controllers see its deletionTimestamp at the same time, not before or after."""
        if self.killing:
            return
        self.killing = True
        asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        path = os.path.join(self.folder, "shim.sock")
        if self.shim is None and os.path.exists(path):
            with contextlib.suppress(ShimError, OSError):
                await self._sandbox()
        deadline = seconds(get(self.pod, "metadata", "deletionTimestamp")) or time.time()
        asked = float(get(self.pod, "metadata", "deletionGracePeriodSeconds") or 0)
        grace = min(max(deadline - time.time(), 0.0) if asked else 0.0, asked)
        spec = self.pod["spec"]
        sidecars = [c["name"] for c in spec.get("initContainers") or () if lifecycle.is_sidecar(c)]
        regular = [c["name"] for c in spec["containers"]] + [
            c["name"] for c in spec.get("initContainers") or () if c["name"] not in sidecars
        ]
        for name in regular + sidecars:
            if name in self.states and self.states[name].status == "running":
                self.agent.event(
                    self.pod, "Normal", "Killing", f"Stopping container {name}", f"spec.containers{{{name}}}"
                )
                self._stop_probes_but_readiness(name)
        began = time.time()
        await asyncio.gather(*(self._kill(n, grace) for n in regular))
        for name in reversed(sidecars):  # sidecars last, in reverse order
            await self._kill(name, max(grace - (time.time() - began), 1.0 if grace else 0.0))
        for _ in range(250):
            if not self.shim or not any(s.status == "running" for s in self.states.values()):
                break
            await asyncio.sleep(0.02)
        for name in list(self.probing):
            self._stop_probes(name)
        with contextlib.suppress(Exception):
            await self._report(final=True)
        await self._stop_sandbox()
        await self.agent.gone(self)

    def _stop_probes_but_readiness(self, name: str) -> None:
        # Liveness must not kill what is being stopped; readiness goes on, as the kubelet has it.
        tasks = self.probing.get(name, [])
        for task in tasks:
            if "livenessProbe" in self.container(name) and len(tasks) > 1 and task is tasks[1]:
                task.cancel()

    async def _stop_sandbox(self) -> None:
        if self.shim:
            shim, self.shim = self.shim, None
            with contextlib.suppress(ShimError, TimeoutError):
                await shim.ask("stop")
            shim.close()
        if not self.host_network:
            batch = Batch()
            batch.remove_link(self.interface())
            batch.commit()
            self.agent.addresses.free(self.uid)

    async def discard(self) -> None:
        """A pod that the API server no longer knows: its processes go at once."""
        self.killing = True
        path = os.path.join(self.folder, "shim.sock")
        if self.shim is None and os.path.exists(path):
            with contextlib.suppress(ShimError):
                self.shim = await Shim.connect(path, self._on_event, lambda: None, within=0.0)
        for name in list(self.probing):
            self._stop_probes(name)
        await self._stop_sandbox()
        self.task.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)

    # status

    def status(self) -> Tree:
        """The pod's status as it is now."""
        pod, spec, now = self.pod, self.pod["spec"], time.time()
        phase = lifecycle.phase(pod, self.states)
        over = phase if phase in ("Succeeded", "Failed") else ""
        is_initialized = lifecycle.initialized(pod, self.states, self.started)
        found: Tree = {
            "phase": phase,
            "hostIP": str(self.agent.layout.addresses[0]),
            "hostIPs": [{"ip": str(a)} for a in self.agent.layout.addresses],
            "startTime": get(pod, "status", "startTime") or stamp(now),
            "observedGeneration": pod["metadata"].get("generation", 1),
        }
        if self.addresses:
            found.update(podIP=self.addresses[0], podIPs=[{"ip": a} for a in self.addresses])
        elif get(pod, "status", "podIP"):
            found.update(podIP=pod["status"]["podIP"], podIPs=pod["status"].get("podIPs"))
        statuses, unready = [], []
        for container in spec["containers"]:
            statuses.append(self._container_status(container, "" if is_initialized else "PodInitializing"))
            if not statuses[-1]["ready"]:
                unready.append(container["name"])
        found["containerStatuses"] = statuses
        if spec.get("initContainers"):
            found["initContainerStatuses"] = [
                self._container_status(c, "PodInitializing") for c in spec["initContainers"]
            ]
            unready += [
                c["name"]
                for c, s in zip(spec["initContainers"], found["initContainerStatuses"], strict=True)
                if lifecycle.is_sidecar(c) and not s["ready"]
            ]
        found["conditions"] = lifecycle.conditions(
            pod, is_initialized, not unready and not over, unready, self.shim is not None, over, now
        )
        return found

    def _container_status(self, container: Tree, default: str) -> Tree:
        name = container["name"]
        state = self.states.get(name)
        waiting = self.waiting.get(name, ("", ""))
        if state is None and not waiting[0] and default:
            waiting = (default, "")
        if state is not None and state.status == "running":
            waiting = ("", "")
        ready = self.ready.get(name, True) if state is None or state.status == "running" else True
        return lifecycle.container_status(
            container, state, self.last.get(name), ready, self.started.get(name, True), waiting
        )

    async def _report(self, final: bool = False) -> None:
        status = self.status()
        if final:
            status["conditions"] = [
                c if c["type"] not in ("Ready", "ContainersReady") else {**c, "status": "False"}
                for c in status["conditions"]
            ]
        if status == self.told:
            return
        if await self.agent.write_status(self, status):
            self.told = status


def volumes_needed(volume: Tree) -> set[tuple[str, str]]:
    """(resource, name) of the objects a volume shows."""
    found = set()
    if "configMap" in volume:
        found.add(("configmaps", volume["configMap"].get("name", "")))
    if "secret" in volume:
        found.add(("secrets", volume["secret"].get("secretName", "")))
    for source in (volume.get("projected") or {}).get("sources") or ():
        if "configMap" in source:
            found.add(("configmaps", source["configMap"].get("name", "")))
        if "secret" in source:
            found.add(("secrets", source["secret"].get("name", "")))
    return found


def build_capabilities(context: Tree) -> frozenset[str]:
    """Docker's default set, changed by securityContext.capabilities."""
    from seaway.cluster.fabric.linux import CAPABILITIES, DEFAULT_CAPABILITIES

    wanted = set(DEFAULT_CAPABILITIES)
    change = context.get("capabilities") or {}
    for name in change.get("drop") or ():
        wanted = set() if name == "ALL" else wanted - {name.removeprefix("CAP_")}
    for name in change.get("add") or ():
        wanted |= set(CAPABILITIES) if name == "ALL" else {name.removeprefix("CAP_")}
    return frozenset(wanted)


async def _no_exec(command: list[str], timeout: float) -> tuple[int, str]:
    return 126, "exec is not possible here"
