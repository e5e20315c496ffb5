"""Conditions, what a status says before a controller has spoken, and the status that all routes have."""

from __future__ import annotations

from seaway.api.gateway.names import CONTROLLER_NAME, SUBDOMAIN_PATTERN
from seaway.api.gateway.references import PARENT
from seaway.api.gateway.schema import Tree, choice, defaulted, keyed, listing, record, text, told, whole

# meta/v1 Condition
CONDITION = record(
    {
        "type!": text(None, 316, rf"^({SUBDOMAIN_PATTERN}/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"),
        "status!": choice("True", "False", "Unknown"),
        "observedGeneration": whole(0, None, "int64"),
        "lastTransitionTime!": text(form="date-time"),
        "reason!": text(1, 1024, "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
        "message!": text(None, 32768),
    }
)


def conditions(least: int | None = None) -> Tree:
    return keyed(CONDITION, ["type"], least, 8)


def waiting(fields: dict[str, Tree], *types: str) -> Tree:
    """A status whose conditions are unknown until a controller writes them."""
    first = [
        {
            "type": t,
            "status": "Unknown",
            "reason": "Pending",
            "message": "Waiting for controller",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
        for t in types
    ]
    status = record({"conditions": defaulted(conditions(), first), **fields})
    return defaulted(status, {"conditions": first})


def _verdict(name: str, whom: Tree) -> Tree:
    return record({f"{name}!": whom, "controllerName!": CONTROLLER_NAME, "conditions!": conditions(1)})


ROUTE_STATUS = record(
    {"parents!": told(listing(_verdict("parentRef", PARENT), None, 32), "What each controller says, for each parent.")}
)
POLICY_STATUS = record({"ancestors!": listing(_verdict("ancestorRef", PARENT), None, 16)})
