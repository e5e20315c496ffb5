"""ClusterRoles that are made of others: the rules of all roles that their selectors choose
(pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from typing import Any

from seaway.api.selectors import label_selector
from seaway.api.tree import Key, labels
from seaway.client.reconcile import Reconciler
from seaway.client.reflector import Change
from seaway.client.rest import kind_of
from seaway.controllers.run import Caches
from seaway.controllers.writes import Patch, apply

Tree = dict[str, Any]
RESOURCE = "clusterroles.rbac.authorization.k8s.io"


def rules(role: Tree, roles: list[Tree]) -> list[Tree] | None:
    """The rules of an aggregated role, each once, in the order of selectors and names; None where it is none."""
    wanted = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
    if role.get("aggregationRule") is None:
        return None
    found: list[Tree] = []
    for tree in wanted or ():
        selector = label_selector(tree)
        for other in sorted(roles, key=lambda r: str(r["metadata"]["name"])):
            if other["metadata"]["name"] == role["metadata"]["name"]:
                continue
            if selector is not None and selector.matches(labels(other)):
                found += [r for r in other.get("rules") or () if r not in found]
    return found


def plan(role: Tree, roles: list[Tree]) -> Patch | None:
    wanted = rules(role, roles)
    if wanted is None or wanted == (role.get("rules") or []):
        return None
    return Patch(kind_of(RESOURCE), "", role["metadata"]["name"], {"rules": wanted})


class AggregationController:
    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._roles = caches.of(RESOURCE)
        self.queue: Reconciler[Key] = Reconciler("clusterrole-aggregation", self._reconcile)
        self._roles.listen(self._role_changed)

    def _role_changed(self, change: Change) -> None:
        if change.new is not None:
            self.queue.add(change.key)
        for role in self._roles.all():
            if role.get("aggregationRule") is not None:
                self.queue.add(Key("", role["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        role = self._roles.get(*key)
        write = plan(role, self._roles.all()) if role is not None else None
        if write is not None:
            await apply(self._caches.api, write)
        return None
