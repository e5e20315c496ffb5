"""Pictures and tables of the labs: pure, from numbers to text."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as xml

import pytest

from seaway.labs import chart
from seaway.labs.endpointslices import Book, pod, roll
from seaway.labs.frame import LABS, human, table
from seaway.labs.termination import WAYS, manifests, result

NS = "{http://www.w3.org/2000/svg}"


def rects(svg: str) -> list[dict[str, str]]:
    return [dict(e.attrib) for e in xml.fromstring(svg).iter(f"{NS}rect")]


def test_bars_are_as_tall_as_their_values() -> None:
    found = [r for r in rects(chart.bars("t", ["a", "b"], {"s": [1.0, 2.0]})) if r["fill"] == chart.COLORS[0] and r["width"] != "12"]
    assert float(found[1]["height"]) == pytest.approx(2 * float(found[0]["height"]), rel=0.01)


def test_a_logarithmic_scale_gives_each_power_of_ten_the_same_room() -> None:
    found = [r for r in rects(chart.bars("t", ["a", "b", "c"], {"s": [10.0, 100.0, 1000.0]}, log=True)) if r["fill"] == chart.COLORS[0] and r["width"] != "12"]
    one, two, three = (float(r["height"]) for r in found)
    assert two - one == pytest.approx(three - two, abs=0.2) and one < two


@pytest.mark.parametrize("values", [[0.0, 0.0], [0.0, 3.0]])
@pytest.mark.parametrize("log", [False, True])
def test_nothing_is_a_bar_too(values: list[float], log: bool) -> None:
    xml.fromstring(chart.bars("nothing & <all>", ["a", "b"], {"s": values}, log=log))


def test_bars_to_the_side_are_as_long_as_their_values_and_have_the_mark_between() -> None:
    svg = chart.sideways("t", ["a", "b & c"], [1.0, 2.0])
    one, two = (float(r["width"]) for r in rects(svg)[1:])
    assert two == pytest.approx(2 * one, abs=0.2)
    [mark] = xml.fromstring(svg).iter(f"{NS}line")
    assert float(mark.attrib["x1"]) == pytest.approx(220 + one, abs=0.2)


def texts(svg: str) -> list[tuple[str, float, float]]:
    return [(e.text or "", float(e.attrib["x"]), float(e.attrib["y"])) for e in xml.fromstring(svg).iter(f"{NS}text")]


def test_a_long_legend_takes_another_row_inside_the_picture() -> None:
    names = [f"a long name, number {n}" for n in range(6)]
    found = [(x, y) for text, x, y in texts(chart.lines("t", [0.0, 1.0], {n: [0.0, 1.0] for n in names}, across="seconds")) if text in names]
    assert len(found) == 6 and len({y for _, y in found}) == 2
    assert all(x + 7 * len(names[0]) < chart.WIDTH and chart.HEIGHT - chart.BOTTOM + 34 < y < chart.HEIGHT for x, y in found)


@pytest.mark.parametrize("count", [2, 25, 26, 60, 400])
def test_many_points_have_a_label_now_and_then(count: int) -> None:
    found = [x for text, x, y in texts(chart.lines("t", [float(n) for n in range(count)], {"s": [1.0] * count})) if y == chart.HEIGHT - chart.BOTTOM + 18]
    assert 2 <= len(found) <= 25 and min(b - a for a, b in itertools.pairwise(found)) >= 20


@pytest.mark.parametrize(("size", "want"), [(0, "0 B"), (999, "999 B"), (17_400, "17.4 kB"), (1.72e6, "1.72 MB"), (125e6, "125 MB"), (172e12, "172 TB")])
def test_sizes_for_people(size: float, want: str) -> None:
    assert human(size) == want


def test_tables_line_up() -> None:
    assert table(("a", "n"), (("long name", "1"), ("b", "22"))).splitlines() == ["a           n", "---------  --", "long name   1", "b          22"]


def test_a_roll_replaces_each_pod_once_and_ends_with_as_many() -> None:
    states = list(roll(5))
    assert len(states) == 10 and all(len(s) in (5, 6) for s in states)
    names = {p["metadata"]["name"] for p in states[-1]}
    assert len(names) == 5 and not names & {pod(i)["metadata"]["name"] for i in range(5)}


def test_one_change_is_one_write_in_each_form() -> None:
    for form in ("Endpoints", "slices of 100", "slices of 1,000"):
        book = Book(form, None)  # type: ignore[arg-type]
        pods = [pod(i) for i in range(250)]
        for n, write in enumerate(book.writes(pods)):
            meta = {**write.tree["metadata"], "name": f"web-{n}", "uid": str(n), "resourceVersion": "1"}  # type: ignore[union-attr]
            book.objects[meta["name"]] = {**write.tree, "metadata": meta}  # type: ignore[union-attr]
        pods[130] = pod(130, ready=False)
        assert len(book.writes(pods)) == 1


def test_the_ways_of_ending_differ_in_nothing_else() -> None:
    specs = [manifests(way)[0]["spec"]["template"]["spec"] for way in WAYS]
    for spec in specs:
        spec["containers"][0].pop("lifecycle", None)
        spec["containers"][0]["command"].pop()
    assert specs[0] == specs[1] == specs[2]


def test_results_count_what_was_lost() -> None:
    counted = {way: [{"sent": 100, "failed": {"refused": n}, "rate": 350.0}] for n, way in enumerate(WAYS)}
    found = result(counted)
    assert [found.numbers[f"lost/{way}"] for way in WAYS] == [0, 1, 2]
    assert found.rows[2][-1] == "2 refused" and found.rows[0][-1] != ""


def test_every_lab_can_be_loaded() -> None:
    import importlib

    assert all(callable(importlib.import_module(module).run) for module, _ in LABS.values())
