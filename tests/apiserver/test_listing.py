"""Lists in pieces: whatever the form, the pieces together are the whole, and no piece is much."""

from __future__ import annotations

import json

import pytest
import yaml

from seaway.api import kinds
from seaway.cluster.apiserver import protobuf
from seaway.cluster.apiserver.answers import Form
from seaway.cluster.apiserver.listing import PIECE, ROWS, Listing
from seaway.cluster.apiserver.storage import Entry, encode

PODS = kinds.by_resource()[("", "v1", "pods")]
EVENTS = kinds.by_resource()[("events.k8s.io", "v1", "events")]
DEFINITIONS = kinds.by_resource()[("apiextensions.k8s.io", "v1", "customresourcedefinitions")]
NOW = 1_800_000_000.0


def pod(number: int, pad: int = 0) -> Entry:
    meta = {"name": f"p{number}", "namespace": "n", "resourceVersion": str(number), "annotations": {"a": "x" * pad}}
    spec = {"containers": [{"name": "c", "image": "i", "resources": {}}]}
    tree = {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": spec, "status": {"phase": "Running"}}
    return Entry(f"n/p{number}", number, encode(tree))


def listing(count: int, form: Form, pad: int = 0) -> Listing:
    return Listing(PODS, "pods", [pod(i, pad) for i in range(count)], {"resourceVersion": "9"}, form, NOW)


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1, 500])
def test_json_and_yaml_say_the_same(count: int) -> None:
    for shape in ("json", "table", "metadata-list"):
        plain = json.loads(b"".join(listing(count, Form(shape)).pieces()))
        other = yaml.safe_load(b"".join(listing(count, Form(shape, media="application/yaml")).pieces()))
        assert other == plain
        assert list(other) == sorted(other), "its keys are sorted"
        found = plain["rows" if shape == "table" else "items"]
        names = [(i["object"] if shape == "table" else i)["metadata"]["name"] for i in found]
        assert names == [f"p{i}" for i in range(count)]
        assert plain["metadata"] == {"resourceVersion": "9"}
    items = json.loads(b"".join(listing(count, Form()).pieces()))["items"]
    assert not any("kind" in i or "apiVersion" in i for i in items), "the list says it once"


@pytest.mark.parametrize("count", [0, 3, 200])
def test_protobuf_is_what_it_is_as_a_whole(count: int) -> None:
    found = b"".join(listing(count, Form(media=protobuf.CONTENT_TYPE)).pieces())
    whole = json.loads(b"".join(listing(count, Form()).pieces()))
    assert found == protobuf.encode(whole, "k8s.io.api.core.v1.PodList")


def test_definitions_are_sent_in_protobuf_too() -> None:
    form = Form(media=protobuf.CONTENT_TYPE)
    found = Listing(DEFINITIONS, "customresourcedefinitions.apiextensions.k8s.io", [], {}, form, NOW)
    assert found.media == protobuf.CONTENT_TYPE
    name = "k8s.io.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionList"
    assert protobuf.decode(b"".join(found.pieces()), lambda *_: name)["kind"] == "CustomResourceDefinitionList"


def test_a_table_without_a_printer_has_no_rows_rather_than_none_of_them() -> None:
    kind = kinds.by_resource()[("", "v1", "podtemplates")]
    found = Listing(kind, "unknown.example.com", [], {}, Form("table"), NOW)
    assert json.loads(b"".join(found.pieces()))["rows"] is None


def test_no_piece_is_much() -> None:
    for shape, media in (("json", "application/json"), ("table", "application/json"), ("json", "application/yaml")):
        found = list(listing(400, Form(shape, media=media), pad=5000).pieces())
        assert max(map(len, found)) < 4 * PIECE and len(found) > 5
    assert listing(5, Form()).small and not listing(5, Form(), pad=40_000).small


def test_a_kind_in_two_forms_is_shown_in_the_one_that_was_asked_for() -> None:
    tree = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}, "involvedObject": {"name": "p"}, "message": "m"}
    found = Listing(EVENTS, "events", [Entry("n/e", 1, encode(tree))], {}, Form(), NOW)
    item = json.loads(b"".join(found.pieces()))["items"][0]
    assert item["regarding"] == {"name": "p"} and item["note"] == "m"
