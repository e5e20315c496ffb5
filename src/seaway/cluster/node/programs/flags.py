"""Go's command-line flags (`-port 80`, `--port=80`), for programs that stand in for Go programs. A page that argparse
touches is memory, fifty programs over: this touches few."""

from __future__ import annotations

import sys
from typing import Any


def _bool(text: str) -> bool:
    if text not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text in ("true", "1")


def parse(program: str, arguments: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
    """Values by flag name, of the defaults' types. An unknown flag or a wrong value ends the program with code 2."""
    values = dict(defaults)
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, given, text = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in defaults:
            known = ", ".join(f"--{n}" for n in defaults)
            print(f"{program}: {word!r} is not known here (there are: {known})", file=sys.stderr)
            raise SystemExit(2)
        kind = type(defaults[name])
        if kind is bool:
            text = text if given else "true"
        elif not given:
            if not rest:
                print(f"{program}: flag needs an argument: {word}", file=sys.stderr)
                raise SystemExit(2)
            text = rest.pop(0)
        try:
            values[name] = _bool(text) if kind is bool else kind(text)
        except ValueError:
            print(f"{program}: invalid value {text!r} for flag {word}", file=sys.stderr)
            raise SystemExit(2) from None
    return values
