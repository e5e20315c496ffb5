"""What holds for all tests: a whole run (`make test`) must have run every test that docs/features.md names; what fails against a
whole cluster or the kernel is played once more, and named in the summary."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from features import rows

RAN: set[str] = set()
AGAIN: list[str] = []
# A cluster of processes, other people's programs, and whatever else the machine does.
WHOLE = ("tests/e2e/", "tests/contract/", "tests/node/", "tests/clients/", "tests/soak/", "tests/dns/processes/", "tests/dns/local/",
         "tests/envoy/xds/", "tests/envoy/translation/", "tests/envoy/counting/", "tests/proxy/test_userspace.py")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.outcome == "passed":
        RAN.add(report.nodeid.partition("[")[0])


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A second try, in the open and from the ground up (what modules share is made anew): a bug fails both."""
    if not item.nodeid.startswith(WHOLE) and item.get_closest_marker("kernel") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = next((r for r in reports if r.when != "teardown" and r.failed), None)
    if failed is not None:
        crash = getattr(failed.longrepr, "reprcrash", None)
        AGAIN.append(f"{item.nodeid}: {str(crash.message if crash else failed.longreprtext)[:300]}")
        item.session._setupstate.teardown_exact(item.session)  # type: ignore[arg-type]
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if AGAIN:
        terminalreporter.section("failed at first, played again")
        for line in AGAIN:
            terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fails a whole run in which a feature's test did not pass."""
    options = session.config.option
    whole = session.config.args == ["tests"] and not options.keyword and not options.ignore
    if not whole or exitstatus not in (0, 1):
        return
    soak = session.config.option.markexpr == "soak"
    wanted = {test for _, test in rows() if ("tests/soak/" in test) == soak}
    missing = sorted(wanted - RAN)
    if missing:
        print("\ndocs/features.md names tests that did not pass in this run:\n  " + "\n  ".join(missing))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
