"""What is in use stays; what is not goes."""

from __future__ import annotations

import pytest

from seaway.cluster.workloads.protection import CLAIM, VOLUME, claims_of, plan, uses


def pod(phase: str = "Running", node: str = "n", **volume: object) -> dict:
    return {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"nodeName": node, "volumes": [{"name": "v", **volume}]}, "status": {"phase": phase}}


def claim(*finalizers: str, deleting: bool = True) -> dict:
    meta: dict = {"name": "c", "namespace": "shop", "resourceVersion": "1", "finalizers": list(finalizers)}
    return {"metadata": {**meta, **({"deletionTimestamp": "t"} if deleting else {})}}


def test_pods_name_their_claims_by_both_ways() -> None:
    assert claims_of(pod(persistentVolumeClaim={"claimName": "c"})) == {"c"}
    assert claims_of(pod(ephemeral={"volumeClaimTemplate": {}})) == {"p-v"}
    assert claims_of(pod(emptyDir={})) == set()


@pytest.mark.parametrize(("phase", "node", "held"), [("Running", "n", True), ("Pending", "n", True), ("Pending", "", False), ("Succeeded", "n", False), ("Failed", "n", False)])
def test_a_pod_on_a_node_that_has_not_ended_holds_its_claim(phase: str, node: str, held: bool) -> None:
    assert uses(pod(phase, node, persistentVolumeClaim={"claimName": "c"}), "c") is held
    assert not uses(pod(phase, node, persistentVolumeClaim={"claimName": "c"}), "other")


def test_only_what_is_deleted_and_unused_loses_its_finalizer() -> None:
    assert plan(claim(CLAIM, deleting=False), CLAIM, False) is None
    assert plan(claim(CLAIM), CLAIM, True) is None
    assert plan(claim("other/x"), CLAIM, False) is None
    write = plan(claim("other/x", CLAIM), CLAIM, False)
    assert write is not None and write.patch == {"metadata": {"finalizers": ["other/x"]}} and write.kind.resource == "persistentvolumeclaims"
    write = plan(claim(VOLUME), VOLUME, False)
    assert write is not None and write.patch == {"metadata": {"finalizers": None}} and write.kind.resource == "persistentvolumes"
