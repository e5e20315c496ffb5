"""Corefiles that are refused: each with its place, and with what would be right."""

from __future__ import annotations

import random

import pytest

from seaway.dns.corefile import CorefileError, read
from seaway.dns.corefile.outside import Given

# What stands in a block from line 2 on, and the message after "Corefile:".
LINES = [
    ("kubernets cluster.local", "2: unknown directive 'kubernets'; did you mean kubernetes?"),
    ("frobnicate", "2: unknown directive 'frobnicate'"),
    ("proxy . 192.0.2.1", "2: unknown directive 'proxy'; it was removed in CoreDNS 1.5: write forward instead"),
    ("ttl 30", "2: unknown directive 'ttl'; it is a property: write it between the braces of a plugin"),
    ("errors\nother.test", "3: unknown directive 'other.test'; if it is a zone, end the line before it with a comma"),
    ("errors\nerrors", "3: errors: only one errors may stand in a block; the first is at Corefile:2"),
    ("cache { keepttl }", "2: the } that ends cache must stand in a line of its own"),
    ("cache {\nkeepttl\n} loop", "4: 'loop' stands after the } that ends cache; begin a new line"),
    ("cache\n{\n}", "3: the { of cache must stand in its line"),
    ("cache {\nsuccess {\n}\n}", "3: cache has no blocks inside its block: unexpected '{'"),
    ("cache 30 }", "2: the } that ends the block must stand in a line of its own, not behind cache"),
    ('log . "a b', '2: a " without the " that ends it'),
    ("forward . 192.0.2.1 \\\n192.0.2.2", "2: a Corefile's lines cannot be continued by \\; write all of it in one line"),
    ("import", "2: import takes a snippet's name, a file or a pattern"),
    ("import a b", "2: import takes one argument, not 2: snippets have no parameters"),
    ("import nowhere.conf", "2: import nowhere.conf: there is neither a snippet nor a file of this name"),
    ("import a/*/*.conf", "2: import a/*/*.conf: a pattern may have one * and one ?, and no [ ]"),
    ("import folder", "2: import folder: folder cannot be read: Is a directory"),
    ("kubernetes 10.0.0.0/8", "2: kubernetes: at least one zone must not be a reverse zone, like cluster.local"),
    ("kubernetes a..b", "2: kubernetes: 'a..b' is not a domain name: it has an empty label"),
    ("kubernetes c.local {\nttll 30\n}", "3: unknown property 'ttll' in kubernetes; did you mean ttl?"),
    ("kubernetes c.local {\nttl 3601\n}", "3: kubernetes: ttl must be 0 to 3600, not 3601"),
    ("kubernetes c.local {\nttl -1\n}", "3: kubernetes: ttl must be 0 to 3600, not -1"),
    ("kubernetes c.local {\nttl 5s\n}", "3: kubernetes: ttl: '5s' is not a whole number"),
    ("kubernetes c.local {\nttl\n}", "3: kubernetes: write ttl SECONDS, not 'ttl'"),
    ("kubernetes c.local {\npods\n}", "3: kubernetes: write pods disabled|insecure|verified, not 'pods'"),
    ("kubernetes c.local {\npods all\n}", "3: kubernetes: pods is one of disabled, insecure, verified, not 'all'"),
    ("kubernetes c.local {\nnamespaces\n}", "3: kubernetes: write namespaces NAMESPACE..., not 'namespaces'"),
    ("kubernetes c.local {\nnoendpoints yes\n}", "3: kubernetes: noendpoints takes no argument, not 'yes'"),
    ("kubernetes c.local {\nignore all\n}", "3: kubernetes: ignore is one of empty_service, not 'all'"),
    ("kubernetes c.local {\ntls a b\n}", "3: kubernetes: write tls CERT KEY CA, not 'tls a b'"),
    ("kubernetes c.local {\nkubeconfig\n}", "3: kubernetes: write kubeconfig FILE [CONTEXT], not 'kubeconfig'"),
    ("kubernetes c.local {\nstartup_timeout 5\n}",
     "3: kubernetes: startup_timeout: '5' is not a duration; write a number with its unit, like 30s, 500ms or 1h"),
    ("kubernetes c.local {\nupstream\n}",
     "3: unknown property 'upstream' in kubernetes; it was removed in CoreDNS 1.7, as names are always looked up by the server itself: delete the line"),
    ("kubernetes c.local {\nnamespaces a\nnamespace_labels a=b\n}",
     "2: kubernetes: namespaces and namespace_labels cannot both be set; delete one of them"),
    ("kubernetes c.local {\nmulticluster d.local\n}", "3: kubernetes: multicluster d.local: it is not one of the plugin's zones (c.local)"),
    ("kubernetes c.local {\nzonal\nnoendpoints\n}", "3: kubernetes: zonal needs endpoints; delete zonal or noendpoints"),
    ("kubernetes c.local {\napiserver_qps -1\n}", "3: kubernetes: apiserver_qps must be a number of at least 0, not '-1'"),
    ("forward", "2: forward: write forward FROM TO..., not 'forward'"),
    ("forward .", "2: forward: write forward FROM TO..., not 'forward .'"),
    ("forward . a", "2: forward: the host 'a' cannot be resolved, nor is there a file of this name; write its address"),
    ("forward . 192.0.2.1:70000", "2: forward: '192.0.2.1:70000': '70000' is not a port"),
    ("forward . 192.0.2.1:dns", "2: forward: '192.0.2.1:dns': 'dns' is not a port"),
    ("forward . tls://", "2: forward: 'tls://' is not an upstream: there is no address in it"),
    ("forward . https://192.0.2.1", "2: forward: 'https://192.0.2.1': DNS over HTTPS is not supported; write tls:// in its place"),
    ("forward . quic://192.0.2.1",
     "2: forward: 'quic://192.0.2.1': queries cannot be forwarded by quic; write tls://ADDRESS or an address"),
    ("forward . " + " ".join(f"192.0.2.{n}" for n in range(16)), "2: forward: at most 15 upstreams, not 16"),
    ("forward . 192.0.2.1 {\npolicy random_robin\n}", "3: forward: policy is one of random, round_robin, sequential, not 'random_robin'"),
    ("forward . 192.0.2.1 {\nmax_fails -1\n}", "3: forward: max_fails must be 0 to 4294967295, not -1"),
    ("forward . 192.0.2.1 {\nexpire -1s\n}", "3: forward: expire cannot be negative: -1s"),
    ("forward . 192.0.2.1 {\nforce_tcp always\n}", "3: forward: force_tcp takes no argument, not 'always'"),
    ("forward . 192.0.2.1 {\nhealth_check\n}", "3: forward: write health_check DURATION [no_rec] [domain FQDN], not 'health_check'"),
    ("forward . 192.0.2.1 {\nhealth_check 5s no_recursion\n}",
     "3: forward: write health_check DURATION [no_rec] [domain FQDN]; 'no_recursion' has no place in it"),
    ("forward . 192.0.2.1 {\nhealth_check 5s domain a..b\n}", "3: forward: health_check: 'a..b' is not a domain name: it has an empty label"),
    ("forward . 192.0.2.1 {\nnext NODATA\n}", "3: forward: 'NODATA' is not an rcode; they are words like NXDOMAIN, SERVFAIL and REFUSED"),
    ("forward . 192.0.2.1 {\nfailover NOERROR\n}", "3: forward: failover cannot hold NOERROR: it is the rcode of an answer that is right"),
    ("forward . 192.0.2.1 {\ntls a b c d\n}", "3: forward: write tls [CA | CERT KEY [CA]], not 'tls a b c d'"),
    ("forward . tls://192.0.2.1%a.test {\ntls_servername b.test\n}",
     "2: forward: both tls_servername and 192.0.2.1%a.test name the server; delete one of them"),
    ("forward . 192.0.2.1 {\nmax_age 5s\n}", "2: forward: max_age must not be less than expire"),
    ("forward . 192.0.2.1 {\nsource_address eth0\n}", "3: forward: source_address 'eth0' is not an address"),
    ("forward . 192.0.2.1 {\nmax_concurent 5\n}", "3: unknown property 'max_concurent' in forward; did you mean max_concurrent?"),
    ("cache 0", "2: cache: TTL must be at least 1, not 0"),
    ("cache -5", "2: cache: TTL must be at least 1, not -5"),
    ("cache {\nsucces 100\n}", "3: unknown property 'succes' in cache; did you mean success?"),
    ("cache {\nsuccess\n}", "3: cache: write success CAPACITY [TTL] [MINTTL], not 'success'"),
    ("cache {\nsuccess many\n}", "3: cache: CAPACITY: 'many' is not a whole number"),
    ("cache {\ndenial 100 0\n}", "3: cache: TTL must be at least 1, not 0"),
    ("cache {\nprefetch 10 1m 5%\n}", "3: cache: PERCENTAGE must be 10 to 90, not 5"),
    ("cache {\nprefetch 10 1m 50\n}", "3: cache: the percentage ends with %: write 50%"),
    ("cache {\nserve_stale 1h later\n}", "3: cache: the refresh mode is one of immediate, verify, not 'later'"),
    ("cache {\nserve_stale -1s\n}", "3: cache: DURATION cannot be negative: -1s"),
    ("cache {\nserve_stale 1h immediate 500ms\n}", "3: cache: the response TTL must be whole seconds, not 500ms"),
    ("cache {\nserve_stale 1h immediate 1s 6m\n}", "3: cache: the failure recheck cannot be more than 5m"),
    ("cache {\nserve_stale_policy prefer_positive\n}", "3: cache: serve_stale_policy needs serve_stale"),
    ("cache {\nservfail 6m\n}", "3: cache: servfail must be 0 to 5m: RFC 2308 allows no more"),
    ("cache {\ndisable all\n}", "3: cache: disable is one of success, denial, not 'all'"),
    ("cache\ncache", "3: cache: only one cache may stand in a block; the first is at Corefile:2"),
    ("hosts {\nttl 0\n}", "3: hosts: ttl must be 1 to 65535, not 0"),
    ("hosts {\nreload often\n}", "3: hosts: reload: 'often' is not a duration; write a number with its unit, like 30s, 500ms or 1h"),
    ("hosts {\nfallthrough\n192.0.2.1 a.test\n}", "4: unknown property '192.0.2.1' in hosts; rows stand before fallthrough"),
    ("hosts {\nfallthrough_unsupported\n}", "3: hosts: fallthrough_unsupported needs fallthrough"),
    ("rewrite", "2: rewrite: write rewrite [continue|stop] FIELD ..., where FIELD is one of name, type, class, ttl, rcode, edns0, cname"),
    ("rewrite name a.test", "2: rewrite: write rewrite name [exact|prefix|suffix|substring|regex] FROM TO [answer ...]"),
    ("rewrite name sufix .a .b", "2: rewrite: the type of match of a name rule is one of exact, prefix, suffix, substring, regex, not 'sufix'"),
    ("rewrite nam a b", "2: rewrite: 'nam' is not a field that can be rewritten; it is one of name, type, class, ttl, rcode, edns0, cname"),
    ("rewrite answer name a b", "2: rewrite: an answer's rewrite belongs to a name rule: rewrite name TYPE FROM TO answer ..."),
    ("rewrite name regex ( b", "2: rewrite: invalid regular expression '(': a ( without its ) at character 2"),
    ("rewrite name regex a {1}", "2: rewrite: '{1}' uses more groups than 'a' has"),
    ("rewrite name regex (a+)+b c",
     "2: rewrite: a repeat of what can itself be read in several ways, like (a+)+ or (a|ab)*, can take forever: "
     "let each round begin or end with a character that the rest of it cannot hold, like ([^.]+\\.)+"),
    ("rewrite name suffix a b answer", "2: rewrite: write answer auto, answer name FROM TO or answer value FROM TO"),
    ("rewrite name suffix a b response auto",
     "2: rewrite: 'response' stands after FROM and TO; write answer auto, answer name FROM TO or answer value FROM TO"),
    ("rewrite name suffix a b answer auto answer name c d", "2: rewrite: answer auto and answer name cannot stand together; delete one of them"),
    ("rewrite type A", "2: rewrite: write rewrite type FROM TO"),
    ("rewrite type A BB", "2: rewrite: 'BB' is not a type of DNS"),
    ("rewrite class IN XX", "2: rewrite: 'XX' is not a class of DNS"),
    ("rewrite ttl a.test 60-5", "2: rewrite: '60-5' is not a TTL; write SECONDS, MIN-MAX, MIN- or -MAX"),
    ("rewrite ttl a.test -", "2: rewrite: '-' is not a TTL; write SECONDS, MIN-MAX, MIN- or -MAX"),
    ("rewrite rcode a.test OOPS NOERROR", "2: rewrite: 'OOPS' is not an rcode; they are words like NXDOMAIN, or numbers up to 23"),
    ("rewrite edns0 local set 0x1ffff x", "2: rewrite: '0x1ffff' is not the code of an EDNS0 option; write a number, like 0xffee"),
    ("rewrite edns0 subnet set 33 56", "2: rewrite: the IPv4 mask must be 0 to 32, not 33"),
    ("log {\nclass nodata\n}", "3: log: class is one of all, success, denial, error, not 'nodata'"),
    ("log {\nclasses all\n}", "3: unknown property 'classes' in log; did you mean class?"),
    ("errors /var/log/x", "2: errors: errors go to stdout, not to '/var/log/x'; delete the word"),
    ("errors {\nconsolidate 5m\n}", "3: errors: write consolidate DURATION REGEXP [LEVEL] [show_first], not 'consolidate 5m'"),
    ("errors {\nconsolidate 5m a fatal\n}", "3: errors: the level is one of warning, error, info, debug, not 'fatal'"),
    ("health 8080", "2: health: '8080' is not an address to listen on; write HOST:PORT, or :PORT for all addresses"),
    ("health {\nlameduck 5\n}", "3: health: lameduck: '5' is not a duration; write a number with its unit, like 30s, 500ms or 1h"),
    ("health {\nlameduk 5s\n}", "3: unknown property 'lameduk' in health; did you mean lameduck?"),
    ("ready a b", "2: ready: write ready [HOST:PORT], not 'ready a b'"),
    ("prometheus :x", "2: prometheus: ':x' is not an address to listen on; write HOST:PORT, or :PORT for all addresses"),
    ("reload 1s", "2: reload: the interval must be at least 2s"),
    ("reload 10s 500ms", "2: reload: the jitter must be 0 or at least 1s"),
    ("loop twice", "2: loop: loop takes no argument, not 'twice'"),
    ("loadbalance fastest", "2: loadbalance: the policy is round_robin or weighted, not 'fastest'"),
    ("loadbalance weighted", "2: loadbalance: write loadbalance [round_robin | weighted FILE]"),
    ("autopath", "2: autopath: write autopath [ZONE...] @kubernetes|RESOLV-CONF, not 'autopath'"),
    ("autopath kubernetes", "2: autopath: the file kubernetes cannot be read; did you mean @kubernetes?"),
    ("acl {\nreject net 10.0.0.0/8\n}", "3: unknown property 'reject' in acl; a rule begins with allow, block, filter, drop"),
    ("acl {\nblock 10.0.0.0/8\n}", "3: acl: write block [type QTYPE...] [net CIDR...], not '10.0.0.0/8'"),
    ("acl {\nblock net\n}", "3: acl: nothing stands after net"),
    ("acl {\nblock type a\n}", "3: acl: 'a' is not a type of record; did you mean A?"),
    ("acl {\nblock net 10.0.0.0/33\n}", "3: acl: '10.0.0.0/33' is neither an address nor a network like 10.0.0.0/8"),
    ("bind", "2: bind: write bind ADDRESS|INTERFACE..."),
    ("bind eth7", "2: bind: 'eth7' is neither an address nor an interface of this machine"),
    ("bind 127.0.0.1 {\nexcept 127.0.0.1\n}", "2: bind: no address is left to listen on"),
    ("bufsize 511", "2: bufsize: bufsize must be 512 to 4096, not 511"),
    ("tls", "2: tls: certificates are not requested by ACME here; write tls CERT KEY [CA]"),
    ("tls cert.pem", "2: tls: write tls CERT KEY [CA], not 'tls cert.pem'"),
    ("tls a b {\nclient_auth maybe\n}",
     "3: tls: client_auth is one of nocert, request, require, verify_if_given, require_and_verify, not 'maybe'"),
    ("multisocket 0", "2: multisocket: multisocket must be 1 to 1024, not 0"),
    ("any thing", "2: any: any takes no argument, not 'thing'"),
    ("minimal {\nmore\n}", "3: unknown property 'more' in minimal; minimal has none"),
]  # fmt: skip


class Folder(Given):
    def text(self, path: str) -> str:
        if path == "folder":
            raise IsADirectoryError(21, "Is a directory")
        return super().text(path)


@pytest.mark.parametrize(("text", "message"), LINES)
def test_a_bad_line_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as e:
        read("a.test {\n" + text + "\n}\n", Folder({"folder": ""}))
    assert str(e.value) == "Corefile:" + message


# Whole files, and the message after "Corefile:".
FILES = [
    ("", "1: there is no server block; the least is .:53 { kubernetes cluster.local ... }"),
    ("# nothing\n(a) {\n}\n", "1: there is no server block; the least is .:53 { kubernetes cluster.local ... }"),
    ("{\nerrors\n}\n", "1: a server block begins with its zones, like .:53 {"),
    ("a.test {\nerrors\n", "1: this { has no }"),
    ("a.test {\ncache {\nkeepttl\n", "2: the { of cache has no }"),
    ("a.test {\n}\n}\n", "3: unexpected }: no block is open here"),
    ("a.test\nerrors\n}\n", "3: unexpected }: the block was not opened by a { after its keys"),
    ("a.test, {\n}\n", "1: a key must follow the comma before {"),
    ("a.test,\n", "1: the file ends before the key that must follow the comma"),
    ("a.test\nb.test {\n}\n", "2: unknown directive 'b.test'; if it is a zone, end the line before it with a comma"),
    ("a.test:53-55 {\n}\n", "1: key 'a.test:53-55': '53-55' is not a port: write a key as ZONE:PORT, and one key for each port"),
    ("a.test:99999 {\n}\n", "1: key 'a.test:99999': 99999 is not a port: ports end at 65535"),
    ("a.test: {\n}\n", "1: key 'a.test:': a port must follow the colon of 'a.test:'"),
    (":53 {\n}\n", "1: key ':53': there is no zone before the port; for all zones write .:53"),
    ("a..test {\n}\n", "1: key 'a..test': 'a..test' is not a domain name: it has an empty label"),
    ("x" * 64 + ".test {\n}\n", f"1: key '{'x' * 64}.test': '{'x' * 64}.test' is not a domain name: a label is longer than 63"),
    ("::/0 {\n}\n", "1: key '::/0': '::/0' is not a network that has a reverse zone"),
    ("udp://a.test {\n}\n", "1: 'udp://a.test' is not a key: its transport is one of dns, tls, quic, grpc, https, https3"),
    ("tls://a.test {\n}\n", "1: tls://a.test needs a certificate: write tls CERT KEY in its block"),
    ("quic://a.test {\n}\n",
     "1: no block is left to serve: Corefile:1: quic://a.test is not served: there is DNS over UDP, TCP and TLS only"),
    ("a.test {\n}\nA.test. {\n}\n",
     "3: cannot serve dns://a.test:53: a.test at Corefile:1 does already; put both into one block, or give one of them another port or bind"),
    ("a.test {\nbind 127.0.0.1\n}\na.test {\nbind 127.0.0.1 127.0.0.2\n}\n",
     "4: cannot serve dns://a.test:53 on 127.0.0.1: a.test at Corefile:1 does already; "
     "put both into one block, or give one of them another port or bind"),
    ("a.test {\nbind 127.0.0.1\n}\na.test {\n}\n",
     "4: cannot serve dns://a.test:53: a.test at Corefile:1 does already; put both into one block, or give one of them another port or bind"),
    ("(a) {\n}\n(a) {\n}\n", "3: the snippet (a) is declared twice; give one of them another name"),
    ("(a) {\nimport a\n}\n", "2: the snippet (a) imports itself"),
    ("(a) {\nimport b\n}\n(b) {\nimport a\n}\nc.test {\nimport a\n}\n", "5: more than 10000 imports: one of them brings itself in"),
    ("(a)\nerrors\n", "1: the body of the snippet (a) must follow it in braces"),
    ("(a) {\nerrors\n", "2: the file ends before the } of the snippet (a)"),
    ("(base) {\n}\na.test {\nimport bass\n}\n", "4: import bass: there is neither a snippet nor a file of this name; did you mean base?"),
    ("a.test {\nkubernetes\n}\nb.test {\nkubernetes a.test {\nttl 9\n}\n}\n",
     "5: kubernetes: its options differ from those of kubernetes at Corefile:2: one server keeps the names of one cluster in one way; "
     "write the same options, or run a second server with a Corefile of its own"),
    ("a.test {\nkubernetes\nkubernetes\n}\n", "3: kubernetes: only one kubernetes may stand in a block; the first is at Corefile:2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FILES)
def test_a_bad_file_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as e:
        read(text)
    assert str(e.value) == "Corefile:" + message


def test_an_error_in_an_imported_file_names_that_file_and_its_line() -> None:
    files = {"/etc/dns/parts/a.conf": "errors\n\ncache {\nkeepttl now\n}\n"}
    with pytest.raises(CorefileError) as e:
        read(".:53 {\nimport parts/a.conf\n}\n", Given(files), "/etc/dns/Corefile")
    assert (e.value.file, e.value.line, e.value.directive) == ("/etc/dns/parts/a.conf", 4, "cache")
    assert str(e.value) == "/etc/dns/parts/a.conf:4: cache: keepttl takes no argument, not 'now'"


@pytest.mark.parametrize("seed", range(40))
def test_no_broken_file_ends_in_anything_but_a_corefile_error(seed: int) -> None:
    """Words of a good file in any order, cut anywhere: refused or read, and soon."""
    chosen = random.Random(seed)
    words = (
        ". .:53 { } \n \n kubernetes cluster.local ttl 30 forward /etc/resolv.conf cache rewrite name regex (.*) {1} import (a) a "
        '" \\ # , acl block net 10.0.0.0/8 log hosts 1.2.3.4 tls:// {$X}'
    ).split(" ")
    for _ in range(50):
        text = " ".join(chosen.choice(words) for _ in range(chosen.randrange(30)))
        try:
            read(text)
        except CorefileError as e:
            assert str(e).startswith("Corefile:")
