"""Objects of one version in the form of another: by relabelling (strategy None), or by whoever is asked (Webhook).

A webhook is asked over the network, while the server reads and writes without giving way. So conversions are prepared
first: `Conversions.prepare` has every object that a request may need converted and remembers the results; from then on
`converted` finds them. With strategy None nothing has to be prepared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from seaway.cluster.apiserver.status import ApiError

if TYPE_CHECKING:
    from seaway.cluster.apiserver.custom.definition import Definition

Tree = dict[str, Any]
WEBHOOK = "Webhook"
REMEMBERED = 20_000
# (spec.conversion.webhook, objects, apiVersion that is wanted, whether they are a list's) -> the objects in that version, in
# their order. Raises ApiError where the webhook cannot be asked or answers wrongly (`webhooks/conversion`).
Convert = Callable[[Tree, list[Tree], str, bool], Awaitable[list[Tree]]]
Key = tuple[str, str, str, str]


def relabelled(tree: Tree, api_version: str) -> Tree:
    """Strategy None: nothing but the apiVersion changes (conversion/nop_converter.go)."""
    return {**tree, "apiVersion": api_version}


class Conversions:
    """What has been converted. `convert` asks a webhook; it is set by whoever knows how."""

    def __init__(self) -> None:
        self.convert: Convert | None = None
        self._known: OrderedDict[Key, Tree] = OrderedDict()

    @staticmethod
    def _key(tree: Tree, definition: Definition, wanted: str) -> Key:
        meta = tree.get("metadata") or {}
        version = meta.get("resourceVersion", "")
        return (definition.mark, meta.get("uid", ""), f"{tree.get('apiVersion')} {version}", wanted)

    def needed(self, tree: Tree, definition: Definition, wanted: str) -> bool:
        """Whether a webhook has to be asked, and has not been yet."""
        if definition.strategy != WEBHOOK or tree.get("apiVersion") == wanted:
            return False
        return self._key(tree, definition, wanted) not in self._known

    async def prepare(self, trees: Iterable[Tree], definition: Definition, wanted: str, is_list: bool = False) -> None:
        """Has what is needed converted, all at once."""
        trees = list(trees)
        missing = [t for t in trees if self.needed(t, definition, wanted)]
        for tree in trees:
            key = self._key(tree, definition, wanted)
            if key in self._known:
                self._known.move_to_end(key)  # what is needed now is the last to be forgotten
        if missing:
            for old, new in zip(missing, await self.ask(missing, definition, wanted, is_list), strict=True):
                self._known[self._key(old, definition, wanted)] = new
            while len(self._known) > max(REMEMBERED, len(trees)):
                self._known.popitem(last=False)

    async def ask(self, trees: list[Tree], definition: Definition, wanted: str, is_list: bool = False) -> list[Tree]:
        """The trees converted now, by the webhook."""
        if self.convert is None:
            why = f"conversion webhook for {definition.group}, Kind={definition.kind_name} failed: webhooks are not called here"
            raise ApiError(500, "InternalError", f"Internal error occurred: {why}")
        webhook = (definition.spec.get("conversion") or {}).get("webhook") or {}
        return await self.convert(webhook, trees, wanted, is_list)

    def converted(self, tree: Tree, definition: Definition, wanted: str) -> Tree:
        """A tree in the version that is wanted; ApiError where it has not been prepared."""
        if tree.get("apiVersion") == wanted:
            return tree
        if definition.strategy != WEBHOOK:
            return relabelled(tree, wanted)
        found = self._known.get(self._key(tree, definition, wanted))
        if found is None:
            # The object changed while its conversion was asked for; a retry finds the next state.
            name = (tree.get("metadata") or {}).get("name", "")
            raise ApiError(500, "InternalError", f"Internal error occurred: {name} has not been converted to {wanted}")
        return found


__all__ = ["WEBHOOK", "Conversions", "Convert", "relabelled"]
