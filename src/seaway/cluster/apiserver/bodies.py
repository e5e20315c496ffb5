"""Request bodies to trees: JSON, YAML, protobuf; wrong kinds, unknown fields and wrong types refused; pure.

`read` is for an object of a kind: its errors are those of the API server's decoder (k8s.io/apiserver/pkg/endpoints/handlers
transformDecodeError). `decode` is for everything else.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import yaml

from seaway.api import facts, kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import gojson, protobuf, schema
from seaway.cluster.apiserver.custom import objects
from seaway.cluster.apiserver.status import ApiError, bad_request, internal_type

Tree = dict[str, Any]
JSON, YAML = "application/json", "application/yaml"
YAMLS = (YAML, "application/apply-patch+yaml", "text/yaml", "application/x-yaml")
SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
DEPTH = 200
DIGITS = 400  # of a number
YAML_NODES = 200_000


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.1 as JSON would have it: times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}


def _integer(loader: Any, node: yaml.ScalarNode) -> Any:
    return _scalar(loader, node, "int")


def _float(loader: Any, node: yaml.ScalarNode) -> Any:
    return _scalar(loader, node, "float")


def _scalar(loader: Any, node: yaml.ScalarNode, name: str) -> Any:
    """A number; more digits than one may have, and text that a tag calls a number, are errors at their line."""
    try:
        if len(node.value) > DIGITS:
            raise ValueError
        found = getattr(yaml.SafeLoader, f"construct_yaml_{name}")(loader, node)
        if isinstance(found, float) and not math.isfinite(found):
            raise ValueError
        return found
    except (ValueError, OverflowError):
        problem = f"cannot decode !!str `{node.value[:20]}` as a !!{name}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Dumper = yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper


def load_yaml(text: bytes | str) -> Any:
    """One YAML document as a JSON tree. Aliases may make a small text a huge tree: what grows too large is refused."""
    if text[:1] in (b"{", "{"):
        try:  # JSON is YAML, and what most programs send as such
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    found = yaml.load(text, _Loader)
    waiting, left = [found], YAML_NODES
    while waiting:
        node = waiting.pop()
        if isinstance(node, (dict, list)):
            left -= len(node)
            if left < 0:
                raise yaml.YAMLError(f"the document has more than {YAML_NODES} values")
            waiting.extend(node.values() if isinstance(node, dict) else node)
    return found


def yaml_duplicates(text: bytes | str) -> list[str]:
    """`line 3: key "a" already set in map` for each key that a YAML mapping has twice."""
    if isinstance(text, bytes) and text[:1] == b"{" and gojson.unambiguous(text):
        return []
    found: list[tuple[int, str]] = []
    waiting = [yaml.compose(text, _Loader)]
    visited: set[int] = set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    found.append((key.start_mark.line + 1, f'key "{name}" already set in map'))
                seen.add(name)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
    return [f"line {line}: {told}" for line, told in sorted(found)]


def dump_yaml(tree: Any) -> bytes:
    """A tree as one YAML document."""
    return str(yaml.dump(tree, Dumper=_Dumper)).encode()


def unsupported_media() -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def _message_for(api_version: str, kind: str) -> str | None:
    group, _, version = api_version.rpartition("/")
    if kind == "DeleteOptions":
        return "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    name = facts.definition_of(group, version, kind)
    return protobuf.message_of(name) if name else None


class Unreadable(Exception):
    """A body that is no document of its media type; the text says why, in the decoder's words."""


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower() or JSON


def parse(body: bytes, media: str) -> Any:
    """The tree of a body in one of the media types; Unreadable where it is none."""
    try:
        if media == JSON:
            return msgspec.json.decode(body)
        if media in YAMLS:
            return load_yaml(body)
        if media == protobuf.CONTENT_TYPE:
            return protobuf.decode(body, _message_for)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        problem = gojson.syntax_error(body) if media == JSON else str(e)
        raise Unreadable(f"couldn't get version/kind; json parse error: {problem}") from None
    except yaml.reader.ReaderError as e:
        raise Unreadable(f"error converting YAML to JSON: yaml: {e.reason}") from None
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise Unreadable(f"error converting YAML to JSON: yaml: {line}{getattr(e, 'problem', None) or e}") from None
    except RecursionError:
        raise Unreadable("exceeded max depth") from None
    except (protobuf.ProtobufError, ValueError) as e:
        raise Unreadable(str(e)) from None
    raise unsupported_media()


def decode(body: bytes, content_type: str, expected: str = "Object") -> Any:
    """The tree of a body; raises ApiError where it cannot be read."""
    try:
        return parse(body, _media(content_type))
    except Unreadable as e:
        told = f"the object provided is unrecognized (must be of type {expected}): {e} ({gojson.summary(body)})"
        raise bad_request(told) from None


def strict_errors(body: bytes, content_type: str, tree: Any) -> list[str]:
    """What only strict decoding minds of the text itself: keys given twice."""
    media = _media(content_type)
    if media == JSON:
        return gojson.duplicates(body, tree)
    return yaml_duplicates(body) if media in YAMLS else []


def read(body: bytes, content_type: str, kind: Kind, validation: str) -> tuple[Tree, list[str]]:
    """An object of the kind, and what strict decoding minds of its text."""
    shallow = _media(content_type) == JSON and body.count(b"{") + body.count(b"[") <= DEPTH
    tree = check_kind(decode(body, content_type, kind.kind), kind, body, shallow)
    return tree, [] if validation == "Ignore" else strict_errors(body, content_type, tree)


def too_deep(tree: Any, left: int = DEPTH) -> bool:
    """Whether a tree is nested deeper than anything that is stored may be."""
    if left == 0:
        return True
    if isinstance(tree, dict):
        return any(too_deep(v, left - 1) for v in tree.values() if isinstance(v, (dict, list)))
    if isinstance(tree, list):
        return any(too_deep(v, left - 1) for v in tree if isinstance(v, (dict, list)))
    return False


def check_kind(tree: Any, kind: Kind, body: bytes = b"", shallow: bool = False) -> Tree:
    """The tree as an object of the kind; ApiError where it says that it is something else. `shallow`: it cannot be deep."""
    if tree is None:
        tree = {}  # null decodes into an object that says nothing
    if not isinstance(tree, dict):
        found = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}.get(type(tree), "null")
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; json parse "
            f"error: json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string "
            f'"json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }} ({gojson.summary(body)})'
        )
    if not shallow and too_deep(tree):
        raise bad_request("the object provided is nested too deep")
    for name in ("apiVersion", "kind"):
        value = tree.get(name)
        if not isinstance(value, (str, type(None))):
            raise bad_request(
                f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; json "
                f"parse error: json: cannot unmarshal {schema.json_type(value)} into Go struct field .{name} of type "
                f"string ({gojson.summary(body)})"
            )
    if kind.definition:
        _check_builtin(tree.get("apiVersion") or kind.api_version, tree.get("kind") or kind.kind, kind)
    elif kind.custom is not None:
        objects.check_type(tree, kind, not body)
    elif tree.get("metadata") is not None and not isinstance(tree["metadata"], dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {kind.kind}): metadata is no object")
    if tree.get("metadata") is None:
        tree["metadata"] = {}
    return tree


def _check_builtin(api_version: str, name: str, kind: Kind) -> None:
    """kind and apiVersion of a body against those that the path takes."""
    version = api_version.rpartition("/")[2]
    if name != kind.kind:
        start = f'{name} in version "{version}" cannot be handled as a {kind.kind}: '
        if (api_version, name) not in kinds.by_kind():
            raise bad_request(f'{start}no kind "{name}" is registered for version "{api_version}" in scheme "{SCHEME}"')
        raise bad_request(f"{start}converting ({version}.{name}) to ({internal_type(kind)}): unknown conversion")
    if api_version != kind.api_version:
        if (api_version, name) not in kinds.by_kind():
            raise bad_request(
                f'{name} in version "{version}" cannot be handled as a {kind.kind}: no kind "{name}" is registered for '
                f'version "{api_version}" in scheme "{SCHEME}"'
            )
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )


def typed(
    tree: Tree,
    kind: Kind,
    old: Tree | None,
    validation: str,
    warnings: list[str],
    definition: str = "",
    strict: list[str] | None = None,
) -> Tree:
    """The tree in the kind's form. `validation` is the fieldValidation parameter (Strict, Warn, Ignore)."""
    try:
        result, told = form(tree, kind, old, definition)
    except schema.TypeMismatch as e:
        raise bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {e}') from None
    told = [*(strict or ()), *told]
    if told and validation == "Strict":
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
            + ", ".join(told)
        )
    if told and validation != "Ignore":
        warnings.extend(told)
    return result


def form(tree: Tree, kind: Kind, old: Tree | None, definition: str = "") -> tuple[Tree, list[str]]:
    """The tree as the kind's definition has it, and its unknown fields in the decoder's words; raises TypeMismatch."""
    name = definition or kind.definition
    if not name and kind.custom is not None:
        result, found = objects.form(tree, kind)
        return result, [f'unknown field "{path}"' for path in dict.fromkeys(found)]
    if not name:
        return tree, []
    result, unknown = schema.read(name, tree, old)
    meta = result.setdefault("metadata", {})
    if (tree.get("metadata") or {}).get("managedFields") == []:
        meta["managedFields"] = []  # empty, but said: it asks for a new record
    return result, [f'unknown field "{path}"' for path in dict.fromkeys(unknown)]
