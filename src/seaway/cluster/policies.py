"""An audit policy's file read, where the cluster is started: a wrong one is told before anything begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seaway.cluster.config import ConfigError

Tree = dict[str, Any]


def from_file(path: str) -> Tree:
    """The document of a policy that can be used; ConfigError else."""
    # Few clusters have a policy: the others do not wait for these.
    from seaway.cluster.apiserver import bodies
    from seaway.cluster.apiserver.auditing import policy

    try:
        tree = bodies.parse(Path(path).read_bytes(), bodies.YAML)
        policy.read(tree)
    except (OSError, bodies.Unreadable, policy.PolicyError) as e:
        raise ConfigError(f"audit policy {path}: {e}") from None
    found: Tree = tree
    return found
