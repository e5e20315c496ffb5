"""/livez and /readyz: all checks, and each by itself."""

from __future__ import annotations

from seaway.cluster.apiserver.health import Answer, Check, single, whole


def checks(problem: str = "") -> list[Check]:
    return [Check("ping", lambda: ""), Check("etcd", lambda: problem), Check("poststarthook/x", lambda: ""), Check("shutdown", lambda: "", ready_only=True)]


def test_all_is_well_in_a_word_or_in_lines() -> None:
    assert whole("livez", checks(), [], False) == Answer(200, "ok")
    assert whole("livez", checks(), [], True).text == "[+]ping ok\n[+]etcd ok\n[+]poststarthook/x ok\nlivez check passed\n"
    assert "[+]shutdown ok" in whole("readyz", checks(), [], True).text


def test_a_failure_is_named_and_its_reason_withheld() -> None:
    seen: list[tuple[str, str, bool]] = []
    found = whole("readyz", checks("disk full"), [], False, lambda *told: seen.append(told))
    assert found == Answer(500, "[+]ping ok\n[-]etcd failed: reason withheld\n[+]poststarthook/x ok\n[+]shutdown ok\nreadyz check failed\n")
    assert ("etcd", "readyz", False) in seen and ("ping", "readyz", True) in seen


def test_checks_may_be_left_out() -> None:
    found = whole("livez", checks("disk full"), ["etcd", "nonsense", "another"], True)
    assert found == Answer(200, '[+]ping ok\n[+]etcd excluded: ok\n[+]poststarthook/x ok\n'
                           'warn: some health checks cannot be excluded: no matches for "another","nonsense"\nlivez check passed\n')


def test_one_check_tells_its_reason() -> None:
    assert single("livez", "poststarthook/x", checks()) == Answer(200, "ok")
    assert single("livez", "etcd", checks("disk full")) == Answer(500, "internal server error: disk full\n")
    assert single("livez", "shutdown", checks()) is None and single("readyz", "shutdown", checks()) is not None
