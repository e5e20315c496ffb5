"""What holds for all tests: a whole run (`make test`) must have run every test that docs/features.md names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from features import rows

RAN: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.outcome == "passed":
        RAN.add(report.nodeid.partition("[")[0])


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
