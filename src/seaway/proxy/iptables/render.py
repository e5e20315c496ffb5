"""The text of a change for `iptables-restore --noflush`; pure.

Chains of Services are replaced whole (declaring a chain empties it), rules of the chains that all share are added and deleted
one by one. At a start everything is declared, so that whatever an earlier process has left is replaced in the same commit of a
table; chains that nobody needs are removed after those that named them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from seaway.proxy.iptables import names
from seaway.proxy.iptables.rules import FILTER, NAT, Rules, node_port_matches, of_port
from seaway.proxy.table import Change, Delta, Facts, ServiceTable, Way

Tree = dict[str, dict[str, list[str]]]  # table -> chain -> rules
LARGE = 1_000  # Service ports in one text: iptables over nftables takes four times as long for twice as many
SMALL = 20  # where it may not make its socket's buffer larger
HOOKS = (
    (NAT, "PREROUTING", "kubernetes service portals", "", names.SERVICES),
    (NAT, "OUTPUT", "kubernetes service portals", "", names.SERVICES),
    (NAT, "POSTROUTING", "kubernetes postrouting rules", "", names.POSTROUTING),
    (FILTER, "INPUT", "kubernetes externally-visible service portals", "new", names.EXTERNAL),
    (FILTER, "FORWARD", "kubernetes externally-visible service portals", "new", names.EXTERNAL),
    (FILTER, "OUTPUT", "kubernetes externally-visible service portals", "new", names.EXTERNAL),
    (FILTER, "INPUT", "kubernetes load balancer firewall", "new", names.FIREWALL),
    (FILTER, "FORWARD", "kubernetes load balancer firewall", "new", names.FIREWALL),
    (FILTER, "OUTPUT", "kubernetes load balancer firewall", "new", names.FIREWALL),
    (FILTER, "FORWARD", "kubernetes service portals", "new", names.SERVICES),
    (FILTER, "OUTPUT", "kubernetes service portals", "new", names.SERVICES),
    (FILTER, "FORWARD", "kubernetes forwarding rules", "", names.FORWARD),
    (FILTER, "INPUT", "kubernetes local addresses", "", names.GUARD),
)
PortKey = tuple[str, str]  # title, protocol


def hook_rules() -> dict[tuple[str, str], list[str]]:
    """(table, built-in chain) -> the rules that lead from it to ours, in order."""
    found: dict[tuple[str, str], list[str]] = {}
    for table, chain, said, state, target in HOOKS:
        new = "-m conntrack --ctstate NEW " if state else ""
        found.setdefault((table, chain), []).append(f"{new}{names.comment(said)} -j {target}")
    return found


def fixed(facts: Facts) -> Tree:
    """The chains that do not depend on Services; those that Services add to are empty here, but for how they end."""
    mark = f"{facts.mark:#x}"
    outsiders = [f"-s {cidr} -j RETURN" for cidr in facts.cluster_cidrs]
    ports = [
        f"{names.comment('kubernetes service nodeports')} {where} -j {names.NODE_PORTS}"
        for where in node_port_matches(facts)
    ]
    nat = {
        names.MARK_MASQ: [f"-j MARK --set-xmark {mark}/{mark}"] if facts.masquerade else [],
        names.OUTSIDERS: [*outsiders, f"-j {names.MARK_MASQ}"],
        names.NODE_PORTS: [],
        names.SERVICES: ports,
        names.POSTROUTING: [
            f"-m mark ! --mark {mark}/{mark} -j RETURN",
            f"-j MARK --set-xmark 0x0/{mark}",
            f"{names.comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully",
        ],
        names.CANARY: [],
    }
    established = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    guard = [
        "! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"  # CVE-2020-8558
    ]
    filters = {
        names.SERVICES: [],
        names.EXTERNAL: [],
        names.FIREWALL: [],
        names.FORWARD: [f"-m mark --mark {mark}/{mark} -j ACCEPT", established],
        names.GUARD: guard if facts.family == 4 else [],
        names.CANARY: [],
    }
    return {NAT: nat, FILTER: filters}


class State:
    """What has been made of one family: the ways in of each Service port, and its chains and rules."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.ways: dict[PortKey, dict[Hashable, Way]] = {}
        self.made: dict[PortKey, Rules] = {}

    def take(self, changes: Mapping[Hashable, Change]) -> list[PortKey]:
        """Takes changed ways in; the Service ports that they touch."""
        touched: set[PortKey] = set()
        for key, (old, new) in changes.items():
            assert isinstance(key, tuple)
            protocol = key[1] if len(key) == 3 else key[0]
            for way in (old, new):
                if way is not None:
                    touched.add((way.answer.title, protocol))
            if old is not None:
                self.ways.get((old.answer.title, protocol), {}).pop(key, None)
            if new is not None:
                self.ways.setdefault((new.answer.title, protocol), {})[key] = new
        return sorted(touched)

    def make(self, port: PortKey) -> tuple[Rules, Rules]:
        """(rules before, rules after) of a touched Service port."""
        ways = self.ways.get(port) or {}
        old, new = self.made.get(port, Rules({}, set())), of_port(self.facts, *port, ways)
        if ways:
            self.made[port] = new
        else:
            self.ways.pop(port, None)
            self.made.pop(port, None)
        return old, new

    def expected(self) -> dict[str, dict[str, int]]:
        """table -> chain -> how many rules."""
        found = {table: {c: len(r) for c, r in chains.items()} for table, chains in fixed(self.facts).items()}
        for made in self.made.values():
            for chain, rules in made.chains.items():
                found[NAT][chain] = len(rules)
            for table, chain, _ in made.shared:
                found[table][chain] += 1
        return found


def _text(
    declared: Iterable[tuple[str, str]], rules: Iterable[tuple[str, str]], removed: Iterable[tuple[str, str]]
) -> str:
    """One restore: chains declared (and emptied), lines, chains removed; each with its table."""
    parts: dict[str, list[str]] = {}
    for table, chain in declared:
        parts.setdefault(table, []).append(f":{chain} - [0:0]")
    for table, line in rules:
        parts.setdefault(table, []).append(line)
    for table, chain in removed:
        parts.setdefault(table, []).append(f"-X {chain}")
    return "".join(f"*{table}\n" + "\n".join(lines) + "\nCOMMIT\n" for table, lines in sorted(parts.items()))


class _Port(NamedTuple):
    old: Rules
    new: Rules


def _ports_texts(ports: list[_Port], large: int) -> list[str]:
    """The texts of some changed Service ports, in three commits: new ways in first, then what is refused, then what is gone.
    In any other order a packet could find neither, and leave for the network with a Service's address. Where there are too
    many for one text each commit is several, the first of all ports before the second of any."""
    parts = [_port_commits(ports[start : start + large]) for start in range(0, len(ports), large)]
    if len(parts) <= 1:
        return ["".join(part) for part in parts if any(part)]
    return [text for commit in range(3) for part in parts if (text := part[commit])]


def _port_commits(ports: Iterable[_Port]) -> tuple[str, str, str]:
    declared: list[tuple[str, str]] = []
    lines: list[tuple[str, str]] = []
    refusals: list[tuple[str, str]] = []
    late: list[tuple[str, str]] = []
    left: list[tuple[str, str]] = []
    for old, new in ports:
        for chain, rules in new.chains.items():
            if old.chains.get(chain) != rules:
                declared.append((NAT, chain))
                lines += [(NAT, f"-A {chain} {rule}") for rule in rules]
        for table, chain, rule in sorted(new.shared - old.shared):
            (lines if table == NAT else refusals).append((table, f"-I {chain} {rule}"))
        for table, chain, rule in sorted(old.shared - new.shared):
            (late if table == NAT else refusals).append((table, f"-D {chain} {rule}"))
        left += [(NAT, c) for c in old.chains if c not in new.chains]
    # Chains that go are emptied first, so that none names another.
    return _text(declared, lines, ()), _text((), refusals, ()), _text(left, late, left)


def change(state: State, delta: Delta, large: int = LARGE) -> list[str]:
    """The texts of a change of some Services; the state moves on. None where no rule changes."""
    changes: dict[Hashable, Change] = {key: both for key, both in delta.vips.items()}
    for port, both in delta.node_ports.items():
        changes[port] = both
    ports = [_Port(*state.make(key)) for key in state.take(changes)]
    return _ports_texts([p for p in ports if p.old != p.new], large)


def written(texts: Iterable[str]) -> dict[str, int]:
    """table -> rules that some texts write."""
    found: dict[str, int] = {}
    table = ""
    for text in texts:
        for line in text.splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(("-A ", "-I ")):
                found[table] = found.get(table, 0) + 1
    return found


def whole(table: ServiceTable, held: Mapping[str, Mapping[str, int]], large: int) -> tuple[list[str], State]:
    """A start: (texts, the state after them). `held`: what is there, table -> chain -> rules. Chains that Services
    own come first, in texts of `large` ports; the last text replaces the shared chains and removes what is left over."""
    state = State(table.facts)
    changes: dict[Hashable, Change] = {key: (None, way) for key, way in table.vips.items()}
    for port, way in table.node_ports.items():
        changes[port] = (None, way)
    for key in state.take(changes):
        state.make(key)
    texts: list[str] = []
    ports = list(state.made.values())
    base = fixed(table.facts)
    marks = [(NAT, chain) for chain in base[NAT]]
    for start in range(0, len(ports), large):
        chains = {c: r for rules in ports[start : start + large] for c, r in rules.chains.items()}
        lines = [(NAT, f"-A {c} {rule}") for c, rules in chains.items() for rule in rules]
        # Shared chains may be missing yet: those that others jump to are declared with the first text.
        needed = [m for m in marks if m[1] not in held.get(NAT, {})] if start == 0 else []
        texts.append(_text([*needed, *((NAT, c) for c in chains)], lines, ()))
    declared: list[tuple[str, str]] = []
    rules: list[tuple[str, str]] = []
    shared: dict[tuple[str, str], list[str]] = {}
    for made in ports:
        for name, chain, rule in made.shared:
            shared.setdefault((name, chain), []).append(rule)
    for name, chains_of in base.items():
        for chain, ends in chains_of.items():
            declared.append((name, chain))
            rules += [(name, f"-A {chain} {rule}") for rule in (*sorted(shared.get((name, chain), ())), *ends)]
    owned = {c for made in ports for c in made.chains}
    left = [c for c in held.get(NAT, {}) if c.startswith(names.OF_SERVICES) and c not in owned]
    texts.append(_text([*declared, *((NAT, c) for c in left)], rules, ((NAT, c) for c in left)))
    return _joined(texts) if len(ports) <= large else texts, state


def _joined(texts: list[str]) -> list[str]:
    """One restore of all: both tables in one process."""
    return ["".join(texts)]


def hooks(held: Mapping[str, Mapping[str, list[str]]]) -> str:
    """The rules that lead from the built-in chains (which `held` has with theirs) to ours, where they are missing."""
    lines = []
    for (table, chain), wanted in hook_rules().items():
        there = held.get(table, {}).get(chain, [])
        missing = [rule for rule in wanted if not any(_leads(rule, have) for have in there)]
        lines += [(table, f"-I {chain} 1 {rule}") for rule in reversed(missing)]
    return _text((), lines, ())


def _leads(rule: str, have: str) -> bool:
    """Whether a listed rule is one of ours: iptables-save has its own order of matches."""
    return have.rpartition("-j ")[2] == rule.rpartition("-j ")[2]


def cleanup(held: Mapping[str, Mapping[str, list[str]]], kept: frozenset[tuple[str, str]] = frozenset()) -> str:
    """Removes every trace: the hooks' rules, then our chains; but for those (table, chain) that another mode has made its own."""
    lines, declared, gone = [], [], []
    for (table, chain), wanted in hook_rules().items():
        targets = {t for rule in wanted if (table, t := rule.rpartition("-j ")[2]) not in kept}
        lines += [
            (table, f"-D {chain} {r}") for r in held.get(table, {}).get(chain, ()) if r.rpartition("-j ")[2] in targets
        ]
    ours = {table: set(chains) for table, chains in fixed(Facts(4)).items()}
    for table, chains in held.items():
        for chain in chains:
            if (table, chain) in kept:
                continue
            if chain in ours.get(table, ()) or (table == NAT and chain.startswith(names.OF_SERVICES)):
                declared.append((table, chain))
                gone.append((table, chain))
    return _text(declared, lines, gone)
