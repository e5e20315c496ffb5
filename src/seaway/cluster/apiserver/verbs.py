"""create, update, patch, delete on stored objects: the common path of every kind.

Each write reads the newest state, decides, and queues without giving way to other requests in between, so that it is
atomic; only then does it wait for the fsync.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import bodies, metadata, patches, strategic, zeros
from seaway.cluster.apiserver.admission import Admission
from seaway.cluster.apiserver.authz import User
from seaway.cluster.apiserver.journal import ADDED, DELETED, MODIFIED
from seaway.cluster.apiserver.rules import NO_PART, Rule, rule_for
from seaway.cluster.apiserver.status import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    invalid,
    modified,
    not_found,
)
from seaway.cluster.apiserver.storage import Entry, Storage, StorageError

Tree = dict[str, Any]
ACCOUNT_WAIT = 3.0  # seconds a new namespace's default ServiceAccount is waited for
NO_GENERATION = frozenset(
    {
        "configmaps",
        "secrets",
        "serviceaccounts",
        "events",
        "endpoints",
        "nodes",
        "namespaces",
        "services",
        "limitranges",
        "resourcequotas",
        "leases.coordination.k8s.io",
        "persistentvolumes",
        "persistentvolumeclaims",
    }
)
RETURNS_OBJECT = frozenset({"pods", "services", "serviceaccounts", "podtemplates", "resourcequotas"})


@dataclass(frozen=True, slots=True)
class Edges:
    """Clock and randomness, handed in. `now` in seconds, `suffix(n)` n random characters of a generated name."""

    now: Callable[[], float]
    uid: Callable[[], str]
    suffix: Callable[[int], str]


@dataclass(slots=True)
class Call:
    """A write request: the kind, where, what the query says, who asks; `warnings` leave as headers."""

    kind: Kind
    namespace: str
    name: str
    user: User
    subresource: str = ""
    body: bytes = b""
    content_type: str = ""
    dry_run: bool = False
    field_validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.kind.namespaced else self.name


def without_version(tree: Tree) -> Tree:
    meta = {k: v for k, v in tree["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return {**tree, "metadata": meta}


class Verbs:
    def __init__(self, storage: Storage, admission: Admission, edges: Edges) -> None:
        self.storage, self.admission, self.edges = storage, admission, edges

    # create

    async def create(self, call: Call) -> Tree:
        tree = bodies.check_kind(bodies.decode(call.body, call.content_type), call.kind)
        return await self.create_tree(call, tree)

    async def create_tree(self, call: Call, tree: Tree) -> Tree:
        kind, rule = call.kind, rule_for(call.kind.group_resource)
        tree = bodies.typed(tree, kind, None, call.field_validation, call.warnings)
        meta = tree["metadata"]
        self._place(call, meta)
        if meta.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        for name in metadata.SERVER_FIELDS:
            meta.pop(name, None)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"][: metadata.GENERATE_LIMIT] + self.edges.suffix(5)
        call.name = meta.get("name", "")
        if kind.namespaced:
            self.admission.namespace(kind, call.name, call.namespace)
            if kind.group_resource == "pods":
                await self._wait_for_account(call, tree)
        self._begin(kind, rule, tree)
        causes = metadata.validate(meta, kind)
        if kind.group_resource == "pods":
            self.admission.pod(kind, call.namespace, tree, self.edges.suffix(5))
        if kind.group_resource == "nodes":
            self.admission.node(tree)
        causes += rule.validate(tree) if kind.group_resource != "services" else []
        if causes:
            raise invalid(kind.group, kind.kind, call.name, causes)
        existing = self.storage.newest(kind.group_resource, call.key)
        if existing is not None:
            if meta.get("generateName"):
                meta["name"] = call.name = meta["generateName"][: metadata.GENERATE_LIMIT] + self.edges.suffix(5)
            elif trees.get(existing.tree, "metadata", "deletionTimestamp") and kind.group_resource == "namespaces":
                raise ApiError(
                    409,
                    "AlreadyExists",
                    f'object is being deleted: namespaces "{call.name}" already exists',
                    {"name": call.name, "kind": "namespaces"},
                )
            else:
                raise already_exists(kind, call.name)
        if kind.group_resource == "services":
            causes = self.admission.service(call.key, tree, None)
            if causes:
                raise invalid(kind.group, kind.kind, call.name, causes)
        zeros.complete(kind.definition, tree)
        call.warnings.extend(rule.warnings(tree, None))
        tree = metadata.ordered(tree, kind)
        if call.dry_run:
            self._released(kind, call.key, tree, None)
            return tree
        return (await self._write(kind, call.key, ADDED, tree, None)).tree

    def _place(self, call: Call, meta: Tree) -> None:
        """metadata.namespace against the URL's."""
        if not call.kind.namespaced:
            meta.pop("namespace", None)
            return
        found = meta.get("namespace")
        if found and found != call.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        meta["namespace"] = call.namespace

    async def _wait_for_account(self, call: Call, tree: Tree) -> None:
        """The default ServiceAccount follows its namespace within moments: wait for it rather than refuse."""
        if (tree.get("spec") or {}).get("serviceAccountName") not in (None, "", "default"):
            return
        end = asyncio.get_running_loop().time() + ACCOUNT_WAIT
        while self.admission.service_account_missing(call.namespace, tree):
            if asyncio.get_running_loop().time() > end:
                return
            await asyncio.sleep(0.02)

    def _begin(self, kind: Kind, rule: Rule, tree: Tree) -> None:
        meta = tree["metadata"]
        meta["uid"] = self.edges.uid()
        meta["creationTimestamp"] = trees.stamp(self.edges.now())
        if (
            kind.group_resource not in NO_GENERATION and "spec" in tree
        ) or kind.group_resource == "endpointslices.discovery.k8s.io":
            meta["generation"] = 1
        if "status" in kind.subresources:
            tree.pop("status", None)
        tree["kind"], tree["apiVersion"] = kind.kind, kind.api_version
        rule.default(tree)
        rule.begin(tree)
        if (
            "status" in kind.subresources
            and "status" not in tree
            and kind.group in ("apps", "batch", "networking.k8s.io", "policy", "autoscaling")
        ):
            tree["status"] = {"loadBalancer": {}} if kind.resource == "ingresses" else {}

    # update

    async def update(self, call: Call) -> tuple[int, Tree]:
        tree = bodies.check_kind(bodies.decode(call.body, call.content_type), call.kind)
        meta = tree["metadata"]
        if meta.get("name") and meta["name"] != call.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})"
            )
        if not meta.get("name"):
            raise bad_request("name must be provided")
        entry = self.storage.newest(call.kind.group_resource, call.key)
        if entry is None:
            if not rule_for(call.kind.group_resource).put_creates or call.subresource or meta.get("uid"):
                if meta.get("uid") and not call.subresource:
                    raise conflict(
                        call.kind,
                        call.name,
                        f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: ",
                    )
                raise not_found(call.kind, call.name)
            meta.pop("resourceVersion", None)
            return 201, await self.create_tree(call, tree)
        return 200, await self._replace(
            call, entry, lambda old: bodies.typed(tree, call.kind, old, call.field_validation, call.warnings)
        )

    async def patch(self, call: Call) -> Tree:
        media = call.content_type.partition(";")[0].strip()
        entry = self.storage.newest(call.kind.group_resource, call.key)
        if entry is None:
            raise not_found(call.kind, call.name)
        patch = bodies.decode(call.body, "application/json")
        return await self._replace(call, entry, lambda old: self._patched(call, old, patch, media))

    def _patched(self, call: Call, old: Tree, patch: Any, media: str) -> Tree:
        kind = call.kind
        try:
            if media == "application/json-patch+json":
                new = patches.json_patch(old, patch)
            elif media == "application/merge-patch+json":
                new = patches.merge(old, self._object(patch))
            elif media == "application/strategic-merge-patch+json" and kind.definition:
                schema = {"$ref": kind.definition}
                new = strategic.apply(old, self._object(patch), schema)
                new["kind"], new["apiVersion"] = old["kind"], old["apiVersion"]
            else:
                accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                if kind.definition:
                    accepted = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json"
                message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
                raise ApiError(415, "UnsupportedMediaType", message)
        except patches.PatchError as e:
            if "operation does not apply" in str(e) or "test failed" in str(e):
                raise ApiError(
                    422,
                    "Invalid",
                    f"the server rejected our request due to an error in our request: {e}",
                    {},
                ) from None
            raise bad_request(str(e)) from None
        new = bodies.check_kind(new, kind)
        if new["metadata"].get("name") != call.name:
            raise bad_request(
                f"the name of the object ({new['metadata'].get('name', '')}) does not match the name on the URL ({call.name})"
            )
        return bodies.typed(new, kind, old, call.field_validation, call.warnings)

    @staticmethod
    def _object(patch: Any) -> Tree:
        if not isinstance(patch, dict):
            raise patches.PatchError("json: cannot unmarshal array into Go value of type map[string]interface {}")
        return patch

    async def _replace(self, call: Call, entry: Entry, change: Callable[[Tree], Tree]) -> Tree:
        """The common end of update and patch: `change` makes the new tree from the old one."""
        kind, rule = call.kind, rule_for(call.kind.group_resource)
        old = entry.tree
        new = change(copy.deepcopy(old))
        meta, before = new["metadata"], old["metadata"]
        self._place(call, meta)
        version = meta.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            raise modified(kind, call.name)
        if meta.get("uid") and meta["uid"] != before["uid"]:
            raise conflict(
                kind,
                call.name,
                f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {before['uid']}",
            )
        for name in metadata.SERVER_FIELDS:
            meta.pop(name, None)
            if name in before:
                meta[name] = before[name]
        meta["name"] = call.name
        meta["resourceVersion"] = before["resourceVersion"]
        part = rule.parts.get(call.subresource, NO_PART) if call.subresource else NO_PART
        if part.prepare is not None:
            new = part.prepare(new, old)
        elif call.subresource:
            new = self._only_subresource(call.subresource, new, old)
        elif "status" in kind.subresources:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        new["kind"], new["apiVersion"] = kind.kind, kind.api_version
        causes = metadata.validate(new["metadata"], kind) + metadata.validate_update(new["metadata"], before)
        if call.subresource:
            causes += part.validate(new, old)
        else:
            rule.default(new)
            rule.prepare(new, old)
            if kind.group_resource == "services":
                causes = causes or self.admission.service(call.key, new, old)
                causes += rule.validate_update(new, old)
            else:
                causes += rule.judge_update(new, old)
        if causes:
            if kind.group_resource == "services":
                self.admission.allocator.release(call.key, new["spec"], old["spec"])
            raise invalid(kind.group, kind.kind, call.name, causes)
        zeros.complete(kind.definition, new)
        call.warnings.extend(part.warnings(new, old) if call.subresource else rule.warnings(new, old))
        new = metadata.ordered(new, kind)
        if without_version(new) == without_version(old):
            return old
        if call.subresource != "status" and "generation" in before and self._moves_generation(kind, new, old):
            new["metadata"]["generation"] = before["generation"] + 1
        if call.dry_run:
            self._released(kind, call.key, new, old)
            return new
        if self._is_over(new):
            return (await self._write(kind, call.key, DELETED, new, old)).tree
        return (await self._write(kind, call.key, MODIFIED, new, old)).tree

    @staticmethod
    def _only_subresource(name: str, new: Tree, old: Tree) -> Tree:
        """What a subresource may change: the status, or for `finalize` the namespace's finalizers."""
        if name == "finalize":
            return {**old, "metadata": new["metadata"], "spec": new.get("spec") or {}}
        result = dict(old)
        result["metadata"] = {**old["metadata"], "managedFields": new["metadata"].get("managedFields") or []}
        for field_name in ("labels", "annotations", "finalizers", "ownerReferences"):
            if field_name in new["metadata"] and new["kind"] not in ("Pod", "Service"):
                result["metadata"][field_name] = new["metadata"][field_name]
        result["status"] = new.get("status") or {}
        return result

    @staticmethod
    def _moves_generation(kind: Kind, new: Tree, old: Tree) -> bool:
        if kind.group_resource == "endpointslices.discovery.k8s.io":
            return any(new.get(k) != old.get(k) for k in ("endpoints", "ports", "addressType")) or trees.labels(
                new
            ) != trees.labels(old)
        return new.get("spec") != old.get("spec")

    @staticmethod
    def _is_over(tree: Tree) -> bool:
        """Deletion has begun and nothing holds the object any more."""
        meta = tree["metadata"]
        if not meta.get("deletionTimestamp") or meta.get("finalizers"):
            return False
        if tree["kind"] == "Namespace":
            return not (tree.get("spec") or {}).get("finalizers")
        return not meta.get("deletionGracePeriodSeconds")

    # delete

    async def delete(self, call: Call, options: Tree) -> tuple[Tree, bool]:
        """(the object, whether it is gone). `options` is a DeleteOptions tree."""
        kind, rule = call.kind, rule_for(call.kind.group_resource)
        entry = self.storage.newest(kind.group_resource, call.key)
        if entry is None:
            raise not_found(kind, call.name)
        tree = entry.tree
        meta = tree["metadata"]
        wanted = options.get("preconditions") or {}
        for option, name, label in (("uid", "uid", "UID"), ("resourceVersion", "resourceVersion", "ResourceVersion")):
            if wanted.get(option) is not None and wanted[option] != meta[name]:
                raise conflict(
                    kind,
                    call.name,
                    f"Precondition failed: {label} in precondition: {wanted[option]}, "
                    f"{label} in object meta: {meta[name]}",
                )
        seconds = options.get("gracePeriodSeconds")
        grace = rule.grace(tree, seconds) if rule.grace else 0
        finalizers = list(meta.get("finalizers") or ())
        policy = options.get("propagationPolicy") or ("Orphan" if options.get("orphanDependents") else None)
        for name, active in (("orphan", policy == "Orphan"), ("foregroundDeletion", policy == "Foreground")):
            if active and name not in finalizers:
                finalizers.append(name)
            elif not active and policy and name in finalizers:
                finalizers.remove(name)
        if kind.group_resource == "namespaces":
            return await self._end_namespace(call, entry, tree, finalizers)
        if not finalizers and grace == 0:
            if not call.dry_run:
                tree = (await self._write(kind, call.key, DELETED, tree, entry.tree)).tree
            return tree, True
        now = self.edges.now()
        if meta.get("deletionTimestamp"):
            left = meta.get("deletionGracePeriodSeconds") or 0
            if grace >= left and finalizers == (meta.get("finalizers") or []):
                return tree, False
            grace = min(grace, left)
        elif meta.get("generation"):
            meta["generation"] += 1
        meta["deletionTimestamp"] = trees.stamp(now + grace)
        meta["deletionGracePeriodSeconds"] = grace
        meta["finalizers"] = finalizers
        tree = metadata.ordered(tree, kind)
        if call.dry_run:
            return tree, False
        return (await self._write(kind, call.key, MODIFIED, tree, entry.tree)).tree, False

    async def _end_namespace(self, call: Call, entry: Entry, tree: Tree, finalizers: list[str]) -> tuple[Tree, bool]:
        meta = tree["metadata"]
        if call.name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            raise ApiError(
                403,
                "Forbidden",
                f'namespaces "{call.name}" is forbidden: this namespace may not be deleted',
                {"name": call.name, "kind": "namespaces"},
            )
        if meta.get("deletionTimestamp"):
            return tree, False
        meta["deletionTimestamp"] = trees.stamp(self.edges.now())
        meta["deletionGracePeriodSeconds"] = 0
        if finalizers:
            meta["finalizers"] = finalizers
        tree["status"] = {**(tree.get("status") or {}), "phase": "Terminating"}
        meta.pop("deletionGracePeriodSeconds")
        if call.dry_run:
            return tree, False
        return (await self._write(call.kind, call.key, MODIFIED, tree, entry.tree)).tree, False

    # the end of every write

    async def _write(self, kind: Kind, key: str, change: int, tree: Tree, old: Tree | None) -> Entry:
        try:
            entry = await self.storage.write(kind.group_resource, key, change, tree)
        except StorageError as e:
            self._released(kind, key, tree, old)
            raise ApiError(507, "InsufficientStorage", str(e)) from e
        if kind.group_resource == "services" and old is not None:
            kept = None if change == DELETED else tree["spec"]
            self.admission.allocator.release(key, old["spec"], kept)
        return entry

    def _released(self, kind: Kind, key: str, tree: Tree, old: Tree | None) -> None:
        """Takes back what a write that did not happen was given."""
        if kind.group_resource == "services" and tree.get("spec"):
            self.admission.allocator.release(key, tree["spec"], (old or {}).get("spec"))

    async def change(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        edit: Callable[[Tree], Tree],
        subresource: str,
        user: User,
        dry_run: bool = False,
    ) -> Tree:
        """A server-side change (scale, binding): `edit` gets a copy of the newest state."""
        call = Call(kind, namespace, name, user, subresource, dry_run=dry_run)
        entry = self.storage.newest(kind.group_resource, call.key)
        if entry is None:
            raise not_found(kind, name)
        return await self._replace(call, entry, edit)
