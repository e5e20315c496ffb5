"""What a pod needs next, and its phase: restart policies, back-off, init containers, sidecars, statuses."""

from __future__ import annotations

import pytest

from seaway.api.tree import seconds
from seaway.cluster.node.lifecycle import (
    Container,
    Start,
    Waiting,
    backoff,
    conditions,
    container_status,
    deadline,
    decide,
    ephemeral,
    initialized,
    phase,
)


def pod(policy: str = "Always", containers: str = "c", inits: tuple = (), **spec: object) -> dict:
    """`inits`: names in order; a name with `*` is a sidecar."""
    init = [{"name": n.rstrip("*"), "image": "i", **({"restartPolicy": "Always"} if n.endswith("*") else {})} for n in inits]
    main = [{"name": n, "image": "i"} for n in containers.split()]
    return {"metadata": {"name": "p", "generation": 2}, "status": {},
            "spec": {"restartPolicy": policy, "containers": main, "initContainers": init, **spec}}


RUNS = Container("running", "id", 0, 10.0)


def ended(code: int = 0, attempt: int = 0, finished: float = 100.0, started: float = 99.0) -> Container:
    return Container("exited", "id", attempt, started, code, 0, finished)


# The restart of a container that ended, by policy and exit code; then the phase of a pod of one such container.
@pytest.mark.parametrize(
    ("policy", "code", "again", "want"),
    [("Always", 0, True, "Running"), ("Always", 3, True, "Running"), ("OnFailure", 0, False, "Succeeded"),
     ("OnFailure", 3, True, "Running"), ("Never", 0, False, "Succeeded"), ("Never", 3, False, "Failed")],
)
def test_the_restart_policy_decides_on_an_exit(policy: str, code: int, again: bool, want: str) -> None:
    found = decide(pod(policy), {"c": ended(code)}, {}, 100.0)
    assert found == ([Start("c", 1)] if again else []) and phase(pod(policy), {"c": ended(code)}) == want


@pytest.mark.parametrize(("attempt", "wait"), [(0, 0), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (60, 300)])
def test_the_wait_doubles_from_ten_seconds_up_to_five_minutes(attempt: int, wait: float) -> None:
    assert backoff(attempt) == wait
    state = {"c": ended(1, attempt)}
    assert decide(pod(), state, {}, 100.0 + wait) == [Start("c", attempt + 1)]
    if wait:
        (found,) = decide(pod(), state, {}, 100.0 + wait - 0.5)
        assert isinstance(found, Waiting) and (found.reason, found.until) == ("CrashLoopBackOff", 100.0 + wait)


@pytest.mark.parametrize(("attempt", "text"), [(1, "back-off 10s restarting failed container=c pod=p_()"),
                                               (4, "back-off 1m20s restarting failed container=c pod=p_()"),
                                               (9, "back-off 5m0s restarting failed container=c pod=p_()")])
def test_the_wait_is_told_in_the_kubelets_words(attempt: int, text: str) -> None:
    (found,) = decide(pod(), {"c": ended(1, attempt)}, {}, 100.0)
    assert isinstance(found, Waiting) and found.message.startswith(text)


@pytest.mark.parametrize(("ran", "now_again"), [(599.0, False), (601.0, True)])
def test_ten_minutes_of_running_forget_the_wait(ran: float, now_again: bool) -> None:
    (found,) = decide(pod(), {"c": ended(1, 5, 1000.0, 1000.0 - ran)}, {}, 1000.0)
    assert isinstance(found, Start) == now_again


def test_containers_are_independent_of_each_other() -> None:
    tree = pod(containers="a b d")
    assert decide(tree, {}, {}, 0.0) == [Start("a", 0), Start("b", 0), Start("d", 0)]
    found = decide(tree, {"a": RUNS, "b": ended(1), "d": ended(1, 3)}, {}, 100.0)
    assert found[0] == Start("b", 1) and isinstance(found[1], Waiting) and found[1].name == "d" and len(found) == 2


def test_init_containers_run_one_by_one_and_once() -> None:
    tree, states = pod(inits=("i", "j")), {}
    seen = []
    for _ in range(3):
        (step,) = decide(tree, states, {}, 100.0)
        assert isinstance(step, Start)
        seen.append(step.name)
        assert decide(tree, {**states, step.name: RUNS}, {}, 100.0) == [], "nothing starts beside a running one"
        states[step.name] = ended(0)
    assert seen == ["i", "j", "c"]


@pytest.mark.parametrize(
    ("policy", "step", "want"),
    [("Always", [Start("i", 1)], "Pending"), ("OnFailure", [Start("i", 1)], "Pending"), ("Never", [], "Failed")],
)
def test_a_failing_init_container_is_repeated_unless_never(policy: str, step: list, want: str) -> None:
    tree = pod(policy, inits=("i", "j"))
    assert decide(tree, {"i": ended(1)}, {}, 100.0) == step and phase(tree, {"i": ended(1)}) == want


def test_a_sidecar_starts_in_its_place_and_is_waited_for_until_it_has_started() -> None:
    tree = pod(inits=("i", "s*", "j"))
    states = {"i": ended(0)}
    assert decide(tree, states, {}, 100.0) == [Start("s", 0)]
    states["s"] = RUNS
    assert decide(tree, states, {"s": False}, 100.0) == []
    assert decide(tree, states, {"s": True}, 100.0) == [Start("j", 0)]
    states["j"] = ended(0)
    assert decide(tree, states, {"s": True}, 100.0) == [Start("c", 0)]


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize("code", [0, 1])
def test_a_sidecar_is_restarted_under_every_policy(policy: str, code: int) -> None:
    assert decide(pod(policy, inits=("s*",)), {"s": ended(code), "c": RUNS}, {}, 100.0) == [Start("s", 1)]


@pytest.mark.parametrize(
    ("policy", "inits", "states", "want"),
    [
        ("Always", (), {}, "Pending"),
        ("Always", ("i",), {}, "Pending"),
        ("Always", ("i",), {"i": RUNS}, "Pending"),
        ("Always", ("i",), {"i": ended(0)}, "Pending"),
        ("Always", ("i",), {"i": ended(0), "a": RUNS, "b": RUNS}, "Running"),
        ("Always", ("s*",), {"s": RUNS}, "Pending"),
        ("Always", (), {"a": RUNS, "b": RUNS}, "Running"),
        ("Never", (), {"a": RUNS, "b": ended(0)}, "Running"),
        ("Never", (), {"a": RUNS, "b": ended(1)}, "Running"),
        ("Never", (), {"a": ended(0), "b": ended(0)}, "Succeeded"),
        ("Never", (), {"a": ended(0), "b": ended(1)}, "Failed"),
        ("OnFailure", (), {"a": ended(0), "b": ended(1)}, "Running"),
        ("OnFailure", (), {"a": ended(0), "b": ended(0)}, "Succeeded"),
        ("Never", ("s*",), {"s": RUNS, "a": ended(0), "b": ended(0)}, "Succeeded"),  # a sidecar holds nobody up
    ],
)
def test_phases(policy: str, inits: tuple, states: dict, want: str) -> None:
    assert phase(pod(policy, "a b", inits), states) == want


@pytest.mark.parametrize(
    ("states", "started", "want"),
    [({}, {}, False), ({"i": RUNS, "s": RUNS}, {}, False), ({"i": ended(1), "s": RUNS}, {}, False), ({"i": ended(0)}, {}, False),
     ({"i": ended(0), "s": RUNS}, {"s": False}, False), ({"i": ended(0), "s": RUNS}, {"s": True}, True)],
)
def test_a_pod_is_initialized_when_all_ended_well_and_sidecars_run(states: dict, started: dict, want: bool) -> None:
    assert initialized(pod(inits=("i", "s*")), states, started) == want


C = {"name": "c", "image": "busybox"}


def test_a_container_that_waits_says_why() -> None:
    found = container_status(C, None, None, False, False, ("", ""))
    assert found["state"] == {"waiting": {"reason": "ContainerCreating"}} and (found["ready"], found["restartCount"]) == (False, 0)
    pulled = container_status(C, None, None, False, False, ("ErrImagePull", "no such image"))
    assert pulled["state"] == {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


@pytest.mark.parametrize(("ready", "started", "want"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_running_container_is_ready_once_it_has_started(ready: bool, started: bool, want: bool) -> None:
    found = container_status(C, RUNS, None, ready, started, ("", ""))
    assert found["state"] == {"running": {"startedAt": "1970-01-01T00:00:10Z"}}
    assert (found["ready"], found["started"], found["containerID"]) == (want, started, "seaway://id")


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (7, "Error")])
def test_an_ended_container_keeps_its_code(code: int, reason: str) -> None:
    found = container_status(C, ended(code, 2), None, False, False, ("", ""))
    state = found["state"]["terminated"]
    assert (state["exitCode"], state["reason"], state["finishedAt"]) == (code, reason, "1970-01-01T00:01:40Z")
    assert (found["restartCount"], found["ready"]) == (2, False)


def test_a_crash_loop_shows_the_last_end_beside_the_wait() -> None:
    found = container_status(C, ended(1, 3), None, False, False, ("CrashLoopBackOff", "back-off 40s"))
    assert found["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    assert found["lastState"]["terminated"]["exitCode"] == 1 and found["restartCount"] == 3


def said(tree: dict, **change: object) -> dict:
    values = {"is_initialized": True, "containers_ready": True, "unready": [], "sandboxed": True, "over": "", "now": 5.0}
    return {c["type"]: c for c in conditions(tree, **{**values, **change})}  # type: ignore[arg-type]


def test_a_ready_pod_has_the_four_conditions() -> None:
    found = said(pod())
    assert {k: v["status"] for k, v in found.items()} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"), "True")
    assert {c["lastTransitionTime"] for c in found.values()} == {"1970-01-01T00:00:05Z"}


def test_an_unready_container_is_named() -> None:
    found = said(pod(), containers_ready=False, unready=["c"])
    for kind in ("Ready", "ContainersReady"):
        assert (found[kind]["status"], found[kind]["reason"]) == ("False", "ContainersNotReady")
        assert found[kind]["message"] == "containers with unready status: [c]"


@pytest.mark.parametrize(("status", "want"), [(None, "False"), ("False", "False"), ("True", "True")])
def test_a_readiness_gate_is_waited_for(status: str | None, want: str) -> None:
    tree = pod(readinessGates=[{"conditionType": "own/gate"}])
    tree["status"] = {"conditions": [{"type": "own/gate", "status": status}] if status else []}
    found = said(tree)
    assert (found["Ready"]["status"], found["ContainersReady"]["status"]) == (want, "True")
    assert want == "True" or found["Ready"]["reason"] == "ReadinessGatesNotReady"


def test_transition_times_move_with_the_status_only() -> None:
    tree = pod()
    tree["status"] = {"conditions": list(said(tree).values())}
    found = said(tree, now=50.0, containers_ready=False, unready=["c"])
    assert found["Initialized"]["lastTransitionTime"] == "1970-01-01T00:00:05Z"
    assert found["Ready"]["lastTransitionTime"] == "1970-01-01T00:00:50Z"


def test_a_pod_that_has_ended_well_says_completed() -> None:
    found = said(pod("Never"), containers_ready=False, over="Succeeded")
    assert {found[k]["reason"] for k in ("Initialized", "Ready", "ContainersReady")} == {"PodCompleted"}


def test_a_sidecar_that_ends_holds_nobody_back_once_the_pod_has_begun() -> None:
    tree = pod(inits=("s*",))
    assert decide(tree, {"s": ended(1)}, {}, 100.0) == [Start("s", 1)]
    assert decide(tree, {"s": ended(1), "c": ended(0)}, {}, 100.0) == [Start("s", 1), Start("c", 1)]


def test_what_comes_after_a_post_start_hook_waits_for_it() -> None:
    tree = pod(containers="a b")
    tree["spec"]["containers"][0]["lifecycle"] = {"postStart": {"exec": {"command": ["x"]}}}
    assert decide(tree, {}, {}, 0) == [Start("a", 0)]
    assert decide(tree, {"a": RUNS}, {}, 0, {"a"}) == []
    assert decide(tree, {"a": RUNS}, {}, 0) == [Start("b", 0)]


@pytest.mark.parametrize(
    ("own", "code", "restarted"),
    [
        ({"restartPolicy": "Never"}, 1, False),
        ({"restartPolicy": "OnFailure"}, 1, True),
        ({"restartPolicy": "OnFailure"}, 0, False),
        ({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}, 42, True),
        ({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}, 1, False),
        ({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}]}, 1, True),
    ],
)
def test_a_containers_own_policy_comes_before_the_pods(own: dict, code: int, restarted: bool) -> None:
    tree = pod()
    tree["spec"]["containers"][0].update(own)
    assert bool(decide(tree, {"c": ended(code)}, {}, 100.0)) == restarted
    assert phase(tree, {"c": ended(code)}) == ("Running" if restarted else "Failed" if code else "Succeeded")


def test_a_deadline_counts_from_the_pods_start() -> None:
    tree = pod(activeDeadlineSeconds=5)
    assert deadline(tree) is None
    tree["status"]["startTime"] = "2026-01-01T00:00:00Z"
    assert deadline(tree) == seconds("2026-01-01T00:00:05Z") and deadline(pod()) is None


def test_the_wait_is_forgotten_after_ten_minutes_and_grows_again_from_ten_seconds() -> None:
    """The count of restarts goes on, that of restarts in a row does not."""
    again = decide(pod(), {"c": Container("exited", "id", 9, 100.0, 1, 0, 800.0, streak=9)}, {}, 800.0)
    assert again == [Start("c", 10)] and isinstance(again[0], Start) and again[0].streak == 1
    (wait,) = decide(pod(), {"c": Container("exited", "id", 10, 900.0, 1, 0, 901.0, streak=1)}, {}, 901.0)
    assert isinstance(wait, Waiting) and wait.until == 911.0


def test_ephemeral_containers_start_once_and_wait_for_their_target() -> None:
    spec = {"containers": [{"name": "c"}], "ephemeralContainers": [{"name": "e"}, {"name": "t", "targetContainerName": "c"}]}
    tree = {"spec": spec}
    running, exited = Container("running", "i", 0, 0.0), Container("exited", "i", 0, 0.0, code=1)
    assert ephemeral(tree, {}) == [Start("e", 0)]
    assert ephemeral(tree, {"c": running, "e": exited}) == [Start("t", 0)]
    assert ephemeral(tree, {"c": exited, "e": running}) == []
    assert ephemeral(tree, {"c": running, "e": exited, "t": exited}) == []
