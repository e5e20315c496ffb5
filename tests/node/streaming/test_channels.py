"""The channels of WebSocket streams: which protocol, how a message looks, what the last word is."""

from __future__ import annotations

import json

import pytest

from seaway.cluster.node.streaming.channels import (
    ERROR,
    PORT_FORWARD,
    SPDY,
    STDOUT,
    WEBSOCKET,
    Form,
    choose,
    exited,
    internal,
    success,
    terminal_size,
)


@pytest.mark.parametrize(
    ("offered", "taken", "want"),
    [
        (["v5.channel.k8s.io"], WEBSOCKET, "v5.channel.k8s.io"),
        (["v9.channel.k8s.io", "v4.channel.k8s.io"], WEBSOCKET, "v4.channel.k8s.io"),
        (["base64.channel.k8s.io"], WEBSOCKET, "base64.channel.k8s.io"),
        ([], WEBSOCKET, ""),
        (["chat"], WEBSOCKET, None),
        (["v5.channel.k8s.io", "v4.channel.k8s.io"], SPDY, "v4.channel.k8s.io"),
        ([], SPDY, ""),
        (["v5.channel.k8s.io"], PORT_FORWARD, None),
        (["portforward.k8s.io"], ("portforward.k8s.io",), "portforward.k8s.io"),
    ],
)
def test_the_clients_first_protocol_that_is_known_is_taken(offered: list[str], taken: tuple[str, ...], want: str | None) -> None:
    assert choose(offered, taken) == want


@pytest.mark.parametrize(
    ("protocol", "message"),
    [("v5.channel.k8s.io", b"\x01hi"), ("v4.channel.k8s.io", b"\x01hi"), ("", b"\x01hi"), ("v4.base64.channel.k8s.io", "1aGk="), ("base64.channel.k8s.io", "1aGk=")],
)
def test_a_message_is_its_channel_and_its_bytes(protocol: str, message: bytes | str) -> None:
    form = Form(protocol)
    assert form.pack(STDOUT, b"hi") == message
    assert form.unpack(message) == (STDOUT, b"hi")


@pytest.mark.parametrize(("protocol", "message"), [("", b""), ("base64.channel.k8s.io", "x"), ("base64.channel.k8s.io", "0???")])
def test_a_message_that_says_nothing_is_dropped(protocol: str, message: bytes | str) -> None:
    assert Form(protocol).unpack(message) is None


def test_only_the_fifth_version_closes_channels() -> None:
    assert [p for p in WEBSOCKET if Form(p).closes] == ["v5.channel.k8s.io"]


def test_the_last_word_is_a_status_since_the_fourth_version() -> None:
    failed = exited(["sh", "-c", "exit 7"], 7)
    told = json.loads(Form("v4.channel.k8s.io").last_word(failed))
    assert told["reason"] == "NonZeroExitCode" and told["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    text = "command terminated with non-zero exit code: error executing command [sh -c exit 7], exit code 7"
    assert Form("channel.k8s.io").last_word(failed) == text.encode() == told["message"].encode()
    assert Form("channel.k8s.io").last_word(success()) == b""
    assert json.loads(Form("v5.channel.k8s.io").last_word(success())) == {"metadata": {}, "status": "Success"}
    assert json.loads(Form("v5.channel.k8s.io").last_word(internal("x")))["message"] == "Internal error occurred: x"
    assert ERROR == 3


@pytest.mark.parametrize(
    ("data", "want"),
    [(b'{"Width":80,"Height":24}', (24, 80)), (b'{"Width":0,"Height":24}', None), (b"{", None), (b"[]", None), (b'{"Width":"x","Height":1}', None), (b'{"Width":99999,"Height":1}', None)],
)
def test_a_terminals_size_is_rows_and_columns(data: bytes, want: tuple[int, int] | None) -> None:
    assert terminal_size(data) == want
