"""OpenAPI v2 in gnostic's protobuf, read back by field number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seaway.api import kinds
from seaway.cluster.apiserver.custom.registry import BUILTIN
from seaway.cluster.apiserver.discovery import openapi_v2_document
from seaway.cluster.apiserver.openapi_v2 import document


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(data):
        tag = varint()
        assert tag & 7 == 2
        size = varint()
        yield tag >> 3, data[at : at + size]
        at += size


def the(data: bytes, *path: int) -> list[bytes]:
    found = [data]
    for number in path:
        found = [value for part in found for n, value in fields(part) if n == number]
    return found


def test_every_kinds_patch_takes_field_validation() -> None:
    seen: dict[str, Any] = {}
    for item in the(openapi_v2_document(BUILTIN), 8, 2):
        [path] = the(item, 1)
        names = the(item, 2, 8, 8, 1, 2, 3, 4)
        seen[path.decode()] = {n.decode() for n in names}
    assert seen["/api/v1/namespaces/{name}"] == {"dryRun", "fieldManager", "fieldValidation"}
    assert seen["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"] == {"dryRun", "fieldManager", "fieldValidation"}
    assert len(seen) > 40


def test_an_operation_names_its_kind_in_yaml() -> None:
    [kind] = [k for k in kinds.builtin() if k.resource == "deployments"]
    [name, *_] = the(document([kind], "v1.0"), 8, 2, 2, 8, 13, 1)
    [yaml, *_] = the(document([kind], "v1.0"), 8, 2, 2, 8, 13, 2, 2)
    assert (name, yaml) == (b"x-kubernetes-group-version-kind", b'group: "apps"\nkind: Deployment\nversion: v1\n')
    assert the(document([kind], "v1.0"), 1) == [b"2.0"] and the(document([kind], "v1.0"), 2, 2) == [b"v1.0"]
