"""Built-in programs: flags as Go reads them, answers as the originals give them, and refusals of the rest."""

from __future__ import annotations

import pytest

from seaway.cluster.node.programs import agnhost, flags, http_echo, whoami
from seaway.cluster.node.programs.http import Answer, Connection, Request

DEFAULTS = {"port": 80, "name": "", "verbose": False}


@pytest.mark.parametrize(
    ("words", "want"),
    [([], {}), (["--port", "8080"], {"port": 8080}), (["-port=8080", "-verbose"], {"port": 8080, "verbose": True}),
     (["--verbose=false", "--name", "a b"], {"name": "a b"})],
)
def test_flags_are_read_as_go_reads_them(words: list[str], want: dict) -> None:
    assert flags.parse("p", words, DEFAULTS) == {**DEFAULTS, **want}


@pytest.mark.parametrize("words", [["--none"], ["x"], ["--port"], ["--port", "many"], ["--verbose=perhaps"]])
def test_an_unknown_flag_ends_the_program(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        flags.parse("p", words, DEFAULTS)
    assert caught.value.code == 2 and capsys.readouterr().err.startswith("p: ")


def test_what_is_not_built_in_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        agnhost.main(["agnhost", "guestbook"])
    assert caught.value.code == 2
    assert http_echo.main(["http-echo"]) == 127
    assert "not built in here" in capsys.readouterr().err


def test_whoami_describes_the_request() -> None:
    request = Request("GET", "/a?b=c", "HTTP/1.1", (("Accept", "*/*"), ("Host", "web")), b"", ("10.1.1.1", 999))
    text = whoami.describe(request, "", "pod", ["10.1.1.2"])
    assert text == "Hostname: pod\nIP: 10.1.1.2\nRemoteAddr: 10.1.1.1:999\nGET /a?b=c HTTP/1.1\nHost: web\nAccept: */*\n\n"


@pytest.mark.parametrize("cut", [1, 7, 40, 10_000])
def test_requests_are_answered_in_order_however_they_arrive(cut: int) -> None:
    wire = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyzGET /c HTTP/1.1\r\nConnection: close\r\n\r\n"
    connection = Connection(None, ("", 0))  # type: ignore[arg-type]
    for at in range(0, len(wire), cut):
        connection.data += wire[at : at + cut]
        connection.feed(lambda request: Answer(200, request.path.encode() + request.body))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in connection.out.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"/a", b"/bxyz", b"/c"] and connection.close


def test_a_wrong_request_is_refused_and_closed() -> None:
    connection = Connection(None, ("", 0))  # type: ignore[arg-type]
    connection.data = b"nonsense\r\n\r\n"
    connection.feed(lambda request: Answer(200, b""))
    assert connection.out.startswith(b"HTTP/1.1 400 ") and connection.close
