"""The list/watch/410 machine, as transcripts."""

from __future__ import annotations

from seaway.client.reflector import List, Reflector, Sleep, Watch


def pod(name: str, version: int, uid: str = "u") -> dict:
    return {"metadata": {"namespace": "n", "name": name, "uid": uid + name, "resourceVersion": str(version)}}


def shape(changes: list) -> list[tuple[str, str]]:
    return [("+" if c.old is None else "-" if c.new is None else "~", c.key.name) for c in changes]


def test_it_lists_then_watches_from_the_lists_version() -> None:
    r = Reflector()
    assert r.start() == List()
    changes, step = r.listed([pod("a", 3), pod("b", 4)], "7")
    assert (shape(changes), step) == ([("+", "a"), ("+", "b")], Watch("7"))
    assert r.synced


def test_events_change_the_cache_and_move_the_version() -> None:
    r = Reflector()
    r.listed([pod("a", 3)], "7")
    assert shape(r.watched({"type": "ADDED", "object": pod("b", 8)})[0]) == [("+", "b")]
    assert shape(r.watched({"type": "MODIFIED", "object": pod("a", 9)})[0]) == [("~", "a")]
    assert r.watched({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}}) == ([], None)
    assert shape(r.watched({"type": "DELETED", "object": pod("a", 13)})[0]) == [("-", "a")]
    assert r.ended() == Watch("13")
    assert [k.name for k in r.cache] == ["b"]


def test_the_same_state_twice_is_no_change() -> None:
    r = Reflector()
    r.listed([pod("a", 3)], "3")
    assert r.watched({"type": "MODIFIED", "object": pod("a", 3)})[0] == []
    assert r.listed([pod("a", 3)], "9")[0] == []


def test_after_410_a_list_brings_out_the_deletions_in_between() -> None:
    r = Reflector()
    r.listed([pod("a", 1), pod("b", 2)], "2")
    changes, step = r.watched({"type": "ERROR", "object": {"code": 410}})
    assert (changes, step) == ([], List())
    changes, step = r.listed([pod("b", 5), pod("c", 6)], "6")
    assert shape(changes) == [("-", "a"), ("~", "b"), ("+", "c")] and step == Watch("6")


def test_failures_back_off_and_a_success_forgets_them() -> None:
    r = Reflector()
    first = r.failed()
    assert isinstance(first, Sleep) and first.then == List()
    r.listed([], "4")
    waits = [r.failed() for _ in range(4)]
    assert all(isinstance(w, Sleep) and w.then == Watch("4") for w in waits)
    seconds = [w.seconds for w in waits if isinstance(w, Sleep)]
    assert seconds == sorted(seconds) and seconds[0] < seconds[-1]
    r.watched({"type": "ADDED", "object": pod("a", 5)})
    again = r.failed()
    assert isinstance(again, Sleep) and again.seconds == seconds[0]


def test_an_object_that_was_replaced_is_a_change() -> None:
    r = Reflector()
    r.listed([pod("a", 3, "x")], "3")
    assert shape(r.watched({"type": "MODIFIED", "object": pod("a", 3, "y")})[0]) == [("~", "a")]
