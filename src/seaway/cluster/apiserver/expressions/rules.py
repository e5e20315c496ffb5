"""The rules of a schema (x-kubernetes-validations): what is wrong with them, and the rules ready to judge objects.

apiextensions-apiserver pkg/apiserver/schema/cel/compilation.go and pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from seaway.cluster.apiserver.expressions import cost, literals
from seaway.cluster.apiserver.expressions.declarations import LARGEST_REQUEST, Decl, declare
from seaway.cluster.apiserver.expressions.escaping import escaped
from seaway.cluster.apiserver.expressions.judging import Rules, Site
from seaway.cluster.apiserver.expressions.library import CompileError, Environment
from seaway.cluster.apiserver.expressions.messages import Messages, type_text
from seaway.cluster.apiserver.expressions.program import Program
from seaway.cluster.apiserver.expressions.syntax import Checked
from seaway.cluster.apiserver.expressions.unchanged import Unchanged, is_unchanged
from seaway.cluster.apiserver.status import Cause
from seaway.cluster.apiserver.structural import causes, fieldpaths, internalform
from seaway.cluster.apiserver.structural.nodes import Node

Tree = dict[str, Any]
RULES = "x-kubernetes-validations"
RULE_LIMIT, TOTAL_LIMIT = 10_000_000, 100_000_000
MOST = (1 << 64) - 1
REMEMBERED = 1024  # places of schemas whose rules stay compiled
TOLD = 4  # how many of the most expensive rules are told


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule compiled; `error` and `message_error` say why it could not be."""

    tree: Tree
    program: Program | Unchanged | None = None
    message: Program | None = None
    error: str = ""
    message_error: str = ""
    transition: bool = False  # it looks at oldSelf
    cost: int = 0
    message_cost: int = 0
    path: str = ""  # the field that it blames, below where it stands

    @property
    def optional_old(self) -> bool:
        return bool(self.tree.get("optionalOldSelf"))


class Compiler:
    """Compiles the rules of one place in a schema."""

    def __init__(self, schema: Tree, decl: Decl) -> None:
        self.schema, self.decl = schema, decl
        self.messages = Messages(decl)
        self.text = type_text(decl)
        self._environments: dict[bool, Environment] = {}

    def _environment(self, optional: bool) -> Environment:
        if optional not in self._environments:
            old = f"optional_type<{self.text}>" if optional else self.text
            self._environments[optional] = Environment({"self": self.text, "oldSelf": old}, self.messages)
        return self._environments[optional]

    def rule(self, tree: Tree) -> Rule:
        text = tree.get("rule") or ""
        if not text.strip():
            return Rule(tree)
        environment = self._environment(bool(tree.get("optionalOldSelf")))
        try:
            checked = environment.check(text)
        except CompileError as e:
            return Rule(tree, error=f"compilation failed: {e}")
        if checked.type.kind != "bool":
            return Rule(tree, error="cel expression must evaluate to a bool")
        bad = literals.bad_pattern(checked)
        if bad:
            return Rule(tree, error=f"program instantiation failed: error parsing regexp: {bad}")
        message, message_cost, message_error = None, 0, ""
        expression = tree.get("messageExpression") or ""
        if expression:
            try:
                told = environment.check(expression)
            except CompileError as e:
                message_error = f"messageExpression compilation failed: {e}"
            else:
                if told.type.kind == "string":
                    message = Program(told, self.messages.by_name)
                    message_cost = cost.worst(told, self.decl)
                else:
                    message_error = "messageExpression must evaluate to a string"
        return Rule(
            tree,
            Program(checked, self.messages.by_name),
            message,
            message_error=message_error,
            transition=_names(checked, "oldSelf"),
            cost=cost.worst(checked, self.decl),
            message_cost=message_cost,
            path=_blamed(tree.get("fieldPath") or "", self.schema),
        )


def _names(checked: Checked, name: str) -> bool:
    return any(r.name == name for r in checked.references.values())


def _blamed(path: str, schema: Tree) -> str:
    if not path:
        return ""
    try:
        return fieldpaths.find(path, schema).path
    except fieldpaths.BadPath:
        return ""


class _Place(NamedTuple):
    """A place in a schema on the way to its rules. `cardinality` None: it may occur any number of times."""

    schema: Tree
    path: str
    decl: Decl | None
    cardinality: int | None
    uncorrelatable: str  # below this path there is no telling which old value a new one stands for


def problems(schema: Tree, path: str, old: Tree | None = None) -> list[Cause]:
    """What is wrong with the rules of a schema that is structural and whose rules are well formed (`structural.problems`)."""
    found: list[Cause] = []
    total, expensive = 0, []
    for place in _places(_Place(schema, path, None, 1, ""), declare(schema, root=True) if _has_rules(schema) else None):
        if place.decl is None:
            why = "internal error: failed to construct type information for x-kubernetes-validations rules: "
            why += "unable to convert structural schema to CEL declarations"
            found.append(Cause(f"{place.path}.{RULES}", "InternalError", f"Internal error: {why}"))
            continue
        for i, rule in enumerate(of_place(place.schema, place.decl)):
            at = f"{place.path}.{RULES}[{i}]"
            price = _price(rule.cost, place)
            dear = old != schema  # an unchanged schema keeps rules that cost too much each
            found += _too_dear(f"{at}.rule", "estimated rule cost", price) if dear else []
            found += _own_problems(rule, at)
            name = "estimated messageExpression cost"
            found += _too_dear(f"{at}.messageExpression", name, rule.message_cost) if dear else []
            found += _old_self_problems(rule, at, place)
            for where, amount in ((f"{at}.rule", price), (f"{at}.messageExpression", rule.message_cost)):
                total = min(total + amount, MOST)
                if amount >= TOTAL_LIMIT // 100:
                    expensive.append((amount, where))
    if total > TOTAL_LIMIT:
        expensive.sort(key=lambda e: -e[0])
        why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        found += [causes.forbidden(where, why) for _, where in expensive[:TOLD]]
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        found.append(causes.forbidden(path, _over(name, total, TOTAL_LIMIT)))
    return found


def _has_rules(schema: Any) -> bool:
    if isinstance(schema, dict):
        return bool(schema.get(RULES)) or any(_has_rules(v) for v in schema.values())
    return False


def _own_problems(rule: Rule, at: str) -> list[Cause]:
    found = []
    for field, why in (("rule", rule.error), ("messageExpression", rule.message_error)):
        if why:
            found.append(Cause(f"{at}.{field}", "FieldValueInvalid", f"Invalid value: {internalform.rule(rule.tree)}: {why}"))
    return found


def _old_self_problems(rule: Rule, at: str, place: _Place) -> list[Cause]:
    if rule.transition:
        if not place.uncorrelatable:
            return []
        why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelatable}"
        return [causes.invalid(f"{at}.rule", rule.tree.get("rule"), why)]
    if rule.tree.get("optionalOldSelf") is None:
        return []
    why = "may not be set if oldSelf is not used in rule"
    return [causes.invalid(f"{at}.optionalOldSelf", rule.tree["optionalOldSelf"], why)]


def _price(amount: int, place: _Place) -> int:
    """The cost of a rule times how often its place may occur."""
    assert place.decl is not None
    times = place.cardinality if place.cardinality is not None else LARGEST_REQUEST // (place.decl.least + 1)
    return min(amount * times, MOST)


def _too_dear(path: str, name: str, amount: int) -> list[Cause]:
    return [causes.forbidden(path, _over(name, amount, RULE_LIMIT))] if amount > RULE_LIMIT else []


def _over(name: str, amount: int, limit: int) -> str:
    factor = amount / limit
    told = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return (
        f"{name} exceeds budget by factor of {told} (try simplifying the rule, or adding maxItems, maxProperties, and "
        "maxLength where arrays, maps, and strings are declared)"
    )


def _places(place: _Place, decl: Decl | None) -> Iterator[_Place]:
    """The places of a schema that have rules, each after those below it, as validation.go walks."""
    schema = place.schema
    if not _has_rules(schema):
        return
    inside = place.cardinality
    most = _factor(schema)
    inside = None if inside is None or most is None else min(inside * most, MOST)
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        below = _Place(values, f"{place.path}.additionalProperties", None, inside, place.uncorrelatable)
        yield from _places(below, _element(decl, values))
    atomic = schema.get("x-kubernetes-map-type") not in (None, "granular", "atomic")
    for name, property in (schema.get("properties") or {}).items():
        lost = place.uncorrelatable or (place.path if atomic else "")
        below = _Place(property, f"{place.path}.properties[{name}]", None, inside, lost)
        yield from _places(below, _property(decl, name, property))
    items = schema.get("items")
    if isinstance(items, dict):
        keyed = schema.get("x-kubernetes-list-type") == "map"
        lost = place.uncorrelatable or ("" if keyed else place.path)
        yield from _places(_Place(items, f"{place.path}.items", None, inside, lost), _element(decl, items))
    if schema.get(RULES):
        yield place._replace(decl=decl)


def _element(decl: Decl | None, schema: Tree) -> Decl | None:
    if decl is not None and decl.element is not None:
        return decl.element
    return declare(schema, bool(schema.get("x-kubernetes-embedded-resource")))


def _property(decl: Decl | None, name: str, schema: Tree) -> Decl | None:
    identifier = escaped(name)
    if decl is not None and identifier is not None and identifier in decl.properties:
        return decl.properties[identifier]
    return declare(schema, bool(schema.get("x-kubernetes-embedded-resource")))


def _factor(schema: Tree) -> int | None:
    """By how much a place multiplies what is below it; None: without bounds (cel_validation.go extractMaxElements)."""
    if schema.get("type") == "object" and schema.get("additionalProperties") is not None:
        most = schema.get("maxProperties")
    elif schema.get("type") == "array":
        most = schema.get("maxItems")
    else:
        return 1
    return None if most is None else max(most, 0)


def compiled(schema: Tree) -> Rules:
    """The rules of a schema, compiled when they are first needed."""
    root = _site(schema, declare(schema, root=True), True) if _has_rules(schema) else None
    return Rules(root, Node(schema))


def default_causes(schema: Tree, value: Any, path: str) -> list[Cause]:
    """What the rules of a schema say of its own default (pkg/apiserver/schema/defaulting/validation.go)."""
    if not _has_rules(schema):
        return []
    decl = declare(schema, bool(schema.get("x-kubernetes-embedded-resource")))
    return Rules(_site(schema, decl, False), Node(schema)).judge_default(value, path)


def _site(schema: Tree, decl: Decl | None, root: bool) -> Site | None:
    """A place in a schema where rules are, or below which they are."""
    if decl is None or not _has_rules(schema):
        return None
    properties = {}
    for name, property in (schema.get("properties") or {}).items():
        identifier = escaped(name)
        if identifier is not None and identifier not in decl.properties:
            continue  # what expressions can not see has no rules
        inner = _site(property, _property(decl, name, property), False)
        if inner is not None:
            properties[name] = inner
    items, values = schema.get("items"), schema.get("additionalProperties")
    return Site(
        schema,
        decl,
        lambda: _judges(schema, decl),
        properties,
        _site(items, decl.element, False) if isinstance(items, dict) else None,
        _site(values, decl.element, False) if isinstance(values, dict) else None,
    )


def _judges(schema: Tree, decl: Decl) -> tuple[Rule, ...]:
    """The rules of one place, for judging objects."""
    if is_unchanged(schema):
        return (Rule(schema[RULES][0], Unchanged(), transition=True),)
    return of_place(schema, decl)


_compiled: OrderedDict[tuple[bytes, bool], tuple[Rule, ...]] = OrderedDict()


def of_place(schema: Tree, decl: Decl) -> tuple[Rule, ...]:
    """The rules of one place, compiled. They are remembered: a schema is judged, and then used by several versions."""
    trees = schema.get(RULES) or ()
    if not trees:
        return ()
    key = sha256(msgspec.json.encode(schema)).digest(), decl.root
    found = _compiled.get(key)
    if found is None:
        compiler = Compiler(schema, decl)
        found = _compiled[key] = tuple(compiler.rule(tree) for tree in trees)
        if len(_compiled) > REMEMBERED:
            _compiled.popitem(last=False)
    else:
        _compiled.move_to_end(key)
    return found
