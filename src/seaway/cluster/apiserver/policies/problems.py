"""What is wrong with the expressions of a policy or a webhook when it is written (pkg/apis/admissionregistration/validation)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from seaway.cluster.apiserver.expressions.library import CompileError
from seaway.cluster.apiserver.policies.environment import BOOL, Compiler
from seaway.cluster.apiserver.status import Cause, wrong

Tree = dict[str, Any]


@functools.cache
def conditions_compiler(params: bool) -> Compiler:
    """matchConditions know no variables of a policy."""
    return Compiler(params)


def of(compiler: Compiler, source: str, returns: Iterable[str], at: str, authorizer: bool = True) -> list[Cause]:
    """The cause that an expression does not compile, if it does not."""
    try:
        compiler.program(source, returns, authorizer)
    except CompileError as e:
        return [wrong(at, source, str(e))]
    return []


def of_variable(compiler: Compiler, name: str, source: str, at: str) -> list[Cause]:
    """As `of`, for a variable, which later expressions may use."""
    try:
        compiler.variable(name, source)
    except CompileError as e:
        return [wrong(at, source, str(e))]
    return []


def of_condition(source: str, params: bool, at: str) -> list[Cause]:
    return of(conditions_compiler(params), source.strip(), BOOL, at)


def of_patch(compiler: Compiler, source: str, listed: bool, at: str) -> list[Cause]:
    """As `of`, for a mutation: an Object of fields to apply, or (`listed`) the operations of a JSON Patch."""
    try:
        compiler.patch(source, listed)
    except CompileError as e:
        return [wrong(at, source, str(e))]
    return []
