"""The language: words, keys, zones, imports, snippets, the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from seaway.dns.corefile import CorefileError, read
from seaway.dns.corefile.disk import Disk
from seaway.dns.corefile.outside import Given
from seaway.dns.corefile.tokens import tokens
from seaway.dns.corefile.zones import zones_of
from seaway.dns.presentation import name

REVERSE = ("in-addr", "arpa")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc", [("a", 1), ("b", 1), ("c", 1)]),
        ("a\n\n b\r\nc", [("a", 1), ("b", 3), ("c", 4)]),
        ("\ufeffa", [("a", 1)]),
        ("# all\na # rest\nb#rest\n#", [("a", 2), ("b", 3)]),
        ('"a b" c', [("a b", 1), ("c", 1)]),
        ('"a # { b"', [("a # { b", 1)]),
        (r'"say \"x\" \d \\"', [(r'say "x" \d \\', 1)]),
        ('"two\nlines" c\nd', [("two\nlines", 1), ("c", 2), ("d", 3)]),
        ('a"b" c', [('a"b"', 1), ("c", 1)]),
        ('"" x', [("", 1), ("x", 1)]),
        (r"(.*)\.a\.test", [(r"(.*)\.a\.test", 1)]),
        ("a{b} { }", [("a{b}", 1), ("{", 1), ("}", 1)]),
        ("", []),
    ],
)
def test_a_text_is_words_with_their_lines(text: str, words: list) -> None:
    assert [(t.text, t.line) for t in tokens(text, "Corefile")] == words


KEYS = [
    (". {", [(((),), 53, "dns")]),
    (".:1053 {", [(((),), 1053, "dns")]),
    ("dns://.:1053 {", [(((),), 1053, "dns")]),
    ("Example.TEST. {", [((("example", "test"),), 53, "dns")]),
    ("a.test b.test {", [((("a", "test"), ("b", "test")), 53, "dns")]),
    ("a.test, b.test {", [((("a", "test"), ("b", "test")), 53, "dns")]),
    ("a.test,\nb.test {", [((("a", "test"), ("b", "test")), 53, "dns")]),
    ("a.test,b.test {", [((("a", "test"), ("b", "test")), 53, "dns")]),
    ("a.test b.test:54 {", [((("a", "test"),), 53, "dns"), ((("b", "test"),), 54, "dns")]),
    ("10.0.0.0/24 {", [((("0", "0", "10", *REVERSE),), 53, "dns")]),
    ("10.0.0.0/8:5300 {", [((("10", *REVERSE),), 5300, "dns")]),
    ("192.168.4.0/22 {", [(tuple((str(n), "168", "192", *REVERSE) for n in (4, 5, 6, 7)), 53, "dns")]),
    ("2001:db8::/32 {", [((("8", "b", "d", "0", "1", "0", "0", "2", "ip6", "arpa"),), 53, "dns")]),
    ("2001:db8::/31 {", [(tuple((d, "b", "d", "0", "1", "0", "0", "2", "ip6", "arpa") for d in "89"), 53, "dns")]),
    ("fd00::/8:54 {", [((("d", "f", "ip6", "arpa"),), 54, "dns")]),
    ("{$ZONE}:54 {", [((("env", "test"),), 54, "dns")]),
    ("x.{%ZONE%} {", [((("x", "env", "test"),), 53, "dns")]),
    ("a\\.b.test {", [((("a.b", "test"),), 53, "dns")]),
]


@pytest.mark.parametrize(("line", "expected"), KEYS)
def test_keys_are_zones_on_ports(line: str, expected: list) -> None:
    found = read(f"{line}\n}}\n", Given(environment={"ZONE": "env.test"}))
    assert [(b.zones, b.port, b.transport) for b in found.blocks] == expected


def test_a_network_that_ends_within_an_octet_is_as_many_zones_as_it_takes() -> None:
    zones, port = zones_of("10.0.0.128/25")
    assert (len(zones), zones[0], zones[-1], port) == (128, ("128", "0", "0", "10", *REVERSE), ("255", "0", "0", "10", *REVERSE), None)


def test_names_have_escapes_and_octets() -> None:
    assert [name(t) for t in (".", "A.b.", r"a\.b.c", r"\065.b", "é.test")] == [(), ("a", "b"), ("a.b", "c"), ("a", "b"), ("Ã©", "test")]


def test_an_only_block_needs_no_braces() -> None:
    found = read("example.test\nerrors\ncache 30 {\nkeepttl\n}\nloop\n")
    (block,) = found.blocks
    assert block.zones == (("example", "test"),) and block.loop and block.errors and block.cache and block.cache.keepttl


def test_a_key_alone_is_a_block_that_answers_nothing() -> None:
    assert [b.zones for b in read("example.test").blocks] == [(("example", "test"),)]


def test_snippets_stand_for_their_lines_in_blocks_and_in_properties() -> None:
    text = """
    (base) {
        errors
        cache 30 {
            keepttl
        }
    }
    (modes) {
        pods verified
        ttl {$TTL}
    }
    a.test {
        import base
        kubernetes cluster.local {
            import modes
            fallthrough
        }
    }
    b.test {
        import base
        import modes-of-another
    }
    """
    found = read(text.replace("import modes-of-another", "loop"), Given(environment={"TTL": "44"}))
    a, b = found.blocks
    assert a.kubernetes and (a.kubernetes.pods, a.kubernetes.ttl, a.kubernetes.fallthrough) == ("verified", 44, ((),))
    assert b.loop and a.cache == b.cache and a.cache and a.cache.keepttl


def test_files_are_imported_beside_the_file_that_names_them() -> None:
    files = {
        "/etc/dns/parts/first.server": "one.test {\nimport ../common/errors\n}\n",
        "/etc/dns/parts/second.server": "two.test {\nimport /etc/dns/common/errors\n}\n",
        "/etc/dns/parts/deep/third.server": "three.test {\n}\n",
        "/etc/dns/common/errors": "errors\nimport log",
        "/etc/dns/common/log": "log . {\nclass error\n}",
    }
    found = read("import parts/*.server\n. {\nimport common/errors\n}\n", Given(files), "/etc/dns/Corefile")
    assert [b.zones[0] for b in found.blocks] == [("one", "test"), ("two", "test"), ()]
    assert all(b.errors and b.logs[0].classes == ("error",) for b in found.blocks)


def test_an_empty_value_of_the_environment_leaves_no_word() -> None:
    assert read("a.test {$MORE} {\n}\n").blocks[0].zones == (("a", "test"),)


def test_settings_of_the_same_text_are_equal_so_that_a_change_shows() -> None:
    one, other = (read(". {\nforward . 192.0.2.1\ncache 30\n}\n") for _ in range(2))
    assert one == other != read(". {\nforward . 192.0.2.1\ncache 31\n}\n")
    assert hash(one) == hash(other)


def test_a_corefile_is_read_from_disk_with_what_it_imports(tmp_path: Path) -> None:
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "a.server").write_text("a.test {\nbind lo\n}\n")
    (tmp_path / "custom" / ".b.server").write_text("b.test {\nroot /etc/dns\nhosts names\nforward . {$UPSTREAM}\n}\n")
    disk = Disk()
    disk.environment = {"UPSTREAM": f"{tmp_path}/resolv.conf"}
    b, a = read("import custom/*.server\n", disk, f"{tmp_path}/Corefile").blocks
    assert a.binds[0] == "127.0.0.1"
    assert b.hosts and b.hosts.file == "/etc/dns/names" and b.forwards[0].files == (f"{tmp_path}/resolv.conf",)


def test_what_the_disk_does_not_hold_is_said(tmp_path: Path) -> None:
    disk = Disk()
    assert (disk.matching(f"{tmp_path}/x"), disk.interface("nosuch0"), disk.addresses("no.such.host.invalid")) == ([], [], [])
    with pytest.raises(CorefileError, match=r"Corefile:1: import .*: .* cannot be read: Is a directory"):
        read(f"import {tmp_path}\n", disk)
