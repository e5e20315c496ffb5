"""Where the objects of each fleet lie: no two fleets in one place, and none moves because another comes.

`<gateway>-<class>` is what GEP-1762 says, and two Gateways of one namespace may meet in it (`a` of class `b-c`, `a-b` of class
`c`). Whose objects are there already keeps the name, also when the controller begins anew; the other one's has a hash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from seaway.api.tree import Key, Tree
from seaway.gateway.infrastructure.values import FLEET, INSTANCE, MANAGED, place
from seaway.routing.fleets import FleetSpec
from seaway.routing.ir import Fleet


class Places:
    """`own`: the namespace of the controller; `owner`: the uid of the object that owns what lies at a place, "" for none."""

    def __init__(self, own: str, owner: Callable[[Key], str]) -> None:
        self._own, self._owner = own, owner
        self._at: dict[Fleet, tuple[str, Key]] = {}  # with the class that it is named after
        self._holders: dict[Key, Fleet] = {}
        self._left: dict[Key, Fleet] = {}  # where objects are until they are removed

    def want(self, specs: Mapping[Fleet, FleetSpec | None], all_specs: Mapping[Fleet, FleetSpec]) -> None:
        """These changed; `all_specs`: all that are wanted now. Whoever leaves a place has it until `swept`."""
        for fleet, spec in specs.items():
            at = self._at.get(fleet)
            if at is not None and (spec is None or spec.class_name != at[0]):
                del self._at[fleet], self._holders[at[1]]
                self._left[at[1]] = fleet
        for fleet, spec in specs.items():
            if spec is not None and fleet not in self._at:
                key = self._choose(fleet, spec, all_specs)
                self._at[fleet], self._holders[key] = (spec.class_name, key), fleet
                self._left.pop(key, None)

    def _choose(self, fleet: Fleet, spec: FleetSpec, all_specs: Mapping[Fleet, FleetSpec]) -> Key:
        plain, apart = (Key(*place(fleet, spec.class_name, self._own, apart=apart)) for apart in (False, True))
        holder = self.fleet(plain) or self._left.get(plain, fleet)
        owner = self._owner(plain)
        others = {other.owner_uid for other in all_specs.values() if other.fleet != fleet}
        kept = bool(spec.owner_uid) and self._owner(apart) == spec.owner_uid
        return apart if holder != fleet or kept or (owner and owner in others) else plain

    def of(self, fleet: Fleet) -> Key | None:
        at = self._at.get(fleet)
        return at[1] if at is not None else None

    def fleet(self, at: Key) -> Fleet | None:
        """Whose objects are to be there."""
        return self._holders.get(at)

    def left(self, fleet: Fleet) -> list[Key]:
        """Where a fleet has been, and what it had is still to be removed."""
        return [key for key, of in self._left.items() if of == fleet]

    def swept(self, at: Key) -> None:
        self._left.pop(at, None)

    def orphan(self, tree: Tree, kinds: frozenset[str]) -> Key | None:
        """The place that this object shows to be nobody's, though this controller made it: its Gateway or IngressClass went to
        another while no controller was at work. `kinds`: those of which all that there are is known."""
        meta = tree["metadata"]
        labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
        if labels.get(MANAGED[0]) != MANAGED[1] or FLEET not in labels or notes.get(INSTANCE) != self._own:
            return None
        owners = {owner["kind"] for owner in meta.get("ownerReferences") or ()} or {"IngressClass"}
        at = Key(meta["namespace"], labels[FLEET])
        return at if owners <= kinds and self.fleet(at) is None and at not in self._left else None
