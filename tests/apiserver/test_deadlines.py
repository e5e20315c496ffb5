"""How long a request may take."""

from __future__ import annotations

import pytest

from seaway.cluster.apiserver import deadlines
from seaway.cluster.apiserver.status import ApiError


@pytest.mark.parametrize(("text", "want"), [
    ("", 60), ("5s", 5), ("1m30s", 60), ("59.5s", 59.5), ("1500ms", 1.5), (".5s", 0.5), ("1.s", 1), ("0", 60), ("0s", 60), ("-5s", 60), ("+5s", 5), ("2h", 60), ("100us", 1e-4)])
def test_a_request_has_the_time_that_it_asks_for_up_to_a_minute(text: str, want: float) -> None:
    assert deadlines.of({"timeout": text} if text else {}) == pytest.approx(want)


@pytest.mark.parametrize(("text", "why"), [
    ("5", 'time: missing unit in duration "5"'),
    ("soon", 'time: invalid duration "soon"'),
    ("5parsecs", 'time: unknown unit "parsecs" in duration "5parsecs"'),
    (".s", 'time: invalid duration ".s"'),
    ("-", 'time: invalid duration "-"'),
    ("1s5", 'time: missing unit in duration "1s5"'),
    ("9999999999h", 'time: invalid duration "9999999999h"'),
    ('"', 'time: invalid duration "\\""'),
])
def test_a_time_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(ApiError) as told:
        deadlines.of({"timeout": text})
    assert (told.value.code, str(told.value)) == (400, f"invalid timeout specified in the request URL - {why}")
