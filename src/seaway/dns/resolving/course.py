"""What is asked of whom for a question, in the order of CoreDNS's plugins: rewrite, autopath, hosts, kubernetes, forward; pure.

A course is a generator: it yields what it needs (`AskZone`, `AskUpstream`) and is sent the answer; it returns the last.
"""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import NamedTuple

from seaway.dns import wire
from seaway.dns.answer import Answer, failure, joined, of_records
from seaway.dns.presentation import rcode_word
from seaway.dns.resolving.blocks import Blocks, Plan
from seaway.dns.resolving.plugins import turned_back
from seaway.dns.rewriting import NOTHING
from seaway.dns.wire import AAAA, CNAME, NOERROR, NXDOMAIN, REFUSED, SERVFAIL, A

CHAIN = 8  # aliases in a row


class Question(NamedTuple):
    """`name` in lower case; `do`, `cd`: what the asker wants of DNSSEC."""

    name: bytes
    kind: int
    do: bool = False
    cd: bool = False


class AskZone(NamedTuple):
    name: bytes
    kind: int


class AskUpstream(NamedTuple):
    """`owners`: what of the cluster is not there, so that the upstream is asked at all."""

    plan: Plan
    number: int
    question: Question
    owners: tuple[bytes, ...] = ()


Need = AskZone | AskUpstream
Course = Generator[Need, Answer | None, Answer]


def course(blocks: Blocks, plan: Plan, question: Question) -> Course:
    """The whole way of a question in its block."""
    if plan.rewriting is not None:
        changed = plan.rewriting.question(wire.to_name(question.name), question.kind, wire.IN)
        if not changed.valid:
            return failure(SERVFAIL)
        name = wire.name_of(changed.name)
        if changed.cls != wire.IN:
            return failure(REFUSED)
        if name != question.name or changed.kind != question.kind or changed.back is not NOTHING:
            answer = yield from _walk(blocks, plan, question._replace(name=name, kind=changed.kind))
            return turned_back(answer, question.name, changed)
    return (yield from _walk(blocks, plan, question))


def _walk(blocks: Blocks, plan: Plan, question: Question) -> Course:
    answer = yield from plain(blocks, plan, question)
    if not plan.autopath or answer.rcode != NXDOMAIN or question.kind not in (A, AAAA):
        return answer
    namespace, names = candidates(plan, question.name)
    if not names:
        return answer
    there = yield AskZone(namespace, A)
    if there is None or there.rcode != NOERROR:
        return answer  # a name below svc that no pod's search path begins with
    owners, until = (*answer.owners, *there.owners), answer.until
    for candidate in names:
        found = blocks.find(candidate)
        if found is None:
            continue
        other = yield from plain(blocks, found[0], question._replace(name=candidate))
        owners, until = (*owners, *other.owners), min(until, _end(other))
        # The first name that exists ends the walk, with or without this type: A and AAAA must not lead apart.
        if other.rcode == NOERROR:
            plan.walked += 1
            if not other.counts[0]:
                return answer._replace(flags=answer.flags & ~15, owners=owners, until=until)
            ttl = plan.outline.settings.ttl if plan.outline else 0
            alias = of_records(0, [wire.record(wire.TO_QUESTION, CNAME, ttl, candidate)], owners=owners)
            return joined(alias._replace(until=until), candidate, other)
    return answer


def candidates(plan: Plan, name: bytes) -> tuple[bytes, list[bytes]]:
    """What a pod's resolver would ask after `name`, where that is the first of its search path (`X.<namespace>.svc.<zone>`):
    the namespace's own name, and X below the other domains of the path in their order, then X itself. Nothing where it cannot
    come from a search path: a name below a Service that is there, or one of a port. Nothing for an X of one label either: the
    second name that is asked for `a.b` (`a.b.svc.<zone>`) looks just like the first for `a` in a namespace `b`."""
    outline = plan.outline
    if outline is None or not outline.synced or not any(wire.is_below(name, zone) for zone in plan.autopath):
        return b"", []
    for origin in outline.origins:
        suffix = b"\x03svc" + origin
        if not wire.is_below(name, suffix):
            continue
        labels = wire.labels_of(name[: len(name) - len(suffix)] + b"\0")
        if len(labels) < 3 or labels[0].startswith(b"_"):
            break
        parts = [bytes((len(label),)) + label for label in labels]
        if parts[-2] + parts[-1] in outline.services:
            break
        base = b"".join(parts[:-1])
        own = (suffix, origin) if plan.block.autopath and plan.block.autopath.cluster else ()
        paths = (*own, *plan.searches, b"\0")
        return parts[-1] + suffix, [base + path for path in dict.fromkeys(paths) if len(base) + len(path) <= 255]
    return b"", []


def plain(blocks: Blocks, plan: Plan, question: Question, path: tuple[bytes, ...] = ()) -> Course:
    """hosts, kubernetes, forward; aliases followed. `path`: the aliases that have led here."""
    name, kind = question.name, question.kind
    if plan.hosts is not None and (found := plan.hosts.answer(name, kind)) is not None:
        return found
    denied: Answer | None = None
    if plan.outline is not None and any(wire.is_below(name, zone) for zone in plan.cluster):
        denied = plan.outline.answer(name, kind)
        if denied is None:
            denied = (yield AskZone(name, kind)) or failure(SERVFAIL)
            if denied.target and denied.counts[0] == 1 and kind != CNAME:
                return (yield from _chase(blocks, denied, question, path))
        if denied.rcode != NXDOMAIN or not any(wire.is_below(name, zone) for zone in plan.falls):
            return denied
    owners = denied.owners if denied is not None else ()
    chosen = plan.forward_for(name)
    while chosen is not None:
        number, forward = chosen
        answer = (yield AskUpstream(plan, number, question, owners)) or failure(SERVFAIL)
        empty = forward.next_on_nodata and answer.rcode == NOERROR and not answer.counts[0]
        if not empty and rcode_word(answer.rcode) not in forward.next_on:
            return answer
        chosen = plan.forward_for(name, number + 1)
        if chosen is None:
            return answer
    return denied or failure(REFUSED)


def _chase(blocks: Blocks, first: Answer, question: Question, path: tuple[bytes, ...]) -> Course:
    """An alias to the end of its chain, or once around a circle. Where that leads nowhere the alias alone is the answer, as
    CoreDNS has it."""
    alone = first._replace(target=b"")
    found = blocks.find(first.target)
    path = (*path, question.name)
    if len(path) > CHAIN or first.target in path or found is None:
        return alone
    rest = yield from plain(blocks, found[0], question._replace(name=first.target), path)
    if not rest.counts[0]:
        return alone._replace(owners=(*alone.owners, *rest.owners), until=min(alone.until, _end(rest)))
    return joined(alone, first.target, rest)


def _end(part: Answer) -> float:
    """When an answer ends that this one had a part in: at once for a failure that does not say when, since nothing will tell
    that it has passed."""
    return 0.0 if part.until == inf and part.rcode not in (NOERROR, NXDOMAIN) else part.until
