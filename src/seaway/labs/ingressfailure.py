"""Lab: what happens when the entry point fails (claim 14 of the notes).

Two Gateways lead to the same application, one with one Envoy, one with two, on nodes of their own. Both are under the same load
from outside while Envoys are rolled and drained, one is killed, its node falls silent, the controller and the API server
hang and are killed. What is planned may cost nothing where there are two; what is not costs the connections that it held, and
new ones until the load balancer has noticed.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from seaway.cluster.cloud import probes
from seaway.cluster.config import ClusterConfig, Dns, Networking, NodeConfig
from seaway.cluster.place import Place
from seaway.labs import chart, entries, entrycounts
from seaway.labs.entrycounts import Seen
from seaway.labs.frame import Options, Result, Stage
from seaway.labs.kubectl import Kubectl

Tree = dict[str, Any]
REPLICAS = (1, 2)
PODS = 4
STEADY = 1.0  # seconds of load before an event and after it
AWAY = 3.0  # seconds for which the controller and the API server hang
SILENT = entries.NOTICED + 2.0  # seconds for which a node is gone
KILLED, SILENCED = "an Envoy is killed", "its node is silent"
ROLLED, DRAINED = "rolling restart", "node drained"
UNLED, UNSERVED = "no controller", "no API server"
EVENTS = (ROLLED, DRAINED, KILLED, SILENCED, UNLED, UNSERVED)
QUICK = (DRAINED, KILLED)
# What a node without a network is to everybody else: nothing comes in, nothing goes out.
SILENCE = """\
table inet seaway-lab {
  chain in { type filter hook prerouting priority -500; iifname "eth0" drop; }
  chain out { type filter hook postrouting priority 500; oifname "eth0" drop; }
}
"""
LATER = "later.example.com"


class Struck(NamedTuple):
    """What an event did: the Envoys (addresses) that it ended without a word, and, where something changed while somebody was
    away, when that one was back (CLOCK_MONOTONIC), and who left (a pod) or 0.0 and seconds until it was taken up."""

    entries: frozenset[str] = frozenset()
    back: float = 0.0
    left: str = ""
    seconds: float = 0.0


class Outcome(NamedTuple):
    """Of an event at one entry point. `held`: kept connections of the Envoys that it ended; `cut`: those of them that ended
    unannounced, `cut_elsewhere`: of all others; `lost_kept`, `lost_new`: requests on kept and on new connections; `failing`,
    `gap`: seconds; `curve`: lost by second; `taken_up`: seconds until a change of the meantime was, None where there was none;
    `how`: reason -> lost requests."""

    requests: int
    held: int
    cut: int
    cut_elsewhere: int
    lost_kept: int
    lost_new: int
    failing: float
    gap: float
    curve: tuple[int, ...]
    taken_up: float | None = None
    how: tuple[tuple[str, int], ...] = ()


def outcome(seen: Seen, began: float, held: Mapping[str, int], struck: Struck) -> Outcome:
    """From what clients saw since `began`."""
    kept = [one for one in seen.lost if not one.new]
    cut = [c for c in seen.cut if c.entry in struck.entries]
    taken = struck.seconds
    if struck.left:
        taken = max([a.at - struck.back for a in seen.answers if a.pod == struck.left] + [0.0])
    last = max([a.at for a in seen.answers] + [one.began for one in seen.lost] + [began])
    return Outcome(
        seen.requests,
        sum(held.get(entry, 0) for entry in struck.entries),
        len(cut),
        len(seen.cut) - len(cut),
        len(kept),
        len(seen.lost) - len(kept),
        entrycounts.failing(seen),
        entrycounts.gap(seen),
        entrycounts.over_time(seen, began, int(last - began) + 1),
        taken if struck.back else None,
        tuple(sorted(Counter(one.why for one in seen.lost).items())),
    )


class Rig:
    """The cluster of the lab, and what is done to it."""

    def __init__(self, where: Place) -> None:
        self.where, self.kubectl, self.outside = where, Kubectl(where), entries.Outside(where)
        self.addresses: dict[int, str] = {}

    def build(self) -> None:
        kubectl = self.kubectl
        trees = entries.application(PODS)
        for count in REPLICAS:
            chosen = {
                "replicas": str(count),
                "nodeSelector": '{entry: "true"}',
                "tolerations": "[{key: entry, operator: Exists, effect: NoSchedule}]",
            }
            trees += entries.gateway_class(f"of-{count}", chosen) + [entries.gateway(f"edge-{count}", f"of-{count}")]
        kubectl.apply([*trees, entries.route("web", entries.HOST, [f"edge-{count}" for count in REPLICAS])])
        for count in REPLICAS:
            self.addresses[count] = entries.address(kubectl, f"edge-{count}")

    def envoys(self, count: int) -> list[Tree]:
        return entries.envoys(self.kubectl, f"edge-{count}-of-{count}")

    def settle(self) -> None:
        """As many Envoys as there are to be, each on a node of its own, and the load balancer uses them all."""
        for count, address in self.addresses.items():

            def settled(count: int = count, address: str = address) -> bool:
                pods = self.envoys(count)
                if len(pods) != count or not all(map(entries.is_ready, pods)):
                    return False
                if len({p["spec"]["nodeName"] for p in pods}) < count:
                    self.kubectl("delete", "pod", str(pods[-1]["metadata"]["name"]))
                    return False
                return self.outside.entries(address) == {str(p["status"]["podIP"]) for p in pods}

            self.kubectl.until(settled)
        self.kubectl.until(self._whole)

    def _whole(self) -> bool:
        """All pods of the application are ready and listed."""
        slices = self.kubectl.items("endpointslices", "-l", "kubernetes.io/service-name=web")
        listed = [e for s in slices for e in s.get("endpoints") or () if e["conditions"].get("ready")]
        return len(listed) == PODS == len(self.kubectl.items("pods", "-l", "app=web"))

    def watch(self, act: Callable[[], Struck]) -> dict[int, Outcome]:
        """Plays an event under load."""
        self.settle()
        with ExitStack() as stack:
            loads = {n: stack.enter_context(self.outside.load(a)) for n, a in self.addresses.items()}
            began = time.monotonic()
            time.sleep(STEADY)
            held = {n: load.held() for n, load in loads.items()}
            struck = act()
            time.sleep(STEADY)
        return {n: outcome(load.seen, began, held[n], struck) for n, load in loads.items()}

    def victims(self) -> list[Tree]:
        """An Envoy of each Gateway, on the same node where there is one: no node too many goes."""
        (one, *_), two = self.envoys(1), self.envoys(2)
        beside = [p for p in two if p["spec"]["nodeName"] == one["spec"]["nodeName"]]
        return [one, (beside or two)[0]]

    def _again(self) -> bool:
        """All Envoys are ready and answer."""
        whole = all([entries.is_ready(p) for p in self.envoys(n)].count(True) == n for n in REPLICAS)
        return whole and all(self.outside.status(f"http://{a}/") == "200" for a in self.addresses.values())

    def roll(self) -> Struck:
        names = [f"deployment/edge-{count}-of-{count}" for count in REPLICAS]
        self.kubectl("rollout", "restart", *names)
        for name in names:
            self.kubectl("rollout", "status", name, "--timeout=100s")
        self.kubectl.until(lambda: all(len(self.envoys(n)) == n for n in REPLICAS))
        return Struck()

    def drain(self) -> Struck:
        nodes = {str(p["spec"]["nodeName"]) for p in self.victims()}
        self.kubectl("drain", *sorted(nodes), "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=100s")
        self.kubectl.until(self._again)
        self.kubectl("uncordon", *sorted(nodes))
        return Struck()

    def kill(self) -> Struck:
        pods = self.victims()
        pids = [entries.envoy_pid(self.where, pod) for pod in pods]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.kubectl.until(lambda: self._restarted(pods) and self._again())
        return Struck(frozenset(str(p["status"]["podIP"]) for p in pods))

    def _restarted(self, before: list[Tree]) -> bool:
        """The kubelet has seen the end of these pods' containers, and started others."""
        now = {p["metadata"]["uid"]: _starts(p) for count in REPLICAS for p in self.envoys(count)}
        return all(now.get(p["metadata"]["uid"], 0) > _starts(p) for p in before)

    def silence(self) -> Struck:
        nodes = {str(p["spec"]["nodeName"]) for p in self.victims()}
        ended = [p for count in REPLICAS for p in self.envoys(count) if p["spec"]["nodeName"] in nodes]
        try:
            for node in sorted(nodes):
                self.outside.rules(node, SILENCE)
            time.sleep(SILENT)
        finally:
            for node in sorted(nodes):
                self.outside.rules(node, "delete table inet seaway-lab\n")
        self.kubectl.until(self._again)
        return Struck(frozenset(str(p["status"]["podIP"]) for p in ended))

    def hang(self, name: str, meanwhile: Callable[[], None]) -> float:
        """A process stands still for a while and is killed then; when that was."""
        pid = entries.pid(self.where, name)
        os.kill(pid, signal.SIGSTOP)
        try:
            gone = time.monotonic()
            meanwhile()
            time.sleep(max(0.0, gone + AWAY - time.monotonic()))
        finally:
            os.kill(pid, signal.SIGKILL)
        return time.monotonic()

    def without_controller(self) -> Struck:
        """A route is made meanwhile."""
        made = entries.route("later", LATER, [f"edge-{count}" for count in REPLICAS])
        back = self.hang("gateway", lambda: self.kubectl.apply([made]))
        waiting = set(self.addresses.values())

        def served() -> bool:
            waiting.difference_update([a for a in waiting if self.outside.status(f"http://{a}/", LATER) == "200"])
            return not waiting

        self.kubectl.until(served)
        taken = time.monotonic() - back
        self.kubectl("delete", "httproute", "later")
        return Struck(back=back, seconds=taken)

    def without_api_server(self) -> Struck:
        """A pod of the application stops being ready meanwhile."""
        pod = self.kubectl.items("pods", "-l", "app=web")[0]
        name, node, ip = (str(pod["metadata"]["name"]), str(pod["spec"]["nodeName"]), str(pod["status"]["podIP"]))
        back = self.hang("apiserver", lambda: self._tell(node, ip, "leave"))
        self.kubectl.until(self._answers)
        self.kubectl.until(lambda: not self._whole())
        time.sleep(STEADY)
        self._tell(node, ip, "enter")
        return Struck(back=back, left=name)

    def _tell(self, node: str, ip: str, word: str) -> None:
        self.outside.status(f"http://{ip}:8080/{word}", origin=node)

    def _answers(self) -> bool:
        return self.kubectl.succeeds("get", "--raw", "/readyz")


def _starts(pod: Tree) -> int:
    return sum(int(c["restartCount"]) for c in pod["status"].get("containerStatuses") or ())


def measure(stage: Stage, where: Place, events: Iterable[str]) -> dict[str, dict[int, Outcome]]:
    rig = Rig(where)
    rig.build()
    acts = dict(
        zip(
            EVENTS,
            (rig.roll, rig.drain, rig.kill, rig.silence, rig.without_controller, rig.without_api_server),
            strict=True,
        )
    )
    found: dict[str, dict[int, Outcome]] = {}
    for event in events:
        found[event] = rig.watch(acts[event])
        told = (
            f"{one.lost_kept + one.lost_new} of {one.requests} requests lost with {_counted(n)}"
            + "".join(f", {number} {why}" for why, number in one.how)
            for n, one in found[event].items()
        )
        stage.say(f"{event}: {'; '.join(told)}")
    return found


def _counted(count: int) -> str:
    return "one Envoy" if count == 1 else f"{count} Envoys"


def result(counted: Mapping[str, Mapping[int, Outcome]]) -> Result:
    """Table, sentences and picture of what was counted."""
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    for event, by_count in counted.items():
        for count, one in by_count.items():
            lost = one.lost_kept + one.lost_new
            rows.append(
                (
                    event,
                    str(count),
                    str(one.requests),
                    str(lost),
                    str(one.lost_new),
                    f"{one.gap:.1f} s",
                    f"{one.cut} of {one.held}" if one.held else str(one.cut),
                    str(one.cut_elsewhere),
                    f"{one.failing:.1f} s" if one.lost_new else "-",
                    "-" if one.taken_up is None else f"{one.taken_up:.1f} s",
                )
            )
            figures = {"requests": one.requests, "lost": lost, "lost on kept": one.lost_kept, "held": one.held}
            figures |= {"cut": one.cut, "cut elsewhere": one.cut_elsewhere}
            numbers |= {f"{what}/{event}/{count}": float(value) for what, value in figures.items()}
            numbers |= {f"failing/{event}/{count}": one.failing, f"gap/{event}/{count}": one.gap}
            if one.taken_up is not None:
                numbers[f"taken up/{event}/{count}"] = one.taken_up
    longest = max((len(one.curve) for by in counted.values() for one in by.values()), default=1)
    seconds = [float(n) for n in range(longest + 1)]
    pictures = [
        chart.lines(
            f"Requests lost with {_counted(count)}",
            seconds,
            {event: _padded(by[count].curve, longest + 1) for event, by in counted.items()},
            lambda v: f"{v:.0f}",
            f"lost, by the second in which they began; each event begins in second {STEADY:.0f}",
            "seconds",
        )
        for count in REPLICAS
    ]
    columns = (
        "event",
        "Envoys",
        "requests",
        "lost",
        "on new ones",
        "longest gap",
        "connections cut",
        "cut elsewhere",
        "new ones failed for",
        "change taken up after",
    )
    checked = f"every {probes.PERIOD:g} s, for {probes.TIMEOUT:g} s at most, and believes {probes.FAILURES} in a row"
    notes = (
        f"At each of two Gateways, {entries.KEPT} clients outside that keep their connection and ask ten times a second, and",
        f"{entries.RATE:.0f} new connections a second. A request is lost that has no answer of 200 within 2 s;",
        "on new ones: the first of a connection.",
        "Cut: kept connections that ended unannounced, of those that the Envoys that were struck held at that moment.",
        f"The load balancer (externalTrafficPolicy: Local) asks each node for a ready Envoy {checked}:",
        f"{entries.NOTICED:g} s at the most in which new connections may still reach who is gone.",
        f"The node comes back after {SILENT:g} s: with one Envoy nothing is served until then, since nobody replaces it before.",
        "A node is believed to be gone after 50 s, and its pods are replaced 300 s later.",
        f"The controller and the API server stand still for {AWAY:g} s and are killed then. Meanwhile a route is made, and a pod",
        "stops being ready: taken up after so many seconds from the kill.",
    )
    title = "Requests lost when the entry point fails"
    return Result(title, columns, tuple(rows), notes, chart.under(*pictures), numbers)


def _padded(curve: tuple[int, ...], length: int) -> list[float]:
    return [*map(float, curve), *[0.0] * (length - len(curve))]


def nodes() -> tuple[NodeConfig, ...]:
    """The application and the controller on one node, Envoys on three others."""
    taint = {"key": "entry", "value": "true", "effect": "NoSchedule"}
    edges = [NodeConfig(f"lab-edge{n}", "worker", {"entry": "true"}, (taint,)) for n in (1, 2, 3)]
    return (NodeConfig("lab-control-plane", "control-plane"), *edges)


def run(stage: Stage, options: Options) -> Result:
    networking = Networking(ip_family="ipv4", dns=Dns(upstreams=()))
    config = replace(ClusterConfig(), nodes=nodes(), networking=networking)
    with stage.cluster(config) as where:
        counted = measure(stage, where, QUICK if options.quick else EVENTS)
    return result(counted)
