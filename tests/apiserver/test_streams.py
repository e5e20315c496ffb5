"""What the API server makes of a request for a stream before the kubelet sees it."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from seaway.cluster.apiserver.requests import read
from seaway.cluster.apiserver.status import ApiError
from seaway.cluster.apiserver.streams import choose_container, kubelet_path, log_options


def pod(*containers: str, inits: tuple[str, ...] = (), ephemeral: tuple[str, ...] = ()) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": n} for n in containers]}
    if inits:
        spec["initContainers"] = [{"name": n} for n in inits]
    if ephemeral:
        spec["ephemeralContainers"] = [{"name": n} for n in ephemeral]
    return {"metadata": {"name": "p", "annotations": {"kubectl.kubernetes.io/default-container": "b"}}, "spec": spec}


@pytest.mark.parametrize(
    ("tree", "asked", "want"),
    [
        (pod("a"), "", "a"), (pod("a", "b"), "b", "b"), (pod("a", inits=("i",)), "i", "i"), (pod("a", ephemeral=("e",)), "e", "e"),
        (pod("a", "b"), "", "!a container name must be specified for pod p, choose one of: [a b]"),
        (pod("a", "b", inits=("i", "j")), "", "!a container name must be specified for pod p, choose one of: [i j a b]"),
        (pod("a"), "x", "!container x is not valid for pod p"),
    ],
)
def test_the_container_is_the_one_asked_for_or_the_only_one(tree: dict[str, Any], asked: str, want: str) -> None:
    if not want.startswith("!"):
        assert choose_container(tree, asked) == want
        return
    with pytest.raises(ApiError) as caught:
        choose_container(tree, asked)
    assert (caught.value.code, caught.value.tree["message"]) == (400, want[1:])


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ({}, {}),
        ({"tailLines": "5", "limitBytes": "10", "sinceSeconds": "3"}, {"tailLines": "5", "limitBytes": "10", "sinceSeconds": "3"}),
        ({"sinceTime": "2026-01-01T12:00:00Z"}, {"sinceTime": "2026-01-01T12:00:00Z"}),
        ({"sinceTime": "2026-01-01T12:00:00.123456789+02:00"}, {"sinceTime": "2026-01-01T12:00:00.123456789+02:00"}),
        ({"stream": "Stderr"}, {"stream": "Stderr"}), ({"stream": "All", "tailLines": "0"}, {"tailLines": "0"}),
        ({"tailLines": "-1"}, (422, 'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0')),
        ({"limitBytes": "0"}, (422, 'PodLogOptions "p" is invalid: limitBytes: Invalid value: 0: must be greater than 0')),
        ({"sinceSeconds": "0"}, (422, 'PodLogOptions "p" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0')),
        ({"sinceSeconds": "1", "sinceTime": "2026-01-01T12:00:00Z"}, (422, "at most one of `sinceTime` or `sinceSeconds` may be specified")),
        ({"stream": "Both"}, (422, 'stream: Unsupported value: "Both": supported values: "All", "Stderr", "Stdout"')),
        ({"stream": "Stdout", "tailLines": "1"}, (422, "`tailLines` and specific `stream` are mutually exclusive for now")),
        ({"tailLines": "x"}, (400, 'strconv.ParseInt: parsing "x": invalid syntax')),
        ({"limitBytes": "99999999999999999999"}, (400, 'strconv.ParseInt: parsing "99999999999999999999": value out of range')),
        ({"sinceTime": "yesterday"}, (400, 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"')),
        ({"sinceTime": "2026-01-01T12:00:00"}, (400, "parsing time")),
    ],
)
def test_log_options_are_checked(query: dict[str, str], want: dict[str, str] | tuple[int, str]) -> None:
    if isinstance(want, dict):
        assert log_options(query, "p") == want
        return
    with pytest.raises(ApiError) as caught:
        log_options(query, "p")
    assert caught.value.code == want[0] and want[1] in caught.value.tree["message"]


@pytest.mark.parametrize(
    ("subresource", "query", "want"),
    [
        ("log", [("follow", "true"), ("timestamps", "false"), ("previous", "")], "/containerLogs/ns/p/a?follow=true&previous=true"),
        ("exec", [("command", "sh"), ("command", "-c"), ("command", "a b&c"), ("stdin", "1"), ("evil", "x")], "/exec/ns/p/a?stdin=true&command=sh&command=-c&command=a+b%26c"),
        ("attach", [("container", "a"), ("tty", "true")], "/attach/ns/p/a?tty=true"),
        ("portforward", [("ports", "80"), ("ports", "81")], "/portForward/ns/p?ports=80&ports=81"),
    ],
)
def test_the_kubelet_is_asked_for_what_is_known_and_no_more(subresource: str, query: list[tuple[str, str]], want: str) -> None:
    options = MultiDict(query)
    info = read("GET", f"/api/v1/namespaces/ns/pods/p/{subresource}", options)
    assert kubelet_path(pod("a"), info, options) == want
