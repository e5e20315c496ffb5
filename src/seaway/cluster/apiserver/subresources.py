"""Subresources that are more than a part of the object: scale, binding, token."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from seaway.api import kinds
from seaway.api import tree as trees
from seaway.api.kinds import Kind
from seaway.api.merge import merge
from seaway.cluster.apiserver import apply, bodies, forms, managed, patching, tables
from seaway.cluster.apiserver.calls import check_name
from seaway.cluster.apiserver.custom import scaling
from seaway.cluster.apiserver.options import APPLY
from seaway.cluster.apiserver.reviewing import BINDING, CREATE, SCALE, TOKEN_REQUEST, UPDATE
from seaway.cluster.apiserver.status import (
    ApiError,
    bad_request,
    invalid,
    modified,
    not_found,
    required,
    unlisted,
    wrong,
)
from seaway.cluster.apiserver.verbs import Call, Verbs
from seaway.pki.tokens import Signer

Tree = dict[str, Any]
# What /scale shows; it is stored nowhere.
# Stands for replicas that a custom resource does not tell (registry/customresource/etcd.go invalidSpecReplicas).
UNSET = -(2**31)
SCALE_VERSIONS = ("autoscaling/v1", "extensions/v1beta1", "apps/v1beta1", "apps/v1beta2")
SCALES = Kind("autoscaling", "v1", "scales", "Scale", True, (), definition="io.k8s.api.autoscaling.v1.Scale")
TOKEN_MIN, TOKEN_MAX = 600, 1 << 32


def scale_of(kind: Kind, tree: Tree) -> Tree:
    """autoscaling/v1 Scale of a workload."""
    meta = {k: tree["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    replicas = spec.get("replicas", 0)
    selector = spec.get("selector")
    text = (
        tables.labels_text(selector) if kind.resource == "replicationcontrollers" else tables.format_selector(selector)
    )
    result: Tree = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": replicas} if replicas else {},
    }
    result["status"] = {"replicas": status.get("replicas", 0), "selector": text.replace(" in ", " in ")}
    return result


class _Scaled(NamedTuple):
    """How a kind is scaled: the Scale of an object, the object with other replicas, and their path in managedFields.

    `check` refuses a Scale that does not say how many replicas there are.
    """

    of: Callable[[Tree], Tree]
    put: Callable[[Tree, int], Tree]
    path: tuple[str, ...]
    is_set: Callable[[Tree], bool]


def _scaled(kind: Kind) -> _Scaled:
    if kind.custom is None:

        def put(tree: Tree, replicas: int) -> Tree:
            tree["spec"]["replicas"] = replicas
            return tree

        return _Scaled(lambda tree: scale_of(kind, tree), put, managed.REPLICAS, lambda tree: True)
    return _custom_scaled(kind.custom.scale)


def _custom_scaled(paths: Tree) -> _Scaled:
    """A custom resource says itself where its replicas are (registry/customresource/etcd.go)."""
    replicas: str = paths["specReplicasPath"]

    def of(tree: Tree) -> Tree:
        try:
            return scaling.scale_of(paths, tree)
        except scaling.NotThere as e:
            raise bad_request(str(e)) from None

    def put(tree: Tree, count: int) -> Tree:
        try:
            return scaling.with_replicas(paths, tree, count)
        except scaling.NotThere as e:
            raise bad_request(str(e)) from None

    path = tuple(f"f:{name}" for name in scaling.path_of(replicas))
    return _Scaled(of, put, path, lambda tree: scaling.is_set(paths, tree))


async def scale(verbs: Verbs, call: Call, method: str) -> Tree:
    """GET, PUT and PATCH of /scale."""
    kind = call.kind
    entry = verbs.storage.newest(kind.group_resource, call.key)
    if entry is None:
        raise not_found(kind, call.name)
    scaled = _scaled(kind)
    tree = forms.opened(kind, entry)
    now, is_set = scaled.of(tree), scaled.is_set(tree)
    if method == "GET":
        if not is_set:
            raise bad_request(f'the spec replicas field "{kind.custom.scale["specReplicasPath"]}" does not exist')
        return now
    wanted = _wanted_scale(call, method, now if is_set else {**now, "spec": {"replicas": UNSET}})
    if (wanted.get("spec") or {}).get("replicas") == UNSET and kind.custom is not None:
        raise bad_request(f'the spec replicas field "{kind.custom.scale["specReplicasPath"]}" cannot be empty')
    check_name(call, wanted.get("metadata") or {})
    review = verbs.reviewers.review(call, UPDATE, SCALE)
    if review is not None:
        wanted = await review.mutate(wanted, now)
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if replicas < 0 and kind.custom is None:
        raise invalid(
            "autoscaling", "Scale", call.name, [wrong("spec.replicas", replicas, "must be greater than or equal to 0")]
        )
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    if version and version != now["metadata"]["resourceVersion"]:
        raise modified(kind, call.name)
    if review is not None:
        await review.validate(wanted, now)

    def edit(tree: Tree) -> Tree:
        if version and version != tree["metadata"]["resourceVersion"]:
            raise modified(kind, call.name)
        return scaled.put(tree, replicas)

    operation = managed.APPLY if call.media == APPLY else managed.UPDATE
    who = managed.manager(call.manager, operation, kind.api_version, "scale")

    def managers(tree: Tree) -> list[Tree]:
        moved = scaled.of(tree)["spec"].get("replicas", 0) != replicas
        entries = tree["metadata"].get("managedFields")
        now = verbs.stamp() if kind.custom is None else ""  # upstream dates no scale of a custom resource
        return managed.scaled(entries, kind.api_version, who, now, moved, call.force, scaled.path)

    try:
        changed = await verbs.change(
            kind, call.namespace, call.name, edit, "", call.user, call.dry_run, managers if call.manager else None
        )
    except managed.Taken as e:
        raise apply.conflict_error(e) from None
    return scaled.of(forms.show(kind, changed))


def _wanted_scale(call: Call, method: str, now: Tree) -> Tree:
    """The Scale that a PUT or PATCH makes of the one of now."""
    definition = SCALES.definition
    if call.media == APPLY:
        config = apply.check_config(bodies.decode(call.body, APPLY), "autoscaling", "v1", "Scale")
        return bodies.typed(merge(now, config), call.kind, None, "Ignore", [], definition)
    if method == "PUT":
        wanted = bodies.decode(call.body, call.content_type, "Scale")
        if not isinstance(wanted, dict):
            raise bad_request("the object provided is unrecognized (must be of type Scale)")
        _check_scale(wanted, call.kind)
        return bodies.typed(wanted, call.kind, None, "Ignore", [], definition)
    return patching.patched(SCALES, now, call.body, call.media, call.field_validation, call.warnings)


def _check_scale(tree: Tree, kind: Kind) -> None:
    """What a PUT of a scale says that it is; custom resources take the old group versions too (client-go scale scheme)."""
    if kind.custom is None:
        bodies.check_kind(tree, SCALES)
        return
    version, name = tree.get("apiVersion") or SCALES.api_version, tree.get("kind") or SCALES.kind
    if version not in SCALE_VERSIONS or name != SCALES.kind:
        kind_version = str(version).rpartition("/")[2]
        why = f"no kind is registered for the type {kind_version}.{name} in scheme"
        raise bad_request(f'{why} "pkg/runtime/scheme.go:111"')


def _unbindable(pod: Tree, meta: Tree) -> str:
    """Why a pod cannot be bound (registry/core/pod/storage: setPodNodeAndMetadata)."""
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    if meta.get("uid") and meta["uid"] != uid:
        return f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {uid}"
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if pod["spec"].get("nodeName"):
        return f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
    if pod["spec"].get("schedulingGates"):
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""


async def bind_named(verbs: Verbs, call: Call) -> Tree:
    """POST of a Binding to the namespace's bindings: the body says which pod (LegacyBindingREST)."""
    body = bodies.decode(call.body, call.content_type)
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized (must be of type Binding)")
    body = bodies.typed(body, call.kind, None, call.field_validation, call.warnings)
    pods = kinds.by_resource()[("", "v1", "pods")]
    return await bind(verbs, dataclasses.replace(call, kind=pods, name=body["metadata"].get("name", "")), body)


async def bind(verbs: Verbs, call: Call, body: Tree) -> Tree:
    """pods/binding: the scheduler's word on where a pod runs (pkg/registry/core/pod/storage)."""
    target, meta = body.get("target") or {}, body.get("metadata") or {}
    if meta.get("name", "") != call.name:
        raise bad_request("name in URL does not match name in Binding object")
    causes = []
    if target.get("kind") not in (None, "", "Node"):
        causes.append(unlisted("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        causes.append(required("target.name"))
    if causes:
        raise invalid("", "Binding", call.name, causes)
    review = verbs.reviewers.review(call, CREATE, BINDING, "binding")
    if review is not None:
        body = await review.whole({**body, "kind": BINDING.kind, "apiVersion": BINDING.api_version})
        target, meta = body.get("target") or {}, body.get("metadata") or {}
    now = trees.stamp(verbs.edges.now())

    def edit(tree: Tree) -> Tree:
        own = tree["metadata"]
        if why := _unbindable(tree, meta):
            message = f'Operation cannot be fulfilled on pods/binding "{call.name}": {why}'
            raise ApiError(409, "Conflict", message, {"name": call.name, "kind": "pods/binding"})
        tree["spec"]["nodeName"] = target["name"]
        for field in ("annotations", "labels"):
            if meta.get(field):
                own[field] = {**(own.get(field) or {}), **meta[field]}
        status = tree.setdefault("status", {})
        condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        status["conditions"] = trees.with_condition(status.get("conditions") or (), condition)
        status.pop("nominatedNodeName", None)  # it has served (ClearingNominatedNodeNameAfterBinding)
        return tree

    await verbs.change(call.kind, call.namespace, call.name, edit, "binding", call.user, call.dry_run)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def token(verbs: Verbs, call: Call, body: Tree, signer: Signer) -> Tree:
    """serviceaccounts/token: a TokenRequest answered (KEP-1205)."""
    entry = verbs.storage.get("serviceaccounts", call.key)
    if entry is None:
        raise not_found(call.kind, call.name)
    review = verbs.reviewers.review(call, CREATE, TOKEN_REQUEST)
    if review is not None:
        body = await review.whole({**body, "kind": TOKEN_REQUEST.kind, "apiVersion": TOKEN_REQUEST.api_version})
    account, spec = entry.tree, dict(body.get("spec") or {})
    seconds = spec.get("expirationSeconds") or 3600
    if seconds < TOKEN_MIN:
        raise invalid(
            "authentication.k8s.io",
            "TokenRequest",
            "",
            [wrong("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")],
        )
    if seconds > TOKEN_MAX:
        raise invalid(
            "authentication.k8s.io",
            "TokenRequest",
            "",
            [wrong("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")],
        )
    audiences = spec.get("audiences") or [signer.issuer]
    now = verbs.edges.now()
    own: Tree = {"namespace": call.namespace, "serviceaccount": {"name": call.name, "uid": account["metadata"]["uid"]}}
    ref = spec.get("boundObjectRef")
    if ref:
        kind = kinds.by_kind().get((ref.get("apiVersion") or "v1", ref.get("kind") or ""))
        if kind is None or kind.kind not in ("Pod", "Secret", "Node"):
            group, _, version = str(ref.get("apiVersion") or "").rpartition("/")
            raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={ref.get('kind') or ''}")
        bound = verbs.storage.get(
            kind.resource, f"{call.namespace}/{ref.get('name')}" if kind.namespaced else str(ref.get("name"))
        )
        if bound is None:
            raise not_found(kind, str(ref.get("name")))
        uid = bound.tree["metadata"]["uid"]
        if ref.get("uid") and ref["uid"] != uid:
            raise _bound_elsewhere(kind, str(ref.get("name")), ref["uid"], uid)
        if kind.kind == "Pod" and bound.tree["spec"].get("serviceAccountName") != call.name:
            raise bad_request(
                f'cannot bind token for serviceaccount "{call.name}" to pod running with different serviceaccount name.'
            )
        own[kind.kind.lower()] = {"name": ref.get("name"), "uid": uid}
        if kind.kind == "Pod" and bound.tree["spec"].get("nodeName"):
            placed = str(bound.tree["spec"]["nodeName"])
            node = verbs.storage.get("nodes", placed)
            own["node"] = {"name": placed, **({"uid": node.tree["metadata"]["uid"]} if node else {})}
    claims = {
        "aud": audiences,
        "exp": int(now) + seconds,
        "iat": int(now),
        "nbf": int(now),
        "iss": signer.issuer,
        "jti": verbs.edges.uid(),
        "kubernetes.io": own,
        "sub": f"system:serviceaccount:{call.namespace}:{call.name}",
    }
    meta = {"name": call.name, "namespace": call.namespace, "creationTimestamp": trees.stamp(now)}
    spec.update(audiences=audiences, expirationSeconds=seconds)
    spec.setdefault("boundObjectRef", None)
    status = {"token": signer.sign(claims), "expirationTimestamp": trees.stamp(now + seconds)}
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": meta,
        "spec": spec,
        "status": status,
    }


def _bound_elsewhere(kind: Kind, name: str, wanted: str, found: str) -> ApiError:
    why = (
        f"the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been "
        "deleted and then recreated"
    )
    message = f'Operation cannot be fulfilled on {kind.kind} "{name}": {why}'
    return ApiError(409, "Conflict", message, {"name": name, "kind": kind.kind})
