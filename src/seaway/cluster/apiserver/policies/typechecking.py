"""What the types of the resources that a policy looks at say of its expressions; it does not change what the policy does.

pkg/admission/plugin/policy/validating/typechecking.go; pure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from seaway.api import facts
from seaway.api.kinds import Kind
from seaway.cluster.apiserver.expressions.declarations import Decl, declare
from seaway.cluster.apiserver.expressions.library import CompileError
from seaway.cluster.apiserver.policies.environment import Compiler

Tree = dict[str, Any]
MOST_TYPES = 10
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
DEEPEST = 24
Find = Callable[[str, str, str], Kind | None]
Named = Callable[[str, str], Kind | None]


def warnings(policy: Tree, find: Find, named: Named) -> list[Tree]:
    """ExpressionWarnings of a policy's validations. `find` knows kinds by group, version and resource, `named` by
    apiVersion and kind."""
    spec = policy.get("spec") or {}
    params = spec.get("paramKind")
    params_type: Decl | None = None
    if params is not None:
        kind = named(params.get("apiVersion", ""), params.get("kind", ""))
        params_type = type_of(kind) if kind is not None else None
    compilers = [(k, _compiler(spec, d, params_type)) for k in _kinds(spec, find) if (d := type_of(k)) is not None]
    found: list[Tree] = []
    for i, validation in enumerate(spec.get("validations") or ()):
        for name in ("expression", "messageExpression"):
            source = validation.get(name) or ""
            told = "\n".join(_checked(source, compilers)) if source else ""
            if told:
                found.append({"fieldRef": f"spec.validations[{i}].{name}", "warning": told})
    return found


def _compiler(spec: Tree, objects: Decl, params: Decl | None) -> Compiler:
    """What compiles expressions over objects of one type."""
    compiler = Compiler(spec.get("paramKind") is not None, True, objects, params)
    for variable in spec.get("variables") or ():
        try:
            compiler.variable(variable.get("name", ""), variable.get("expression", ""))
        except CompileError:
            continue
    return compiler


def _checked(source: str, compilers: Iterable[tuple[Kind, Compiler]]) -> list[str]:
    """What is wrong with an expression for each of the types."""
    found: list[str] = []
    for kind, compiler in compilers:
        try:
            compiler.program(source, ())
        except CompileError as e:
            version = kind.api_version if kind.group else f"/{kind.version}"
            found.append(f"{version}, Kind={kind.kind}: {str(e).removeprefix('compilation failed: ')}\n")
    return found


def _kinds(spec: Tree, find: Find) -> list[Kind]:
    """The kinds that a policy's rules name without wildcards, the first few."""
    found: dict[tuple[str, str, str], Kind] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
        if any("*" in text for text in (*groups, *versions)):
            continue
        resources = [r for r in rule.get("resources") or () if "*" not in r and "/" not in r]
        for group in sorted(groups):
            for version in sorted(versions):
                for resource in sorted(resources):
                    kind = find(group, version, resource)
                    if kind is not None and len(found) < MOST_TYPES:
                        found[kind.group, kind.version, kind.kind] = kind
    return [found[key] for key in sorted(found)]


def type_of(kind: Kind) -> Decl | None:
    """The type of a kind's objects; None where there is no schema."""
    if kind.custom is not None:
        schema: Tree = kind.custom.schema
        properties = {**(schema.get("properties") or {}), "metadata": _resolved(META)}
        properties.update(apiVersion={"type": "string"}, kind={"type": "string"})
        return declare({**schema, "type": "object", "properties": properties})
    return _builtin(kind.definition) if kind.definition else None


@functools.lru_cache(32)
def _builtin(definition: str) -> Decl | None:
    return declare(_resolved(definition))


@functools.lru_cache(32)
def _resolved(definition: str) -> Tree:
    """A definition with what it refers to."""
    return _inlined({"$ref": definition}, ())


def _inlined(schema: Tree, above: tuple[str, ...]) -> Tree:
    name = schema.get("$ref")
    if name is not None:
        if name in above or len(above) > DEEPEST:
            return {"x-kubernetes-int-or-string": True}  # a type within itself: its inside is not checked
        return _inlined(facts.definitions().get(name, {}), (*above, name))
    if schema.get("format") == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    found = dict(schema)
    if "properties" in schema:
        found["properties"] = {n: _inlined(p, above) for n, p in schema["properties"].items()}
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            found[part] = _inlined(schema[part], above)
    return found
