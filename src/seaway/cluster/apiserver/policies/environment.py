"""What expressions of policies and of webhooks' conditions may use (pkg/admission/plugin/cel/compile.go, composition.go)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from seaway.cluster.apiserver.expressions import literals
from seaway.cluster.apiserver.expressions.declarations import Decl, declare
from seaway.cluster.apiserver.expressions.library import CompileError, Environment
from seaway.cluster.apiserver.expressions.messages import Messages, type_text
from seaway.cluster.apiserver.expressions.program import Program
from seaway.cluster.apiserver.expressions.signatures import AUTHORIZER, JSON_PATCH, RESOURCE_CHECK
from seaway.cluster.apiserver.expressions.syntax import Type
from seaway.cluster.apiserver.policies.patchtypes import JSON_PATCH as JSON_PATCH_TYPE
from seaway.cluster.apiserver.policies.patchtypes import OBJECT, PatchTypes, Renamed

Tree = dict[str, Any]
BOOL, STRING_OR_NULL, STRING = ("bool",), ("string", "null"), ("string",)
NAMES = {"null": "null_type", "timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}


def _object(**properties: Tree) -> Tree:
    return {"type": "object", "properties": properties}


def _list(items: Tree) -> Tree:
    return {"type": "array", "items": items}


def _map(values: Tree) -> Tree:
    return {"type": "object", "additionalProperties": values}


TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
TIME, ANY = {"type": "string", "format": "date-time"}, {"x-kubernetes-int-or-string": True}
NAMED_KIND = _object(group=TEXT, version=TEXT, kind=TEXT)
NAMED_RESOURCE = _object(group=TEXT, version=TEXT, resource=TEXT)
REQUEST = _object(
    kind=NAMED_KIND,
    resource=NAMED_RESOURCE,
    subResource=TEXT,
    requestKind=NAMED_KIND,
    requestResource=NAMED_RESOURCE,
    requestSubResource=TEXT,
    name=TEXT,
    namespace=TEXT,
    operation=TEXT,
    userInfo=_object(username=TEXT, uid=TEXT, groups=_list(TEXT), extra=_map(_list(TEXT))),
    dryRun=FLAG,
    options=ANY,
)
CONDITION = _object(status=TEXT, type=TEXT, lastTransitionTime=TIME, message=TEXT, reason=TEXT)
NAMESPACE = _object(
    metadata=_object(
        name=TEXT,
        generateName=TEXT,
        namespace=TEXT,
        labels=_map(TEXT),
        annotations=_map(TEXT),
        UID=TEXT,
        creationTimestamp=TIME,
        deletionGracePeriodSeconds=NUMBER,
        deletionTimestamp=TIME,
        generation=NUMBER,
        resourceVersion=TEXT,
        finalizers=_list(TEXT),
    ),
    spec=_object(finalizers=_list(TEXT)),
    status=_object(conditions=_list(CONDITION), phase=TEXT),
)


@functools.cache
def _fixed() -> tuple[Decl, Decl]:
    request, namespace = declare(REQUEST), declare(NAMESPACE)
    assert request is not None and namespace is not None
    for decl in (request, namespace.properties["metadata"]):  # these fields go by their own names, `namespace` too
        decl.properties = {decl.names[i]: p for i, p in decl.properties.items()}
        decl.names = {n: n for n in decl.properties}
    return request, namespace


def decl_of(type: Type) -> Decl:
    """A type of an expression as that of a field; what can not be a field's is dynamic."""
    match type.kind:
        case "bool" | "int" | "double" | "string" | "bytes" | "timestamp" | "duration":
            return Decl(type.kind, 1)
        case "list":
            return Decl("list", 2, 0, decl_of(type.params[0]))
        case "map" if type.params[0].kind == "string":
            return Decl("map", 2, 0, decl_of(type.params[1]))
    return Decl("dyn", 1)


class Compiler:
    """Compiles the expressions of one policy. Variables come to be known one after the other.

    `objects` and `params_type`: types of the objects, where they are checked against a schema; else they are dynamic.
    """

    def __init__(
        self,
        params: bool,
        composed: bool = False,
        objects: Decl | None = None,
        params_type: Decl | None = None,
    ) -> None:
        self._params, self._composed = params, composed
        self._objects, self._params_type = objects, params_type
        self._variables: dict[str, Type] = {}
        self._environments: dict[bool, Environment] = {}

    def variable(self, name: str, expression: str) -> Program:
        """A variable of the policy, which later expressions may use even where it does not compile."""
        self._environments.clear()
        self._variables[name] = Type("dyn")
        try:
            del self._variables[name]
            program = self.program(expression, ())
        except CompileError:
            self._variables[name] = Type("dyn")
            self._environments.clear()
            raise
        self._variables[name] = program.checked.type
        self._environments.clear()
        return program

    def program(self, expression: str, returns: Iterable[str], authorizer: bool = True) -> Program:
        """An expression compiled; CompileError says what is wrong with it. `returns`: kinds that it may come to; none: any."""
        environment = self._environment(authorizer)
        try:
            checked = environment.check(expression)
        except CompileError as e:
            raise CompileError(f"compilation failed: {e}") from None
        wanted = tuple(returns)
        if wanted and checked.type.kind not in wanted:
            got = NAMES.get(checked.type.kind, literals.shown(checked.type))
            told = [NAMES.get(w, w) for w in wanted]
            one = told[0] if len(told) == 1 else f"one of [{' '.join(told)}]"
            raise CompileError(f"must evaluate to {one} but got {got}")
        return Program(checked, environment.by_message)

    def patch(self, expression: str, listed: bool) -> Program:
        """A mutation compiled: an Object, or (`listed`) a list of JSONPatch."""
        renamed = Renamed(expression)
        environment = self._made(True, renamed)
        try:
            checked = environment.check(renamed.source)
        except CompileError as e:
            raise CompileError(renamed.told(f"compilation failed: {e}")) from None
        wanted = Type("message", (), JSON_PATCH_TYPE if listed else OBJECT)
        wanted = Type("list", (wanted,)) if listed else wanted
        if checked.type != wanted:
            told = renamed.told(literals.shown(checked.type))
            raise CompileError(f"must evaluate to {literals.shown(wanted)} but got {told}")
        return Program(checked, environment.by_message, renamed.builders)

    def _environment(self, authorizer: bool) -> Environment:
        if authorizer not in self._environments:
            self._environments[authorizer] = self._made(authorizer)
        return self._environments[authorizer]

    def _made(self, authorizer: bool, patches: Renamed | None = None) -> Environment:
        request, namespace = _fixed()
        whole = Decl("object", 2, properties={"request": request, "namespaceObject": namespace})
        variables = {n: decl_of(t) for n, t in self._variables.items()}
        if self._composed:
            whole.properties["variables"] = Decl("object", 2, properties=variables, names={n: n for n in variables})
        if self._objects is not None:
            whole.properties["object"] = self._objects
        if self._params_type is not None:
            whole.properties["params"] = self._params_type
        messages = Messages(whole, "kubernetes") if patches is None else PatchTypes(whole, "kubernetes", patches.types)
        found = {name: type_text(decl) for name, decl in whole.properties.items()}
        found.setdefault("object", "dyn")
        found["oldObject"] = found["object"]
        if self._params:
            found.setdefault("params", "dyn")
        if authorizer:
            found["authorizer"] = AUTHORIZER
            found["authorizer.requestResource"] = RESOURCE_CHECK
        return Environment(found, messages, JSON_PATCH if patches is not None else ())
