"""Functions of strings (cel-go standard library and ext/strings.go, version 2)."""

from __future__ import annotations

from seaway.cluster.apiserver.expressions.functions import templates
from seaway.cluster.apiserver.expressions.functions.overloads import Overload, one
from seaway.cluster.apiserver.expressions.values import EvaluationError

UPPER, LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
TO_LOWER, TO_UPPER = str.maketrans(UPPER, LOWER), str.maketrans(LOWER, UPPER)
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
QUOTES = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)


def _outside(index: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {index}")


def _char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise _outside(index)
    return text[index : index + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if start < 0:
        raise _outside(start)
    if not part:
        return min(start, len(text))
    return text.find(part, start)


def _last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


def _last_index_before(text: str, part: str, start: int) -> int:
    if start < 0:
        raise _outside(start)
    if not part:
        return min(start, len(text))
    return -1 if start >= len(text) else text.rfind(part, 0, start + len(part))


def _replace(text: str, old: str, new: str, most: int) -> str:
    return text.replace(old, new, most if most >= 0 else -1)


def _split(text: str, by: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if not by:
        parts = list(text)
        return parts if most < 0 or len(parts) <= most else parts[: most - 1] + ["".join(parts[most - 1 :])]
    return text.split(by) if most < 0 else text.split(by, most - 1)


def _substring(text: str, start: int) -> str:
    if not 0 <= start <= len(text):
        raise _outside(start)
    return text[start:]


def _between(text: str, start: int, end: int) -> str:
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for at in (start, end):
        if not 0 <= at <= len(text):
            raise _outside(at)
    return text[start:end]


def _join(parts: list[str], by: str = "") -> str:
    return by.join(parts)


def _contains(text: str, part: str) -> bool:
    return part in text


FUNCTIONS: dict[str, tuple[Overload, ...]] = {
    "contains": one(_contains, str, str),
    "startsWith": one(str.startswith, str, str),
    "endsWith": one(str.endswith, str, str),
    "charAt": one(_char_at, str, int),
    "indexOf": (Overload((str, str), _index_of), Overload((str, str, int), _index_of)),
    "lastIndexOf": (Overload((str, str), _last_index_of), Overload((str, str, int), _last_index_before)),
    "lowerAscii": one(lambda text: text.translate(TO_LOWER), str),
    "upperAscii": one(lambda text: text.translate(TO_UPPER), str),
    "replace": (
        Overload((str, str, str), lambda text, old, new: text.replace(old, new)),
        Overload((str, str, str, int), _replace),
    ),
    "split": (Overload((str, str), _split), Overload((str, str, int), _split)),
    "substring": (Overload((str, int), _substring), Overload((str, int, int), _between)),
    "trim": one(lambda text: text.strip(SPACE), str),
    "join": (Overload((list,), _join), Overload((list, str), _join)),
    "format": one(templates.format, str, list),
    "strings.quote": one(lambda text: f'"{text.translate(QUOTES)}"', str),
    "jsonpatch.escapeKey": one(lambda text: text.replace("~", "~0").replace("/", "~1"), str),
}
