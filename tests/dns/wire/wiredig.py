"""A second, independent client: `dig` asks the same questions, many in one run."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from wirecases import Question

ASKED = frozenset({"A", "AAAA", "SRV", "PTR"})
PLAIN = frozenset({"ask", "ptr", "type", "is", "answer", "ttl", "aa", "ra", "additional", "authority", "soa"})


def asked(question: Question) -> bool:
    return question.type in ASKED and set(question.row) <= PLAIN and question.row.get("answer") != "any"


def ask(questions: list[Question], port: int) -> list[tuple[str, list[str]]]:
    """(rcode, sorted records as `owner type data`) of each question."""
    words: list[str] = ["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=2", "+noall", "+comments", "+answer", "+question"]
    for question in questions:
        words += [question.name, question.type]
    text = subprocess.run(words, capture_output=True, text=True, timeout=60).stdout
    found = []
    for block in text.split(";; ->>HEADER<<-")[1:]:
        code = re.search(r"status: (\w+)", block)
        records = []
        for line in block.splitlines()[1:]:
            parts = line.split()
            if len(parts) >= 5 and not line.startswith(";"):
                records.append(f"{parts[0].lower()} {parts[3]} {' '.join(parts[4:]).lower()}")
        found.append((code[1] if code else "", sorted(records)))
    # A question without an answer has no block: all the others would be taken for its neighbours'.
    return found if len(found) == len(questions) else [("an answer is missing", [])] * len(questions)


def compare(question: Question, rcode: str, records: list[str], wanted: list[tuple[str, str, str]]) -> list[str]:
    row: dict[str, Any] = question.row
    kind = row.get("is", "ok")
    allowed = [{"ok": "NOERROR", "nodata": "NOERROR"}.get(w, w.upper()) for w in (kind if isinstance(kind, list) else [kind])]
    wrong = [] if rcode in allowed else [f"dig: status {rcode}"]
    if "answer" in row or kind != "ok":
        texts = sorted(" ".join(w) for w in wanted)
        star = any(re.search(r" SRV \d+ \* ", t) for t in texts)
        seen = sorted(re.sub(r"( SRV \d+) \d+ ", r"\1 * ", r) for r in records) if star else records
        if seen != texts:
            wrong.append(f"dig: {seen}, not {texts}")
    return wrong
