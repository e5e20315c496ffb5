"""Volumes: one source each, and what each source needs."""

from __future__ import annotations

from typing import Any

import pytest
from ruling import begins, pod, refusals

V = "spec.volumes[0]"
P = f"{V}.projected"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"

SOURCES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"emptyDir": {"sizeLimit": "-1"}}, (f"{V}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",)),
    ({"hostPath": {}}, (f"{V}.hostPath.path: Required value",)),
    ({"hostPath": {"path": "/a", "type": "Pipe"}}, (f'{V}.hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice",',)),
    ({"emptyDir": {}, "hostPath": {"path": "/.."}}, (f"{V}.hostPath: Forbidden: may not specify more than 1 volume type",)),
    (
        {"configMap": {"defaultMode": 512, "items": [{"key": "", "path": "/a", "mode": -1}]}},
        (
            f"{V}.configMap.name: Required value",
            f"{V}.configMap.defaultMode: Invalid value: 512: {MODE}",
            f"{V}.configMap.items[0].key: Required value",
            f'{V}.configMap.items[0].path: Invalid value: "/a": must be a relative path',
            f"{V}.configMap.items[0].mode: Invalid value: -1: {MODE}",
        ),
    ),
    ({"secret": {"secretName": "s", "items": [{"key": "k", "path": "..x"}]}}, (f"{V}.secret.items[0].path: Invalid value: \"..x\": must not start with '..'",)),
    ({"persistentVolumeClaim": {}}, (f"{V}.persistentVolumeClaim.claimName: Required value",)),
    (
        {"downwardAPI": {"items": [{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}, {"path": "b"}]}},
        (
            f"{V}.downwardAPI.resourceFieldRef.containerName: Required value",
            f"{V}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
        ),
    ),
    ({"image": {}}, (f"{V}.image.reference: Required value",)),
    ({"image": {"reference": "a", "pullPolicy": "Now"}}, (f'{V}.image.pullPolicy: Unsupported value: "Now"',)),
    ({"csi": {"driver": "Bad_Driver", "nodePublishSecretRef": {}}}, (f'{V}.csi.driver: Invalid value: "Bad_Driver": a lowercase RFC 1123 subdomain', f"{V}.csi.nodePublishSecretRef.name: Required value")),
    ({"nfs": {"path": "share"}}, (f"{V}.nfs.server: Required value", f'{V}.nfs.path: Invalid value: "share": must be an absolute path')),
    (
        {"iscsi": {"targetPortal": "192.0.2.1", "iqn": "abc", "lun": 256, "chapAuthSession": True}},
        (
            f'{V}.iscsi.iqn: Invalid value: "abc": must be valid format starting with iqn, eui, or naa',
            f"{V}.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
            f"{V}.iscsi.secretRef: Required value",
        ),
    ),
    ({"iscsi": {"targetPortal": "192.0.2.1", "iqn": "iqn.2026-01.com.example:disk"}}, ()),
    ({"flocker": {"datasetName": "a/b", "datasetUUID": "u"}}, (f'{V}.flocker: Invalid value: "resource": datasetName and datasetUUID', f"{V}.flocker.datasetName: Invalid value: \"a/b\": must not contain '/'")),
    ({"fc": {"targetWWNs": ["w"], "wwids": ["x"]}}, (f'{V}.fc.targetWWNs: Invalid value: ["w"]: targetWWNs and wwids can not', f"{V}.fc.lun: Required value: lun is required")),
    ({"flexVolume": {"driver": "d", "options": {"a.k8s.io/b": "c"}}}, (f'{V}.flexVolume.options[a.k8s.io/b]: Invalid value: "a.k8s.io/b": kubernetes.io and k8s.io',)),
    ({"quobyte": {"registry": "host", "volume": "v"}}, (f'{V}.quobyte.registry: Invalid value: "host": must be a host:port pair',)),
    ({"azureDisk": {"diskName": "d", "diskURI": "u", "kind": "Managed", "cachingMode": "All"}}, (f'{V}.azureDisk.cachingMode: Unsupported value: "All": supported values: "None", "ReadOnly", "ReadWrite"', f'{V}.azureDisk.diskURI: Unsupported value: "u": supported values: "/subscriptions/')),
    ({"cephfs": {}}, (f"{V}.cephfs.monitors: Required value",)),
    ({"gcePersistentDisk": {"partition": 300}}, (f"{V}.persistentDisk.pdName: Required value", f"{V}.persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive")),
    ({"storageos": {"volumeName": "A"}}, (f'{V}.storageos.volumeName: Invalid value: "A": a lowercase RFC 1123 label',)),
    ({"gitRepo": {"directory": ".."}}, (f"{V}.gitRepo.repository: Required value", f"{V}.gitRepo.directory: Invalid value: \"..\": must not contain '..'")),
    (
        {"ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "n"}, "spec": {"accessModes": ["ReadWriteOncePod", "ReadWriteOnce"]}}}},
        (
            f"{V}.ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
            f"{V}.ephemeral.volumeClaimTemplate.spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            f"{V}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
        ),
    ),
    # projected
    ({"projected": {"sources": [{"secret": {}}]}}, (f"{P}.sources[0].secret.name: Required value",)),
    (
        {"projected": {"sources": [{"configMap": {"name": "a", "items": [{"key": "k", "path": "p"}]}}, {"secret": {"name": "b", "items": [{"key": "k", "path": "p"}]}}]}},
        (f'{P}: Invalid value: "b": conflicting duplicate paths',),
    ),
    ({"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "b"}}]}}, (f"{P}.sources[0]: Forbidden: may not specify more than 1 volume type per source",)),
    (
        {"projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 599}}]}},
        (
            f"{P}.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10",
            f"{P}.path: Required value",
        ),
    ),
    ({"projected": {"sources": [{"clusterTrustBundle": {"path": ""}}]}}, ()),  # the feature is off: the source is dropped
]


@pytest.mark.parametrize(("source", "expected"), SOURCES)
def test_a_source_has_what_it_needs(source: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = refusals("Pod", pod(volumes=[{"name": "v", **source}]))
    assert begins(found, expected), found


def test_names_of_volumes_are_labels_and_differ() -> None:
    found = refusals("Pod", pod(volumes=[{"name": ""}, {"name": "a.b"}, {"name": "v"}, {"name": "v"}]))
    assert begins(
        found,
        (
            "spec.volumes[0].name: Required value",
            'spec.volumes[1].name: Invalid value: "a.b": must not contain dots',
            'spec.volumes[3].name: Duplicate value: "v"',
        ),
    ), found


def test_an_ephemeral_volumes_claim_is_named_by_no_other_volume() -> None:
    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    volumes = [{"name": "a", "ephemeral": {"volumeClaimTemplate": claim}}, {"name": "b", "persistentVolumeClaim": {"claimName": "p-a"}}]
    assert refusals("Pod", pod(volumes=volumes)) == [
        'spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "p-a": must not reference a PVC that gets created '
        "for an ephemeral volume"
    ]


def test_a_token_needs_a_service_account() -> None:
    tree = pod(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}])
    del tree["spec"]["serviceAccountName"]
    assert refusals("Pod", tree) == [
        "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName "
        "is not set"
    ]
