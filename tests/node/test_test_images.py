"""Built-in programs that stand in for test images: their routes, their arguments, and what they refuse."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from seaway.cluster.node import images
from seaway.cluster.node.programs import agnhost_files, agnhost_net, echo_basic, echo_server, flags, httpbin
from seaway.cluster.node.programs.http import Answer, Later, Request, _chunked


def request(target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Request:
    named = (("Host", "h:80"), *((k.replace("_", "-"), v) for k, v in headers.items()))
    return Request(method, target, "HTTP/1.1", named, body, ("10.1.1.1", 999))


def ask(handler: Callable[[Request], Answer | Later], *args: object, **headers: str) -> Answer:
    found = handler(request(*args, **headers))  # type: ignore[arg-type]
    return found.run() if isinstance(found, Later) else found


PYTHON, GO = httpbin.Httpbin(lists=False), httpbin.Httpbin(lists=True)


@pytest.mark.parametrize(
    ("target", "status", "headers"),
    [("/get", 200, {}), ("/status/418", 418, {}), ("/status/503", 503, {}), ("/status/999", 400, {}), ("/status/200,200", 200, {}),
     ("/redirect/2", 302, {"Location": "/relative-redirect/1"}), ("/redirect/1", 302, {"Location": "/get"}),
     ("/absolute-redirect/1", 302, {"Location": "http://h:80/get"}), ("/redirect-to?url=/x&status_code=307", 307, {"Location": "/x"}),
     ("/redirect-to", 400, {}), ("/basic-auth/u/p", 401, {"WWW-Authenticate": 'Basic realm="Fake Realm"'}), ("/bearer", 401, {}),
     ("/cookies/set?a=1", 302, {"Location": "/cookies", "Set-Cookie": "a=1; Path=/"}), ("/cache/60", 200, {"Cache-Control": "public, max-age=60"}),
     ("/etag/x", 200, {"ETag": '"x"'}), ("/response-headers?X-A=1", 200, {"X-A": "1"}), ("/none", 404, {}), ("/post", 405, {"Allow": "POST"}),
     ("/uuid", 200, {}), ("/delay/0", 200, {}), ("/robots.txt", 200, {}), ("/anything/at/all", 200, {})],
)
def test_httpbin_answers_as_it_is_asked(target: str, status: int, headers: dict[str, str]) -> None:
    for server in (PYTHON, GO):
        found = ask(server, target)
        assert found.status == status and headers.items() <= dict(found.headers).items()


def test_httpbin_tells_requests_back_in_both_forms() -> None:
    python = json.loads(ask(PYTHON, "/get?a=1&b=2&b=3", X_Test="y").body)
    assert python["args"] == {"a": "1", "b": ["2", "3"]} and python["headers"]["X-Test"] == "y" and python["origin"] == "10.1.1.1"
    assert python["url"] == "http://h:80/get?a=1&b=2&b=3" and "method" not in python
    go = json.loads(ask(GO, "/get?a=1", X_Test="y").body)
    assert go["args"] == {"a": ["1"]} and go["headers"]["X-Test"] == ["y"] and go["method"] == "GET"
    posted = json.loads(ask(PYTHON, "/post", "POST", b'{"k": 1}', Content_Type="application/json").body)
    assert posted["json"] == {"k": 1} and posted["data"] == '{"k": 1}' and posted["form"] == {}
    form = json.loads(ask(PYTHON, "/anything", "PUT", b"a=1", Content_Type="application/x-www-form-urlencoded").body)
    assert form["form"] == {"a": "1"} and form["method"] == "PUT"


def test_httpbin_streams_bytes_and_checks_who_asks() -> None:
    assert len(ask(PYTHON, "/bytes/500").body) == 500 and len(ask(PYTHON, "/bytes/999999999").body) == httpbin.BYTES
    assert [json.loads(line)["id"] for line in ask(PYTHON, "/stream/3").body.splitlines()] == [0, 1, 2]
    secret = base64.b64encode(b"u:p").decode()
    assert json.loads(ask(PYTHON, "/basic-auth/u/p", Authorization=f"Basic {secret}").body) == {"authenticated": True, "user": "u"}
    assert ask(PYTHON, "/basic-auth/u/q", Authorization=f"Basic {secret}").status == 401
    assert ask(PYTHON, "/etag/x", If_None_Match='"x"').status == 304
    assert json.loads(ask(PYTHON, "/cookies", Cookie="a=1; b=2").body) == {"cookies": {"a": "1", "b": "2"}}
    import gzip

    assert json.loads(gzip.decompress(ask(PYTHON, "/gzip").body))["gzipped"] is True


def test_echo_basic_speaks_as_the_conformance_tests_read_it() -> None:
    told = echo_basic.describe(request("/p?q=1", x_two="b", X_TWO="c"), {"namespace": "ns", "ingress": "", "service": "s", "pod": "p-1"})
    assert told == {"path": "/p?q=1", "host": "h:80", "method": "GET", "proto": "HTTP/1.1", "headers": {"X-Two": ["b", "c"]},
                    "namespace": "ns", "ingress": "", "service": "s", "pod": "p-1"}
    assert echo_basic.asked_headers(request("/", X_Echo_Set_Header="A:1, B : 2")) == (("A", "1"), ("B", "2"))


ON = dict.fromkeys(echo_server.PARTS, True)


def test_echo_server_tells_and_obeys() -> None:
    def handle(asked: Request) -> Answer | Later:
        return echo_server.answer(asked, {**ON, "ENVIRONMENT": False}, {"WHO": "me"}, "pod")

    told = json.loads(ask(handle, "/a/b?x=1", Cookie="c=d").body)
    assert told["host"]["hostname"] == "h" and told["http"]["originalUrl"] == "/a/b?x=1" and "environment" not in told
    assert told["request"]["query"] == {"x": "1"} and told["request"]["cookies"] == {"c": "d"} and told["request"]["headers"]["host"] == "h:80"
    assert ask(handle, "/?echo_code=404").status == 404 and ask(handle, "/", X_ECHO_CODE="503").status == 503
    assert ask(handle, "/?echo_body=hello").body == b'"hello"' and ask(handle, "/?echo_env_body=WHO").body == b'"me"'
    assert ask(handle, "/?echo_header=One:1,%20Two:2").headers == (("One", "1"), ("Two", "2"))
    before = time.monotonic()
    assert ask(handle, "/?echo_time=50").status == 200 and time.monotonic() - before >= 0.05


def test_variables_that_would_be_ignored_end_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "termination-log"
    log.write_text("")
    monkeypatch.setattr(flags, "TERMINATION_LOG", str(log))
    for name, main in (("ENABLE__FILE", echo_server.main), ("GUNICORN_CMD_ARGS", httpbin.main), ("MAX_BODY_SIZE", httpbin.go_main)):
        monkeypatch.setenv(name, "1")
        with pytest.raises(SystemExit) as caught:
            main(["program"])
        assert caught.value.code == 2 and name in log.read_text() and "seaway image load" in capsys.readouterr().err
        monkeypatch.delenv(name)
        log.write_text("")


@pytest.mark.parametrize(("text", "want"), [("300ms", 0.3), ("1h2m3s", 3723.0), ("1.5s", 1.5), ("0", 0.0), ("", 0.0)])
def test_durations_are_gos(text: str, want: float) -> None:
    assert flags.duration(text) == pytest.approx(want)


@pytest.mark.parametrize("text", ["5", "s", "1x", "-1s", "1 s"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        flags.duration(text)


def test_chunked_bodies_are_put_together() -> None:
    wire = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\nNEXT"
    assert _chunked(wire) == (b"abcde", b"NEXT")
    assert all(_chunked(wire[:n]) is None for n in range(len(wire) - 5))
    with pytest.raises(ValueError):
        _chunked(b"zz\r\n")


@pytest.mark.parametrize(
    ("mode", "want"), [(0o40755, "drwxr-xr-x"), (0o41777, "dtrwxrwxrwx"), (0o100644, "-rw-r--r--"), (0o120777, "Lrwxrwxrwx"), (0o42770, "dgrwxrwx---")]
)
def test_modes_are_shown_as_go_shows_them(mode: int, want: str) -> None:
    assert agnhost_files._go_mode(mode) == want


@pytest.mark.parametrize(
    ("image", "word", "want"),
    [("registry.k8s.io/e2e-test-images/agnhost:2.53", "/agnhost", True), ("traefik/whoami", "/whoami", True),
     ("hashicorp/http-echo", "/http-echo", True), ("mccutchen/go-httpbin", "/bin/go-httpbin", True), ("traefik/whoami", "sh", False)],
)
def test_a_command_may_name_the_images_own_program(image: str, word: str, want: bool) -> None:
    found = images.resolve(image, {}, lambda p: False)
    assert isinstance(found, images.Image) and images.is_own_program(found, word) is want


SOURCE = str(Path(images.__file__).resolve().parents[3])
RUN = "import sys; sys.path.insert(0, {source!r}); from seaway.cluster.node.programs import {module} as m; sys.exit(m.{function}({argv!r}))"


class Running:
    """A built-in program as a process on a port of this test's."""

    def __init__(self, module: str, argv: list[str], env: dict[str, str] | None = None, function: str = "main") -> None:
        text = RUN.format(source=SOURCE, module=module, function=function, argv=argv)
        self.process = subprocess.Popen([sys.executable, "-c", text], env={**os.environ, **(env or {})})

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0

    def get(self, url: str, **options: object) -> tuple[int, bytes]:
        end = time.monotonic() + 15
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10, **options) as answer:  # type: ignore[arg-type]
                    return answer.status, answer.read()
            except urllib.error.HTTPError as e:
                return e.code, e.read()
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None
                time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_slow_answers_hold_nobody_up_and_a_pod_may_dial_itself() -> None:
    port = free_port()
    with Running("agnhost", ["agnhost", "netexec", f"--http-port={port}", "--udp-port=-1"]) as program:
        base = f"http://127.0.0.1:{port}"
        assert program.get(f"{base}/hostName")[1].decode() == socket.gethostname()
        told = json.loads(program.get(f"{base}/dial?host=127.0.0.1&port={port}&request=echo%3Fmsg%3Dx&tries=2")[1])
        assert told == {"responses": ["x", "x"]}
        assert program.get(f"{base}/echo?msg=gone&code=410") == (410, b"gone") and program.get(f"{base}/shell?cmd=id")[0] == 501
        assert re.match(rb"127\.0\.0\.1:\d+\Z", program.get(f"{base}/clientip")[1])


def test_echo_basic_serves_tls_with_its_pods_name(tmp_path: Path) -> None:
    import ssl

    from seaway.pki.authority import Authority

    pair = Authority.new("test", time.time()).issue("echo", time.time(), (), ("localhost", "127.0.0.1"), server=True)
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    plain, secure = free_port(), free_port()
    env = {"HTTP_PORT": str(plain), "H2C_PORT": str(free_port()), "HTTPS_PORT": str(secure), "TLS_SERVER_CERT": str(tmp_path / "crt"),
           "TLS_SERVER_PRIVKEY": str(tmp_path / "key"), "POD_NAME": "pod-1", "NAMESPACE": "ns"}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Running("echo_basic", ["echo-basic"], env) as program:
        told = json.loads(program.get(f"http://127.0.0.1:{plain}/x?delay=20ms")[1])
        assert (told["pod"], told["namespace"], told["path"]) == ("pod-1", "ns", "/x?delay=20ms") and "tls" not in told
        secured = json.loads(program.get(f"https://localhost:{secure}/x", context=context)[1])
        assert secured["tls"]["version"].startswith("TLSv1.") and secured["sni"] == "localhost"


def test_porter_serves_each_port_its_own_text() -> None:
    one, two = free_port(), free_port()
    with Running("agnhost", ["agnhost", "porter"], {f"SERVE_PORT_{one}": "first", f"SERVE_PORT_{two}": "second"}) as program:
        assert program.get(f"http://127.0.0.1:{one}/")[1] == b"first" and program.get(f"http://127.0.0.1:{two}/")[1] == b"second"


def test_connect_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        assert agnhost_net.connect([f"127.0.0.1:{sock.getsockname()[1]}", "--timeout=2s"]) == 0
    assert agnhost_net.connect(["--timeout=2s", "--protocol=tcp", "no.such.host.invalid:80"]) == 1
    assert capsys.readouterr().err.startswith("DNS: ")
