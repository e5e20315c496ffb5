"""Plays the cases in a network namespace of its own; a line of JSON a finding. `python tests/dns/wire/wireplay.py [WORD...]`
plays the groups whose id holds one of the words."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dns.message
import wiredig
import yaml
from wireasking import TRANSPORTS, Asker, check, packet, wanted_row
from wirecases import Group, Question, Step, read, waiting, waits
from wirenet import Program, api_server, inside, sibling
from wireupstream import Upstream

HERE = Path(__file__).resolve().parent
AT_ONCE = 3  # servers
SETTLE = 5.0  # seconds until an answer must be right
ADDRESS = {4: "127.0.0.{}", 6: "fd00:99::{}"}
BUDGET = 15.0  # seconds that wrong answers may be waited for in all
Tree = dict[str, Any]


class Player:
    def __init__(self, folder: Path) -> None:
        self.api = api_server(folder)
        self.folder = folder
        tables = yaml.safe_load((HERE / "upstream.yaml").read_text())
        self.upstreams = {
            "$outside": (Upstream(("127.0.0.1", 5353), tables["outside"], "example.org."), "127.0.0.1:5353"),
            "$internal": (Upstream(("127.0.0.1", 5354), tables["internal"], "corp.internal."), "127.0.0.1:5354"),
        }
        self.programs: list[Program] = []
        self.ports = itertools.count(5400)
        self.budget = BUDGET
        self.turn = threading.Lock()  # of the API's one connection

    def program(self, number: int, group: Group) -> Program:
        words = {name: address for name, (_, address) in self.upstreams.items()}
        port = next(self.ports) if number else 53
        made = Program(self.folder / f"program{number}", self.folder / "kubeconfig", group.corefile, group.files, words, port, self.ports)
        self.programs.append(made)
        return made

    def apply(self, namespace: str, step: Step) -> None:
        with self.turn:
            for tree in step.objects:
                self.api.put(tree)
            for row in step.delete:
                self.api.delete(row, namespace)

    def serve(self, number: int, groups: list[Group]) -> list[Tree]:
        """All groups of one server, from its start to its end."""
        program = self.program(number, groups[0])
        trouble = program.wait()
        rows: list[Tree] = []
        for group in groups:
            begun = time.monotonic()
            found = [] if trouble else list(self.play(program, group))
            bad = [*gathered(found), *([trouble] if trouble else [])]
            rows.append({"group": group.id, "asked": len(found), "questions": len({q for q, *_ in found}), "bad": bad, "seconds": round(time.monotonic() - begun, 2)})
        program.close()
        return [*rows, {"log": program.trouble()}]

    def play(self, program: Program, group: Group) -> Iterable[tuple[str, str, str]]:
        """(question, transport, what is wrong), an empty text: nothing."""
        asker = Asker(program.port)
        plain: list[Question] = []
        for number, step in enumerate(group.steps):
            if number:
                self.apply(group.namespace, step)
                for name, text in step.files.items():
                    program.write(name, text)
                self.upstreams["$outside"][0].table.update(step.outside)
            time.sleep(step.pause)  # time itself is what these are about
            where = f"after {step.name}: " if step.name else ""
            for question in step.questions:
                self._settled(question, asker, bool(number or step.files))
            for question in step.questions:
                for transport, family in TRANSPORTS:
                    if transport in question.row.get("over", ("udp", "tcp")):
                        wrong = self._ask(question, asker, transport, family)
                        if not program.alive:
                            wrong.append("the program is gone")
                        yield f"{where}{question}", f"{transport}{family}", "; ".join(wrong)
                yield from self._orders(question, asker, where)
                yield from self._upstream_counts(question, where)
                if wiredig.asked(question) and not number and len(group.steps) == 1:
                    plain.append(question)
        if plain:
            for question, (rcode, records) in zip(plain, wiredig.ask(plain, program.port), strict=True):
                wanted = [wanted_row(e, question) for e in question.row.get("answer") or ()]
                yield str(question), "dig", "; ".join(wiredig.compare(question, rcode, records, wanted))
        asker.close()

    def _ask(self, question: Question, asker: Asker, transport: str, family: int) -> list[str]:
        query = packet(question)
        source, to = (ADDRESS[family].format(question.row[k]) if k in question.row else "" for k in ("from", "to"))
        to = to or source  # so that the answer's way back is no question
        silence = bool(question.row.get("silence"))
        reply = asker.exchange(query, transport, family, source, to, 0.15 if silence else 2.0)
        return check(question, query, reply, transport)

    def _settled(self, question: Question, asker: Asker, everywhere: bool) -> None:
        """Waits until the first transport gives the right answer: the watch is on its way. `everywhere`: until all do, as each
        process hears of a change, and looks at files, in its own time."""
        if question.row.get("silence"):
            return
        over = question.row.get("over", ["udp"])
        ways = [w for w in TRANSPORTS if w[0] in question.row.get("over", ("udp", "tcp"))] if everywhere else [(over[0], 4)]
        begun = time.monotonic()
        while any(self._ask(question, asker, *way) for way in ways):
            if time.monotonic() - begun > min(SETTLE, self.budget):
                self.budget -= time.monotonic() - begun
                return
            time.sleep(0.01)

    def _orders(self, question: Question, asker: Asker, where: str) -> Iterable[tuple[str, str, str]]:
        """`orders`: so many different first records are seen within 100 questions."""
        if "orders" in question.row:
            first = set()
            for _ in range(100):
                answer = dns.message.from_wire(asker.exchange(packet(question), "udp", 4))
                # dnspython gathers the records of a set in the order of the wire
                first.add(str(answer.answer[-1][0]))
            wanted = question.row["orders"]
            yield f"{where}{question}", "orders", "" if len(first) == wanted else f"{len(first)} records come first at times, not {wanted}"

    def _upstream_counts(self, question: Question, where: str) -> Iterable[tuple[str, str, str]]:
        """`upstream_most`, `upstream_least`: how many times the outside may have been asked for it, all in all; `upstream_by`: how."""
        row, key = question.row, f"{question.name.lower()} {question.type}"
        if "upstream_most" in row or "upstream_least" in row:
            asked = sum(u.asked[key] for u, _ in self.upstreams.values())
            least, most = row.get("upstream_least", 1), row.get("upstream_most", 1 << 30)
            yield f"{where}{question}", "upstream", "" if least <= asked <= most else f"the upstream was asked {asked} times, not {least} to {most}"
        if "upstream_by" in row:
            ways = set().union(*(u.by.get(key, set()) for u, _ in self.upstreams.values()))
            yield f"{where}{question}", "upstream", "" if ways == set(row["upstream_by"]) else f"the upstream was asked by {sorted(ways)}"

    def close(self) -> None:
        for program in self.programs:
            program.close()
        self.api.close()


def gathered(found: list[tuple[str, str, str]]) -> list[str]:
    """What is wrong, once, with all the ways in which it was asked."""
    ways: dict[tuple[str, str], list[str]] = {}
    for question, way, wrong in found:
        if wrong:
            ways.setdefault((question, wrong), []).append(way)
    return [f"{q} by {' '.join(w)}: {wrong}" for (q, wrong), w in ways.items()]


def main(folder: Path, words: list[str]) -> None:
    listed = waiting()
    groups = [g for g in read() if not words or any(w in g.id for w in words)]
    groups = [g for g in groups if words or not waits(g, listed)]
    servers: dict[str, list[Group]] = {}
    for group in groups:
        servers.setdefault(group.corefile, []).append(group)
    player = Player(folder)
    try:
        for group in groups:
            player.api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": group.namespace}})
            player.apply(group.namespace, group.steps[0])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for rows in pool.map(player.serve, range(len(servers)), servers.values()):
                for row in rows:
                    print(json.dumps(row), flush=True)
    finally:
        player.close()


if __name__ == "__main__":
    if os.environ.get("SEAWAY_WIRE") != "inside":
        begun = time.monotonic()
        bad = total = questions = 0
        for line in sibling(__file__, sys.argv[1:]):
            row = json.loads(line)
            if "group" in row:
                total, questions = total + row["asked"], questions + row["questions"]
                bad += bool(row["bad"])
                print(f"{'BAD ' if row['bad'] else 'good'} {row['group']} ({row['questions']} questions, {row['seconds']} s)")
                for text in row["bad"]:
                    print("     ", text)
            elif row["log"]:
                print("LOG ", row["log"])
        print(f"{questions} questions, {total} answers, {bad} bad groups, {time.monotonic() - begun:.1f} s")
        sys.exit(bool(bad))
    inside()
    main(Path(os.environ["SEAWAY_WIRE_FOLDER"]), sys.argv[1:])
