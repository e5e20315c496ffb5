"""Checked expressions ready to run, with what they cost (cel-go interpreter/runtimecost.go).

They are closures (`closures`), which take the frame, a list: the cost so far, the limit, the variables, and a slot for each
variable of a comprehension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seaway.cluster.apiserver.expressions.closures import COST, Builder, Compiler, Frame
from seaway.cluster.apiserver.expressions.declarations import Decl
from seaway.cluster.apiserver.expressions.syntax import Checked
from seaway.cluster.apiserver.expressions.values import CostExceeded, EvaluationError, no_overload

PER_CALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to: a value, or an error; and what it cost."""

    value: Any
    error: str
    cost: int
    exceeded: bool = False


class Program:
    """An expression ready to run; `builders` make the values of messages that are not a schema's."""

    __slots__ = ("checked", "slots", "step")

    def __init__(
        self,
        checked: Checked,
        messages: Mapping[str, Decl] | None = None,
        builders: Mapping[str, Builder] | None = None,
    ) -> None:
        builder = Compiler(checked, messages or {}, builders or {})
        self.checked = checked
        self.step = builder.compile(checked.root)
        self.slots = builder.most

    def run(self, variables: Mapping[str, Any], limit: int = PER_CALL) -> Outcome:
        frame: Frame = [0, limit, variables, *([None] * self.slots)]
        try:
            value = self.step(frame)
            if frame[COST] > limit:
                raise CostExceeded
        except EvaluationError as e:
            if frame[COST] > limit:
                return Outcome(None, str(CostExceeded()), frame[COST], True)
            return Outcome(None, str(e), frame[COST])
        except CostExceeded as e:
            return Outcome(None, str(e), frame[COST], True)
        except RecursionError:
            return Outcome(None, "expression nests too deeply", frame[COST])
        except (TypeError, AttributeError, ValueError, LookupError, ArithmeticError):
            # A value of a type that no overload was made for: what is dynamic is only known here.
            return Outcome(None, str(no_overload()), frame[COST])
        return Outcome(value, "", frame[COST])
