"""Checks docs/features.md: every row names a test that is there. `rows` is also used by tests/conftest.py, which checks that
each of them ran.

A row: | feature | how to try it | since | `tests/path.py::test_name` |
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\|(?P<feature>[^|]+)\|(?P<how>[^|]+)\|(?P<since>[^|]+)\|\s*`(?P<test>tests/[^`]+::[^`]+)`\s*\|\s*$")


def rows(root: Path = ROOT) -> list[tuple[str, str]]:
    """(feature, test) of each row of the table."""
    found = []
    for line in (root / "docs" / "features.md").read_text().splitlines():
        row = ROW.match(line)
        if row:
            found.append((row["feature"].strip(), row["test"]))
        elif line.startswith("|") and not re.match(r"^\|[\s:|-]+\|$|^\| ?(feature|not here)", line) and "`tests/" in line:
            sys.exit(f"docs/features.md: this row cannot be read: {line}")
    return found


def tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            found |= {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    return found


def main() -> int:
    problems = []
    found = rows()
    for feature, test in found:
        name, _, function = test.partition("::")
        path = ROOT / name
        if not path.exists():
            problems.append(f"{feature}: {name} is not there")
        elif function not in tests_of(path):
            problems.append(f"{feature}: {name} has no {function}")
    for problem in problems:
        print(f"docs/features.md: {problem}", file=sys.stderr)
    if not problems:
        print(f"docs/features.md: {len(found)} features, each with its test")
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main())
