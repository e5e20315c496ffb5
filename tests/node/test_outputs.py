"""What a container writes: log lines, rotation, and clients that are attached."""

from __future__ import annotations

import os
import re
from pathlib import Path

from seaway.cluster.node.outputs import LOG_FILES, LOG_LINE, LogFile, Output, Sink


def texts(path: Path) -> list[tuple[str, str, str]]:
    """(stream, tag, text) of each line."""
    found = []
    for line in path.read_text().splitlines():
        when, stream, tag, text = line.split(" ", 3)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", when)
        found.append((stream, tag, text))
    return found


def test_lines_are_whole_and_an_unfinished_one_is_a_part(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "c" / "0.log"))
    out, err = Output(-1, "stdout", file), Output(-1, "stderr", file)
    out.feed(b"one\ntw")
    err.feed(b"problem\n")
    out.feed(b"o\nthree")
    out.end()
    err.end()
    assert texts(tmp_path / "c" / "0.log") == [
        ("stdout", "F", "one"), ("stderr", "F", "problem"), ("stdout", "F", "two"), ("stdout", "P", "three"),
    ]
    assert file.fd == -1


def test_a_long_line_is_written_in_parts(tmp_path: Path) -> None:
    out = Output(-1, "stdout", LogFile(str(tmp_path / "log")))
    out.feed(b"x" * (2 * LOG_LINE + 10) + b"\n" + b"y" * LOG_LINE)
    out.feed(b"z\n")
    tags = [(tag, len(text)) for _, tag, text in texts(tmp_path / "log")]
    assert tags == [("P", LOG_LINE), ("P", LOG_LINE), ("F", 10), ("P", LOG_LINE), ("F", 1)]


def test_logs_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    out = Output(-1, "stdout", LogFile(str(tmp_path / "log"), limit=1000))
    for number in range(1000):
        out.feed(f"line {number}\n".encode())
    sizes = {p.name: p.stat().st_size for p in tmp_path.iterdir()}
    assert set(sizes) == {"log", *(f"log.{n}" for n in range(1, LOG_FILES))}
    assert all(size < 1100 for size in sizes.values())
    newest = texts(tmp_path / "log") or texts(tmp_path / "log.1")
    assert newest[-1][2] == "line 999"
    assert int(texts(tmp_path / "log.1")[0][2].split()[1]) > int(texts(tmp_path / "log.2")[-1][2].split()[1])


def test_an_attached_client_gets_the_bytes_as_they_are(tmp_path: Path) -> None:
    out = Output(-1, "stdout", LogFile(str(tmp_path / "log")))
    read, write = os.pipe()
    out.sinks.append(Sink(write))
    assert out.feed(b"a\r\nb") == []
    assert os.read(read, 100) == b"a\r\nb" and not out.blocked
    os.close(read)
    [dead] = out.feed(b"c")
    assert dead is out.sinks[0]
    os.close(write)


def test_a_client_that_does_not_read_holds_the_container_up(tmp_path: Path) -> None:
    out = Output(-1, "stdout", LogFile(str(tmp_path / "log")))
    read, write = os.pipe()
    sink = Sink(write)
    out.sinks.append(sink)
    out.feed(b"x" * 200_000)
    assert out.blocked
    got = b""
    while out.blocked:
        got += os.read(read, 65536)
        assert sink.put(b"")
    got += os.read(read, 65536)
    assert got == b"x" * 200_000
    os.close(read)
    os.close(write)
