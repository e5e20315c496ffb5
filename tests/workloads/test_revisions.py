"""ControllerRevisions: when one is made, renumbered or forgotten."""

from __future__ import annotations

import pytest

from seaway.cluster.workloads import revisions
from seaway.controllers.writes import Create, Patch


def owner(image: str) -> dict:
    return {"metadata": {"name": "w", "namespace": "n", "uid": "o", "annotations": {"a": "b"}},
            "spec": {"template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": image}]}}}}


def kept(*images: str) -> list[dict]:
    found = []
    for number, image in enumerate(images, 1):
        tree = revisions.make(owner(image), "StatefulSet", "hash", number, 0)
        tree["metadata"] |= {"uid": f"u{number}", "creationTimestamp": f"2026-01-01T00:00:{number:02}Z"}
        found.append(tree)
    return found


def test_a_revision_puts_the_template_back() -> None:
    (made,) = kept("i")
    assert made["data"]["spec"]["template"]["$patch"] == "replace" and made["revision"] == 1
    assert made["metadata"]["name"] == f"w-{made['metadata']['labels']['hash']}" and made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["labels"]["app"] == "w" and made["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"


def test_the_present_template_has_one_revision() -> None:
    assert revisions.current(owner("j"), "StatefulSet", "hash", kept("i", "j"), 0) is None
    write = revisions.current(owner("k"), "StatefulSet", "hash", kept("i", "j"), 0)
    assert isinstance(write, Create) and write.tree["revision"] == 3


def test_going_back_gives_the_old_revision_a_new_number() -> None:
    there = kept("i", "j")
    write = revisions.current(owner("i"), "StatefulSet", "hash", there, 0)
    assert isinstance(write, Patch) and (write.name, write.patch) == (there[0]["metadata"]["name"], {"revision": 3})


def test_a_collision_changes_the_name() -> None:
    names = {revisions.make(owner("i"), "StatefulSet", "hash", 1, n)["metadata"]["name"] for n in range(3)}
    assert len(names) == 3


@pytest.mark.parametrize(("limit", "live", "gone"), [(10, (), []), (2, (), [0, 1]), (0, (), [0, 1, 2, 3]), (0, (1, 3), [0, 2]), (1, (0,), [1, 2])])
def test_the_oldest_that_nothing_uses_are_forgotten(limit: int, live: tuple, gone: list) -> None:
    there = kept("i", "j", "k", "l")
    names = [r["metadata"]["name"] for r in there]
    found = revisions.surplus(there, {names[i] for i in live}, limit)
    assert [w.name for w in found] == [names[i] for i in gone]
