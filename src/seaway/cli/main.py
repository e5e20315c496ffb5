"""`seaway COMMAND`: finds the command's file and runs it. Imports happen there, so that `--help` is quick."""

from __future__ import annotations

import importlib
import sys

from seaway import __version__

# command -> (module with main(argv) -> exit code, what it does)
COMMANDS = {
    "up": ("seaway.cli.up", "start an embedded cluster on this machine"),
    "down": ("seaway.cli.down", "end it"),
    "status": ("seaway.cli.status", "show what runs"),
    "env": ("seaway.cli.env", "print `export KUBECONFIG=...`"),
    "outside": ("seaway.cli.outside", "run a command as a client outside the cluster"),
    "node": ("seaway.cli.node", "shut a node of a cluster down gracefully, and start it again"),
    "image": ("seaway.cli.image", "load, list and remove images of a cluster"),
    "demo": ("seaway.cli.demo", "bring a cluster up and show Services at work"),
    "lab": ("seaway.cli.lab", "run an experiment: a table and a picture"),
    "kube-proxy": ("seaway.proxy.run", "program a node's kernel for Services (any cluster)"),
    "dns": ("seaway.dns.serving.run", "answer cluster DNS names (any cluster)"),
    "gateway": ("seaway.gateway.run", "serve Ingress and Gateway API with Envoy (any cluster)"),
    "controllers": ("seaway.cli.controllers", "keep EndpointSlices and Endpoints (any cluster)"),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: seaway COMMAND [OPTIONS]",
            "",
            "Kubernetes service routing, on this machine or in any cluster.",
            "",
            *rows,
            "",
            "seaway COMMAND --help says more of each.",
        ]
    )


def program(argv: list[str]) -> int:
    """`argv[0]` is the program's name; the exit code comes back."""
    if len(argv) < 2 or argv[1] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if argv[1] in ("-V", "--version", "version"):
        print(f"seaway {__version__}")
        return 0
    if argv[1] not in COMMANDS:
        print(f"seaway: unknown command {argv[1]!r}; `seaway --help` lists them", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[argv[1]][0])
    return int(module.main(argv[2:]) or 0)


def main() -> None:
    try:
        sys.exit(program(sys.argv))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
