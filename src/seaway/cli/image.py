"""`seaway image`: loads image archives into a running cluster, shows and removes them, as `kind load` and `docker images` do."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from typing import Any

from seaway.api import quantities
from seaway.client import kubeconfig
from seaway.client.errors import ApiStatusError, Unavailable
from seaway.client.rest import Rest, kind_of
from seaway.cluster import place
from seaway.cluster.node import images, packages, references
from seaway.cluster.node.debian import Fetched, FetchError, cache
from seaway.cluster.node.layers import Refused
from seaway.cluster.node.store import Store
from seaway.cluster.place import Place

Tree = dict[str, Any]


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "seaway image", description="Images of a cluster, for all of its nodes: `docker save` files and OCI layouts."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    load = commands.add_parser("load", help="take the images of an archive (tar, tar.gz, folder, or - for stdin)")
    load.add_argument("archives", nargs="+", metavar="FILE")
    load.add_argument("--tag", default="", metavar="NAME", help="the image's name, instead of the archive's own")
    load.add_argument(
        "--limit", default="16Gi", metavar="SIZE", help="refuse what unpacks to more (default %(default)s)"
    )
    pull = commands.add_parser("pull", help="fetch the program that an image stands for, for all clusters of this user")
    pull.add_argument("images", nargs="+", metavar="IMAGE")
    shown = commands.add_parser("list", help="what is loaded")
    shown.add_argument("-o", dest="output", choices=("table", "json"), default="table")
    remove = commands.add_parser("rm", help="take a name away; an image goes with its last one")
    remove.add_argument("images", nargs="+", metavar="IMAGE", help="a name or an ID")
    remove.add_argument("--force", action="store_true", help="even where pods run it")
    for command in (load, shown, remove):
        command.add_argument("--name", default="seaway", help="the cluster's name")
    return parser


def shown_size(size: float) -> str:
    """Three digits and a unit, as `docker images` has it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}GB"


def rows(records: tuple[Tree, ...], now: float) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [("REPOSITORY", "TAG", "IMAGE ID", "LOADED", "SIZE")]
    for image in records:
        short = image["id"].removeprefix("sha256:")[:12]
        minutes = int(now - image["loaded"]) // 60
        age = f"{minutes // 1440}d" if minutes >= 1440 else f"{minutes // 60}h" if minutes >= 60 else f"{minutes}m"
        for name in image["names"] or ["<none>"]:
            if name == "<none>":
                found.append((name, name, short, age, shown_size(image["size"])))
                continue
            reference = references.parse(name)
            found.append((reference.repository, reference.tag, short, age, shown_size(image["size"])))
    return found


async def users(where: Place, records: list[Tree]) -> list[str]:
    """Pods of the cluster that run one of these images."""
    names = {n for i in records for n in (*i["names"], *i["digests"])}
    found = []
    async with Rest(kubeconfig.from_file(where.kubeconfig), "seaway-image") as api:
        for pod in (await api.list(kind_of("pods")))["items"]:
            if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                continue
            for container in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]:
                try:
                    wanted = set(references.spellings(container["image"]))
                except ValueError:
                    wanted = set()
                if wanted & names:
                    found.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
    return sorted(set(found))


def load(store: Store, path: str, tag: str, limit: int) -> int:
    folder = ""
    try:
        if path == "-":
            folder = tempfile.mkdtemp(prefix="seaway-image-")
            path = os.path.join(folder, "stdin")
            with open(path, "wb") as f:
                shutil.copyfileobj(sys.stdin.buffer, f)
        for image in store.load(path, tag, limit):
            for name in image["names"]:
                print(f"Loaded image: {name}")
            if not image["names"]:
                print(f"Loaded image ID: {image['id']} (the archive gives it no name; load it with --tag NAME)")
        return 0
    except Refused as e:
        print(f"seaway image load: {path}: {e}; nothing of it was taken", file=sys.stderr)
    except OSError as e:
        hint = ""
        if e.errno == 28:
            hint = f"; the images lie in {store.folder}: `seaway up --data DIR` puts them on a disk of your choice"
        print(f"seaway image load: {e.filename or path}: {e.strerror or e}{hint}", file=sys.stderr)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    return 1


def remove(where: Place, store: Store, text: str, force: bool) -> int:
    image = store.find(text)
    if image is None:
        print(f"seaway image rm: no image {text!r} is loaded; `seaway image list` shows what is", file=sys.stderr)
        return 1
    try:
        pods = [] if force else asyncio.run(users(where, [image]))
    except (ApiStatusError, Unavailable, OSError) as e:
        print(f"seaway image rm: whether pods run it cannot be seen: {e}; --force removes it", file=sys.stderr)
        return 1
    if pods:
        print(
            f"seaway image rm: {text} is used by {', '.join(pods[:5])}; delete them first, or --force", file=sys.stderr
        )
        return 1
    for name in store.remove(text):
        print(f"Removed: {name}")
    return 0


def pull(text: str) -> int:
    """Fetches on this side what a node would ask for."""
    program = packages.program_of(images.normalize(text))
    if program is None:
        known = ", ".join(sorted(packages.PROGRAMS))
        print(f"seaway image pull: no program is fetched for {text!r} (there are: {known})", file=sys.stderr)
        return 1
    try:
        taken = Fetched(cache()).fetch(program)
    except FetchError as e:
        names = " ".join(program.packages)
        print(f"seaway image pull: {text}: {e}; or install it: apt-get install {names}", file=sys.stderr)
        return 1
    print(f"{text}: {program.program} is there, out of {', '.join(taken)}")
    return 0


def main(argv: list[str]) -> int:
    args = options().parse_args(argv)
    if args.command == "pull":
        return max(pull(text) for text in args.images)
    where = place.of(args.name)
    state = where.state()
    if not place.is_alive(state):
        print(f"seaway image: no cluster named {args.name} is up; `seaway up` starts one", file=sys.stderr)
        return 1
    store = Store(state["images"])
    if args.command == "load":
        try:
            limit = int(quantities.parse(args.limit))
        except ValueError:
            limit = 0
        if limit < 1:
            print(f"seaway image load: --limit {args.limit}: must be a size, for example 20Gi", file=sys.stderr)
            return 2
        return max(load(store, path, args.tag, limit) for path in args.archives)
    if args.command == "rm":
        return max(remove(where, store, text, args.force) for text in args.images)
    if args.output == "json":
        print(json.dumps({"images": store.images()}, indent=2))
        return 0
    table = rows(store.images(), time.time())
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    for row in table:
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0
