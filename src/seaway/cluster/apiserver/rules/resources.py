"""Resource names and amounts in quotas, limits, nodes and claims (pkg/apis/core/validation, pkg/apis/core/helper); pure."""

from __future__ import annotations

from seaway.api import quantities
from seaway.cluster.apiserver.status import Cause, wrong

COUNTED = frozenset(
    "pods resourcequotas services replicationcontrollers secrets configmaps persistentvolumeclaims services.nodeports "
    "services.loadbalancers".split()
)
STANDARD = COUNTED | frozenset(
    "cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage limits.cpu limits.memory "
    "limits.ephemeral-storage storage requests.storage".split()
)
CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
HUGE = "hugepages-"


def is_extended(name: str) -> bool:
    """A resource of a domain that is not Kubernetes' own."""
    prefix, slash, _ = name.partition("/")
    return bool(slash) and not (prefix == "kubernetes.io" or prefix.endswith(".kubernetes.io"))


def is_overcommitted(name: str) -> bool:
    """Whether a limit may be more than the request."""
    return not is_extended(name) and not name.startswith(HUGE)


def is_whole(name: str) -> bool:
    """Only counted in whole numbers."""
    return name in COUNTED or is_extended(name)


def quantity_causes(resource: str, amount: str, path: str) -> list[Cause]:
    """An amount of a resource: not below nothing, and whole where it is counted."""
    value = quantities.parse(amount)
    if value < 0:
        return [wrong(path, amount, "must be greater than or equal to 0")]
    if is_whole(resource) and value.denominator != 1:
        return [wrong(path, amount, "must be an integer")]
    return []
