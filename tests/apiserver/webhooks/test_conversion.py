"""ConversionReviews: what a webhook may change of an object, and what is said of answers that change more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.apiserver.webhooks.calling import Caller
from seaway.cluster.apiserver.webhooks.conversion import Converter
from seaway.cluster.apiserver.webhooks.exchange import Unusable

Tree = dict[str, Any]
OLD, NEW = "example.com/v1", "example.com/v2"
WEBHOOK = {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://h/x"}}


def thing(name: str = "a", version: str = OLD, **more: Any) -> Tree:
    return {"apiVersion": version, "kind": "Thing", "metadata": {"name": name, "namespace": "n", "uid": f"u-{name}", "generation": 3}, **more}


class Answering(Caller):
    """A caller that answers without a network."""

    def __init__(self, answer: Any) -> None:
        super().__init__(lambda service: [])
        self.answer, self.asked = answer, list[Tree]()

    async def post(self, client: Any, document: Tree, seconds: float, tell_time: bool = True) -> Tree:
        self.asked.append(document)
        if isinstance(self.answer, Exception):
            raise self.answer
        found: Tree = self.answer(document["request"]) if callable(self.answer) else self.answer
        return found


def ask(answer: Any, objects: list[Tree], is_list: bool = False, webhook: Tree = WEBHOOK) -> list[Tree]:
    return asyncio.run(Converter(Answering(answer), lambda: "q").convert(webhook, objects, NEW, is_list))


def review(*objects: Any, **more: Any) -> Tree:
    response = {"uid": "q", "result": {"status": "Success"}, "convertedObjects": list(objects), **more}
    return {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}


def test_only_what_is_in_another_version_is_sent_and_the_order_stays() -> None:
    caller = Answering(lambda request: review(*({**o, "apiVersion": NEW, "seen": True} for o in request["objects"])))
    objects = [thing("a"), thing("b", NEW), thing("c")]
    found = asyncio.run(Converter(caller, lambda: "q").convert(WEBHOOK, objects, NEW, True))
    assert [(t["metadata"]["name"], t["apiVersion"], t.get("seen")) for t in found] == [("a", NEW, True), ("b", NEW, None), ("c", NEW, True)]
    (asked,) = caller.asked
    assert asked["request"]["desiredAPIVersion"] == NEW and [o["metadata"]["name"] for o in asked["request"]["objects"]] == ["a", "c"]
    assert ask(Unusable("not asked"), [thing("b", NEW)]) == [thing("b", NEW)]


def test_metadata_stays_but_for_labels_and_annotations() -> None:
    changed = thing(version=NEW)
    changed["metadata"] |= {"generation": 9, "finalizers": ["x"], "labels": {"a": "b"}, "annotations": None}
    before = thing()
    before["metadata"]["annotations"] = {"old": "1"}
    (found,) = ask(review(changed), [before])
    assert found["metadata"] == {"name": "a", "namespace": "n", "uid": "u-a", "generation": 3, "labels": {"a": "b"}}


def with_meta(**change: Any) -> Tree:
    found = thing(version=NEW)
    found["metadata"].update(change)
    return found


START = "conversion webhook for example.com/v1, Kind=Thing "


@pytest.mark.parametrize(("answer", "why"), [
    (Unusable('failed to call webhook: Post "https://h/x?timeout=30s": EOF'), START + 'failed: Post "https://h/x?timeout=30s": EOF'),
    ({"kind": "Status", "apiVersion": "v1"}, START + "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got v1, Kind=Status"),
    ({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1"}, START + "failed: no response provided"),
    (review(thing(), uid="z"), START + 'failed: expected response.uid="q", got "z"'),
    (review(result={"status": "Failed", "message": "no way"}), START + "failed: no way"),
    (review(result={"status": "Failed"}), START + "failed: response.result.status was 'Failed', not 'Success'"),
    (review(), START + "returned 0 objects, expected 1"),
    (review(thing()), START + "returned invalid object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v1)"),
    (review({**thing(version=NEW), "kind": "Other"}), START + "returned invalid object at index 0: invalid kind (expected Thing, received Other)"),
    (review(with_meta(name="b")), START + "returned invalid object: must have the same name: a != b"),
    (review(with_meta(uid="b")), START + "returned invalid object: must have the same UID: u-a != b"),
    (review(with_meta(labels={"a": 1})), START + "returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object"),
    (review(with_meta(labels=[])), START + "returned invalid metadata: invalid metadata.labels of type []interface {} in converted object"),
    (review(with_meta(labels={"-": "x"})), START + 'returned invalid metadata: metadata.labels: Invalid value: "-": name part must consist of'),
])
def test_an_answer_that_is_not_this_object_is_told(answer: Any, why: str) -> None:
    with pytest.raises(ApiError) as told:
        ask(answer, [thing()])
    assert (told.value.code, "reason" in told.value.tree) == (500, False) and str(told.value).startswith(why)


def test_errors_about_lists_tell_the_item() -> None:
    with pytest.raises(ApiError) as told:
        ask(review(thing("a", NEW), with_meta(name="b")), [thing("a"), thing("c")], True)
    assert str(told.value) == "conversion webhook for example.com/v1, Kind=ThingList returned invalid converted object at index 1: must have the same name: c != b"


def test_old_reviews_are_spoken_where_no_others_are_known() -> None:
    old = {"response": {"result": {"status": "Success"}, "convertedObjects": [thing(version=NEW)]}}
    assert ask(old, [thing()], webhook={**WEBHOOK, "conversionReviewVersions": ["v9", "v1beta1"]}) == [thing(version=NEW)]
    with pytest.raises(ApiError, match="no supported conversion review versions"):
        ask(old, [thing()], webhook={**WEBHOOK, "conversionReviewVersions": ["v9"]})
