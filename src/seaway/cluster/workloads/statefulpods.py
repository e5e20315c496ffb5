"""The pods of a StatefulSet and their claims: names, ordinals, labels, storage, who owns a claim; pure
(pkg/controller/statefulset/stateful_set_utils.go)."""

from __future__ import annotations

import re
from typing import Any

from seaway.api.tree import get, labels, owner_reference
from seaway.client.rest import kind_of
from seaway.cluster.workloads.podfacts import from_template, is_available, is_ready, is_terminating, phase
from seaway.controllers.writes import Create, Patch

Tree = dict[str, Any]
REVISION = "controller-revision-hash"
POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
NAME = re.compile(r"(.*)-([0-9]+)\Z", re.DOTALL)
LARGEST = 2**31 - 1


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """`web-3` is ("web", 3); (\"\", -1) where it is no such name."""
    found = NAME.match(name)
    if not found or int(found[2]) > LARGEST:
        return "", -1
    return found[1], int(found[2])


def ordinal(pod: Tree) -> int:
    return parent_and_ordinal(pod["metadata"]["name"])[1]


def is_member(owner: Tree, pod: Tree) -> bool:
    return bool(parent_and_ordinal(pod["metadata"]["name"])[0] == owner["metadata"]["name"])


def start(owner: Tree) -> int:
    return int(get(owner, "spec", "ordinals", "start") or 0)


def replicas(owner: Tree) -> int:
    return int(owner["spec"].get("replicas", 1))


def in_range(owner: Tree, pod: Tree) -> bool:
    first = start(owner)
    return first <= ordinal(pod) < first + replicas(owner)


def is_running_and_ready(pod: Tree) -> bool:
    return phase(pod) == "Running" and is_ready(pod)


def is_unavailable(owner: Tree, pod: Tree, now: float) -> bool:
    least = owner["spec"].get("minReadySeconds") or 0
    return is_terminating(pod) or not (phase(pod) == "Running" and is_available(pod, least, now))


def revision_of(pod: Tree) -> str:
    return labels(pod).get(REVISION, "")


# claims


def claim_name(owner: Tree, template: Tree, number: int) -> str:
    return f"{template['metadata']['name']}-{owner['metadata']['name']}-{number}"


def claims(owner: Tree, number: int) -> dict[str, Tree]:
    """Claims by the name of their template."""
    own = get(owner, "spec", "selector", "matchLabels") or {}
    found = {}
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        meta = template["metadata"]
        made: Tree = {
            "name": claim_name(owner, template, number),
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **own},
        }
        if meta.get("annotations"):
            made["annotations"] = meta["annotations"]
        found[meta["name"]] = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": made,
            "spec": template["spec"],
        }
    return found


def _policy(owner: Tree, when: str) -> str:
    return str(get(owner, "spec", "persistentVolumeClaimRetentionPolicy", when) or "Retain")


def claim_owner(owner: Tree, pod: Tree) -> Tree | None:
    """Who a claim goes with: the set, the pod that is scaled away, or nobody (updateClaimOwnerRefForSetAndPod)."""
    if not in_range(owner, pod):
        if _policy(owner, "whenScaled") == "Delete":
            return owner_reference("v1", "Pod", pod) if pod["metadata"].get("uid") else None
        if _policy(owner, "whenDeleted") == "Delete":
            return owner_reference("apps/v1", "StatefulSet", owner)
        return None
    return owner_reference("apps/v1", "StatefulSet", owner) if _policy(owner, "whenDeleted") == "Delete" else None


def _foreign_controller(claim: Tree, uids: set[str]) -> bool:
    """A claim that another controller has is not ours to give away."""
    return any(r.get("controller") and r["uid"] not in uids for r in claim["metadata"].get("ownerReferences") or ())


def claim_patches(owner: Tree, pod: Tree, there: dict[str, Tree]) -> list[Patch]:
    """What makes the owners of a pod's claims right. `there`: the claims of the namespace by name."""
    found = []
    uids = {owner["metadata"]["uid"], pod["metadata"].get("uid") or ""}
    for wanted in claims(owner, ordinal(pod)).values():
        claim = there.get(wanted["metadata"]["name"])
        if claim is None or _foreign_controller(claim, uids):
            continue
        refs = claim["metadata"].get("ownerReferences") or []
        kept = [r for r in refs if r["uid"] not in uids]
        ref = claim_owner(owner, pod)
        new = [*kept, ref] if ref else kept
        if new != refs:
            meta = claim["metadata"]
            patch = {"metadata": {"ownerReferences": new or None}}
            found.append(
                Patch(
                    kind_of("persistentvolumeclaims"),
                    meta["namespace"],
                    meta["name"],
                    patch,
                    version=meta.get("resourceVersion", ""),
                )
            )
    return found


def missing_claims(owner: Tree, pod: Tree, there: dict[str, Tree]) -> list[Create]:
    kind, namespace = kind_of("persistentvolumeclaims"), owner["metadata"]["namespace"]
    found = []
    for claim in claims(owner, ordinal(pod)).values():
        if claim["metadata"]["name"] in there:
            continue
        ref = claim_owner(owner, pod)
        if ref is not None:
            claim = {**claim, "metadata": {**claim["metadata"], "ownerReferences": [ref]}}
        found.append(Create(kind, namespace, claim))
    return found


def has_stale_claim(owner: Tree, pod: Tree, there: dict[str, Tree]) -> bool:
    """A claim is still going with an earlier pod of this name: it must be gone before the pod comes again."""
    for wanted in claims(owner, ordinal(pod)).values():
        claim = there.get(wanted["metadata"]["name"])
        for ref in (claim or {"metadata": {}})["metadata"].get("ownerReferences") or ():
            same = ref["kind"] == "Pod" and ref["name"] == pod["metadata"]["name"]
            if same and ref["uid"] != pod["metadata"].get("uid"):
                return True
    return False


# pods


def _volumes(owner: Tree, number: int, spec: Tree) -> list[Tree]:
    made = {
        name: {"name": name, "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
        for name, claim in claims(owner, number).items()
    }
    return [*made.values(), *(v for v in spec.get("volumes") or () if v["name"] not in made)]


def pod_of(owner: Tree, template: Tree, number: int, revision: str) -> Tree:
    """The pod of an ordinal, at a revision."""
    name = f"{owner['metadata']['name']}-{number}"
    extra = {POD_NAME: name, POD_INDEX: str(number), REVISION: revision}
    pod = from_template(owner, "apps/v1", "StatefulSet", template, extra)
    pod["metadata"]["name"] = name
    spec = pod["spec"]
    spec["hostname"] = name
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    volumes = _volumes(owner, number, spec)
    if volumes:
        spec["volumes"] = volumes
    return pod


def identity_patch(pod: Tree) -> Patch | None:
    """The labels that tell a pod's place, where it lacks them (an adopted one)."""
    meta = pod["metadata"]
    wanted = {POD_NAME: meta["name"], POD_INDEX: str(ordinal(pod))}
    missing = {k: v for k, v in wanted.items() if labels(pod).get(k) != v}
    if not missing:
        return None
    return Patch(kind_of("pods"), meta["namespace"], meta["name"], {"metadata": {"labels": missing}})
