"""Parameters of writes and deletes, selectors and continue tokens: what is taken and what is refused, with which words."""

from __future__ import annotations

import pytest

from seaway.api import kinds, selectors
from seaway.cluster.apiserver import answers, listoptions, options
from seaway.cluster.apiserver.delete import finalizers_for
from seaway.cluster.apiserver.status import ApiError

CONFIGMAPS = kinds.by_resource()["", "v1", "configmaps"]
JOBS = kinds.by_resource()["batch", "v1", "jobs"]


@pytest.mark.parametrize(
    ("method", "media", "query", "want"),
    [
        ("POST", "", {"dryRun": "Some"}, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        ("PUT", "", {"fieldValidation": "x"}, 'fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict", "Warn"'),
        ("POST", "", {"fieldManager": "a" * 129}, "fieldManager: Too long: may not be more than 128 bytes"),
        ("POST", "", {"fieldManager": "a\n"}, "invalid character U+000A (at position 1)"),
        ("PATCH", options.APPLY, {}, "fieldManager: Required value: is required for apply patch"),
        ("PATCH", "application/merge-patch+json", {"force": "true"}, "force: Forbidden: may not be specified for non-apply patch"),
    ],
)
def test_options_of_writes_that_are_refused(method: str, media: str, query: dict, want: str) -> None:
    with pytest.raises(ApiError) as refused:
        options.write_options(method, media, query, [query["dryRun"]] if "dryRun" in query else [])
    assert refused.value.code == 422 and want in str(refused.value)
    assert refused.value.tree["details"]["kind"] == options.OPTIONS[method]


@pytest.mark.parametrize(
    ("have", "wanted", "want"),
    [
        ([], {}, []),
        ([], {"propagationPolicy": "Orphan"}, ["orphan"]),
        (["x/y"], {"propagationPolicy": "Foreground"}, ["x/y", "foregroundDeletion"]),
        (["orphan"], {"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        (["orphan"], {"propagationPolicy": "Background"}, []),
        (["orphan"], {}, ["orphan"]),
        (["orphan"], {"orphanDependents": False}, []),
        ([], {"orphanDependents": True}, ["orphan"]),
    ],
)
def test_the_options_decide_the_finalizers_of_garbage_collection(have: list, wanted: dict, want: list) -> None:
    assert finalizers_for(CONFIGMAPS, have, wanted) == want


def test_jobs_orphan_their_pods_unless_told_otherwise() -> None:
    assert finalizers_for(JOBS, [], {}) == ["orphan"]
    assert finalizers_for(JOBS, [], {"propagationPolicy": "Background"}) == []


@pytest.mark.parametrize(
    "text",
    ["", "a", "!a", "a=", "a=b", "a==b,c!=d", "a in (b,c)", "a in ()", "a notin (,b)", "x.y/a in (b), !z", "a>1,b<2", " a = b , c "],
)
def test_selectors_that_are_read(text: str) -> None:
    selectors.parse_labels(text)


def test_an_empty_value_in_a_set_is_a_value() -> None:
    found = selectors.parse_labels("a in (,b)")
    assert found.matches({"a": ""}) and found.matches({"a": "b"}) and not found.matches({})


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a>x", "for 'Gt', 'Lt' operators, the value must be an integer"),
    ],
)
def test_selectors_that_cannot_be_read_say_where(text: str, want: str) -> None:
    with pytest.raises(selectors.SelectorError) as refused:
        selectors.parse_labels(text)
    assert want in str(refused.value)


def test_a_continue_token_is_read_back_and_nonsense_is_refused() -> None:
    assert listoptions.decode_continue(listoptions.encode_continue(7, "ns/a")) == (7, "ns/a")
    for token in ("nonsense", "%%%", "e30", "W10"):
        with pytest.raises(ApiError) as refused:
            listoptions.decode_continue(token)
        assert refused.value.code == 400 and str(refused.value).startswith("invalid continue token: continue key is not valid: ")


@pytest.mark.parametrize(
    ("header", "shape"),
    [
        ("", "json"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "table"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", "json"),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "metadata-list"),
    ],
)
def test_the_first_form_that_there_is_is_taken(header: str, shape: str) -> None:
    assert answers.negotiate(header, {}).shape == shape


def test_forms_that_there_are_not_are_refused() -> None:
    for header in ("application/xml", "application/json;as=Nosuch;v=v1;g=meta.k8s.io"):
        with pytest.raises(ApiError) as refused:
            answers.negotiate(header, {})
        assert refused.value.code == 406
