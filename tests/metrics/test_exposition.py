"""What /metrics says, read by a parser of the exposition format."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from seaway.metrics import exposition, process
from seaway.metrics.families import OTHER, Histogram, Registry, exponential, number


def parsed(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in text_string_to_metric_families(exposition.render(registry)):
        for sample in family.samples:
            found[(sample.name, tuple(sorted(sample.labels.items())))] = sample.value
    return found


def test_a_parser_reads_what_was_counted() -> None:
    registry = Registry()
    requests = registry.counter("requests_total", "How many.", ("verb", "code"))
    registry.gauge("open", "Now.").set(2.5)
    seconds = registry.histogram("seconds", "How long.", (0.1, 1), ("verb",))
    requests.inc("GET", "200")
    requests.add(2, "GET", "200")
    for value in (0.05, 0.1, 0.5, 7):
        seconds.observe(value, "GET")
    assert parsed(registry) == {
        ("requests_total", (("code", "200"), ("verb", "GET"))): 3,
        ("open", ()): 2.5,
        ("seconds_bucket", (("le", "0.1"), ("verb", "GET"))): 2,  # a bound belongs to its bucket
        ("seconds_bucket", (("le", "1"), ("verb", "GET"))): 3,
        ("seconds_bucket", (("le", "+Inf"), ("verb", "GET"))): 4,
        ("seconds_sum", (("verb", "GET"),)): pytest.approx(7.65),
        ("seconds_count", (("verb", "GET"),)): 4,
    }


@pytest.mark.parametrize("value", ['quoted "word"', "back\\slash", "two\nlines", "", "{}=,#", "äöü 漢字"])
def test_any_label_value_survives(value: str) -> None:
    registry = Registry()
    registry.counter("c_total", "With \\ and\na line.", ("name",)).inc(value)
    ((_, labels),) = parsed(registry)
    assert dict(labels) == {"name": value}


def test_a_family_has_help_and_type_once_and_none_without_samples() -> None:
    registry = Registry()
    registry.counter("b_total", "B.", ("x",))
    registry.gauge("a", "A.")
    assert exposition.render(registry) == "# HELP a A.\n# TYPE a gauge\na 0\n"


def test_label_sets_are_bounded_and_the_rest_is_counted_together() -> None:
    registry = Registry()
    counter = registry.counter("c_total", "C.", ("name",), most=3)
    histogram = Histogram("h", "H.", (1,), ("name",), most=3)
    for i in range(10):
        counter.inc(f"n{i}")
        histogram.observe(1, f"n{i}")
    counter.inc("n0")
    assert [(s.labels[0], s.value) for s in counter.samples()] == [("n0", 2), ("n1", 1), ("n2", 1), (OTHER, 7)]
    assert histogram.count(OTHER) == 7


def test_mistakes_of_a_program_are_errors() -> None:
    registry = Registry()
    counter = registry.counter("c_total", "C.", ("name",))
    with pytest.raises(ValueError, match="there are two families c_total"):
        registry.gauge("c_total", "C.")
    with pytest.raises(ValueError, match="has the labels"):
        counter.inc("a", "b")


@pytest.mark.parametrize(("value", "want"), [(1, "1"), (1.5, "1.5"), (1e-9, "1e-09"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (2**60, "1.152921504606847e+18")])
def test_numbers(value: float, want: str) -> None:
    assert number(value) == want


def test_bounds_grow() -> None:
    assert exponential(1000, 10, 3) == (1000, 10000, 100000)


def test_a_gauge_that_is_measured_on_reading_and_forgets() -> None:
    registry = Registry()
    gauge = registry.gauge("objects", "O.", ("kind",))
    registry.before.append(lambda: (gauge.clear(), gauge.set(4, "pods"))[0])
    gauge.set(1, "gone")
    assert parsed(registry) == {("objects", (("kind", "pods"),)): 4}


def test_a_process_tells_of_itself() -> None:
    registry = Registry()
    process.add(registry)
    found = {name: value for (name, _), value in parsed(registry).items()}
    assert found["process_resident_memory_bytes"] > 1 << 20 and found["process_open_fds"] >= 3
    assert found["process_cpu_seconds_total"] > 0 and found["process_start_time_seconds"] > 1.7e9
    assert found["process_max_fds"] > found["process_open_fds"]
