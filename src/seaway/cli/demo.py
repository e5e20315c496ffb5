"""`seaway demo`: a cluster, and Services at work on it. Each step prints what it does, the command a user would type for it,
and what came back; a wrong answer ends it with an error. In a terminal the cluster then stays until Ctrl-C."""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from seaway.cli import up
from seaway.cluster import launch, place
from seaway.cluster.config import ConfigError
from seaway.cluster.launch import LaunchError
from seaway.cluster.place import Place

NAME = "demo"
WITHIN = 30.0
REQUESTS = 30


class WrongAnswer(Exception):
    """What came back is not what should have."""


def _color(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if sys.stdout.isatty() else text


class Demo:
    def __init__(self, where: Place, kubectl: str) -> None:
        self.where, self.kubectl_path = where, kubectl
        self.number = 0

    def step(self, text: str) -> None:
        self.number += 1
        print(f"\n{_color('1', f'{self.number}. {text}')}", flush=True)

    def run(self, shown: str, command: list[str], check: Callable[[str], bool] | None = None, lines: int = 8) -> str:
        """Runs a command, shows it as a user would type it, and what came back."""
        print(_color("36", f"   $ {shown}"), flush=True)
        end = time.monotonic() + WITHIN
        while True:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env={**os.environ, "KUBECONFIG": str(self.where.kubeconfig)},
                timeout=60,
            )
            output = (done.stdout + (done.stderr if done.returncode else "")).strip()
            if done.returncode == 0 and (check is None or check(output)):
                break
            if check is None or time.monotonic() > end:
                raise WrongAnswer(f"{shown}\n   came back with {done.returncode}: {output[:500]}")
            time.sleep(0.1)
        shown_lines = output.splitlines()
        for line in shown_lines[:lines]:
            print(f"   {line}")
        if len(shown_lines) > lines > 0:
            print(f"   ... {len(shown_lines) - lines} more lines")
        return output

    def kubectl(self, *args: str, check: Callable[[str], bool] | None = None, lines: int = 8) -> str:
        return self.run(f"kubectl {shlex.join(args)}", [self.kubectl_path, *args], check, lines)

    def from_client(self, url: str) -> str:
        return self.kubectl(
            "exec", "client", "--", "curl", "-sS", "-m", "3", url, check=lambda out: "Hostname:" in out, lines=2
        )

    def answers(self, url: str, count: int) -> collections.Counter[str]:
        """Who answers `count` requests, each on a connection of its own."""
        loop = f"for i in $(seq {count}); do curl -sS -m 3 {url} | sed -n 's/^Hostname: //p'; done"
        output = self.run(
            f'kubectl exec client -- sh -c "{loop}" | sort | uniq -c',
            [self.kubectl_path, "exec", "client", "--", "sh", "-c", loop],
            lines=0,
        )
        found = collections.Counter(output.split())
        for name, times in sorted(found.items()):
            print(f"   {times:4d} {name}")
        if sum(found.values()) != count:
            raise WrongAnswer(f"{count} requests, {sum(found.values())} answers")
        return found


def _load(demo: Demo, stop: threading.Event, results: list[str]) -> None:
    """Requests from the client pod, one after another, until told to stop: what did not come back as 200 is counted."""
    loop = "while read line; do curl -s -o /dev/null -m 3 -w '%{http_code}\\n' http://web; done"
    with subprocess.Popen(
        [demo.kubectl_path, "exec", "-i", "client", "--", "sh", "-c", loop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KUBECONFIG": str(demo.where.kubeconfig)},
    ) as process:
        assert process.stdin and process.stdout
        while not stop.is_set():
            process.stdin.write("go\n")
            process.stdin.flush()
            results.append(process.stdout.readline().strip())
        process.stdin.close()


def play(demo: Demo) -> None:
    manifest = str(resources.files("seaway.deploy").joinpath("demo.yaml"))
    demo.step("Two Deployments behind Services, in two namespaces, and a client pod: ordinary manifests.")
    demo.kubectl("apply", "-f", manifest, lines=12)
    demo.kubectl("rollout", "status", "deployment/web", "--timeout=30s", lines=1)
    demo.kubectl("-n", "backend", "rollout", "status", "deployment/api", "--timeout=30s", lines=1)
    demo.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=30s")
    demo.kubectl("get", "pods", "-A", "-o", "wide", lines=16)

    demo.step("The client calls a Service by its name: http://web.")
    demo.from_client("http://web")
    demo.step("And one of another namespace: http://api.backend.")
    if "api-" not in demo.from_client("http://api.backend"):
        raise WrongAnswer("api.backend was answered by somebody else")

    demo.step("Every pod behind the Service answers.")
    if len(demo.answers("http://web", REQUESTS)) != 2:
        raise WrongAnswer("two pods should have answered")

    demo.step("A client outside the cluster calls the NodePort.")
    address = demo.kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")
    shown = f"[{address}]" if ":" in address else address
    program = str(Path(sys.executable).with_name("seaway"))
    url = f"http://{shown}:30080"
    demo.run(
        f"seaway outside --name {NAME} -- curl -s {url}",
        [program, "outside", "--name", NAME, "--", "curl", "-sS", "-m", "3", url],
        lambda out: "Hostname: web-" in out,
        2,
    )

    demo.step("A scale-up shows in the answers.")
    demo.kubectl("scale", "deployment/web", "--replicas=4")
    demo.kubectl("rollout", "status", "deployment/web", "--timeout=30s", lines=1)
    demo.kubectl(
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=web",
        check=lambda out: len(re.findall(r"\d+\.\d+\.\d+\.\d+|fd00", out)) > 2 or "more" in out,
    )
    if len(demo.answers("http://web", REQUESTS * 2)) != 4:
        raise WrongAnswer("four pods should have answered")

    demo.step(
        "A pod is deleted under load. It ends its requests before it goes (a preStop sleep), so that none is lost."
    )
    victim = demo.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")
    stop, results = threading.Event(), []  # type: ignore[var-annotated]
    loader = threading.Thread(target=_load, args=(demo, stop, results))
    loader.start()
    try:
        time.sleep(0.5)
        demo.kubectl("delete", "pod", victim, "--wait=true")
        demo.kubectl("rollout", "status", "deployment/web", "--timeout=30s", lines=1)
        time.sleep(0.5)
    finally:
        stop.set()
        loader.join(20)
    failed = [r for r in results if r != "200"]
    print(f"   {len(results)} requests meanwhile, {len(failed)} failed")
    if failed or not results:
        raise WrongAnswer(f"requests failed while a pod was replaced: {failed[:5]}")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("seaway demo", description="Bring a cluster up and show Services at work on it.")
    parser.add_argument("--nodes", type=int, default=2, metavar="N", help="number of nodes")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up, also without a terminal")
    args = parser.parse_args(argv)
    kubectl = shutil.which("kubectl") or str(Path(sys.executable).with_name("kubectl"))
    if not os.path.exists(kubectl):
        print("seaway demo: kubectl is missing; `make setup` gets one", file=sys.stderr)
        return 1
    began = time.monotonic()
    try:
        launch.down(place.of(NAME))  # one that an interrupted demo left
        config = up.read_config(up.options().parse_args(["--name", NAME, "--nodes", str(args.nodes)]))
        where = up.start(config, "", [], up.Progress())
    except (ConfigError, LaunchError) as e:
        print(f"seaway demo: {e}", file=sys.stderr)
        return 1
    try:
        play(Demo(where, kubectl))
    except (WrongAnswer, subprocess.SubprocessError) as e:
        print(_color("31", f"\nWRONG: {e}"), file=sys.stderr)
        launch.down(where)
        return 1
    except BaseException:
        launch.down(where)
        raise
    print(_color("32", f"\nAll of it held, in {time.monotonic() - began:.1f} s."), flush=True)
    if args.keep:
        return 0
    if sys.stdin.isatty() and sys.stdout.isatty():
        program = Path(sys.executable).with_name("seaway")
        print(f'\nThe cluster stays up. In another terminal:\n\n  eval "$({program} env --name {NAME})"')
        print("  kubectl get pods -A\n\nCtrl-C ends it.", flush=True)
        up.hold(where)
        return 0
    with contextlib.suppress(LaunchError):
        launch.down(where)
    return 0
