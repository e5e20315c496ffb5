"""The door to Envoy's messages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seaway.envoy import messages


@pytest.mark.parametrize("name", sorted(messages.NAMES))
def test_each_message_is_where_the_door_says(name: str) -> None:
    module, message = messages.NAMES[name]
    found = getattr(messages, name)
    assert (found.DESCRIPTOR.file.name, found.DESCRIPTOR.name) == (module.replace(".", "/").replace("_pb2", ".proto"), message)


def test_what_the_door_does_not_know_is_said() -> None:
    with pytest.raises(AttributeError, match="no message Clutser"):
        messages.Clutser  # noqa: B018


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, seaway.envoy.messages as m; print('envoy' in sys.modules, 'google.protobuf' in sys.modules);"
         "m.Cluster; print('envoy.config.cluster.v3.cluster_pb2' in sys.modules, 'envoy.config.route.v3.route_pb2' in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert told.stdout.split() == ["False", "False", "True", "False"]
