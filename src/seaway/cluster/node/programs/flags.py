"""Go's command-line flags (`-port 80`, `--port=80`), for programs that stand in for Go programs. A page that argparse
touches is memory, fifty programs over: this touches few."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

TERMINATION_LOG = "/dev/termination-log"


def refuse(program: str, text: str) -> SystemExit:
    """What a stand-in says that was given what it would not honour: it ends, and the pod's status shows the reason."""
    message = f"{program}: {text}; Seaway's stand-in for the image knows no more: `seaway image load` runs the real one"
    print(message, file=sys.stderr, flush=True)
    try:
        with open(TERMINATION_LOG, "r+") as f:
            f.write(message)
    except OSError:
        pass
    return SystemExit(2)


def refuse_environment(
    program: str, environment: Mapping[str, str], prefixes: tuple[str, ...], known: tuple[str, ...]
) -> None:
    """Refuses variables that the original reads and the stand-in does not."""
    unknown = sorted(n for n in environment if n.startswith(prefixes) and n not in known)
    if unknown:
        raise refuse(program, f"the variables {', '.join(unknown)} are not honoured here")


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Go's durations (`1h2m3.5s`, `300ms`) in seconds; ValueError where it is none."""
    if text in ("", "0"):
        return 0.0
    if not re.fullmatch(r"(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+", text):
        raise ValueError(f"invalid duration {text!r}")
    return sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)", text))


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
            raise refuse(program, f"{word!r} is not known here (there are: {known})")
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
