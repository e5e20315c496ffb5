"""Which of the resources in a refused response is the bad one.

A refusal says for the whole response what was wrong, and of a bad message not even where. So suspicion is only a guess where to
look first: what the error names is sent alone, the rest together, and where nothing is named, halves. Only what is refused alone
is bad.
"""

from __future__ import annotations

from collections.abc import Sequence

Group = tuple[str, ...]
_INVALID = "Proto constraint validation failed"
_ALONE = 16  # so many suspects are tried one by one


def reason(error: str) -> str:
    """What is wrong, of an error that shows the whole message first and then, from the outside in, which field of it is bad
    (ProtoExceptionUtil::throwProtoValidationException)."""
    _, found, tail = error.rpartition(_INVALID)
    if not found:
        return error
    return tail.strip().removeprefix("(").removesuffix(")").rpartition("caused by ")[2] or error


def groups(names: Sequence[str], error: str) -> list[Group]:
    """The responses to try after this one was refused, in order; `names` has two or more."""
    # "Error adding/updating cluster(s) a/b/80: message, c/d/80: message" (cds_api_helper.cc; lds_api.cc has the like).
    suspects = [n for n in names if f" {n}: " in error or f"\n{n}: " in error]
    if not suspects or len(suspects) > _ALONE:
        suspects = [n for n in names if n in error]
    if suspects and len(suspects) <= _ALONE:
        rest = tuple(n for n in names if n not in suspects)
        return ([rest] if rest else []) + [(n,) for n in suspects]
    middle = len(names) // 2
    return [tuple(names[:middle]), tuple(names[middle:])]
