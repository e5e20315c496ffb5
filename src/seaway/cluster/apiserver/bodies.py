"""Request bodies to trees: JSON, YAML, protobuf; wrong kinds, unknown fields and wrong types refused; pure."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from seaway.api import facts, kinds
from seaway.api.kinds import Kind
from seaway.cluster.apiserver import protobuf, schema
from seaway.cluster.apiserver.status import ApiError, bad_request

Tree = dict[str, Any]
JSON, YAML = "application/json", "application/yaml"
DEPTH = 200
YAML_NODES = 200_000


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.1 as JSON would have it: times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}


def load_yaml(text: bytes | str) -> Any:
    """One YAML document as a JSON tree. Aliases may make a small text a huge tree: what grows too large is refused."""
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


def dump_yaml(tree: Any) -> bytes:
    """A tree as one YAML document."""
    return str(yaml.safe_dump(tree)).encode()


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


def decode(body: bytes, content_type: str) -> Any:
    """The tree of a body; raises ApiError where it cannot be read."""
    media = content_type.partition(";")[0].strip().lower() or JSON
    try:
        if media == JSON:
            return msgspec.json.decode(body)
        if media in (YAML, "application/apply-patch+yaml", "text/yaml", "application/x-yaml"):
            return load_yaml(body)
        if media == protobuf.CONTENT_TYPE:
            return protobuf.decode(body, _message_for)
    except (
        msgspec.DecodeError,
        yaml.YAMLError,
        protobuf.ProtobufError,
        UnicodeDecodeError,
        RecursionError,
        ValueError,
    ) as e:
        raise bad_request(f"the object provided is unrecognized (must be of type Object): {e}") from None
    raise unsupported_media()


def _too_deep(tree: Any, left: int = DEPTH) -> bool:
    if left == 0:
        return True
    if isinstance(tree, dict):
        return any(_too_deep(v, left - 1) for v in tree.values() if isinstance(v, (dict, list)))
    if isinstance(tree, list):
        return any(_too_deep(v, left - 1) for v in tree if isinstance(v, (dict, list)))
    return False


def check_kind(tree: Any, kind: Kind) -> Tree:
    """The tree as an object of the kind; ApiError where it says that it is something else."""
    if not isinstance(tree, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): json: cannot unmarshal "
            f"{'array' if isinstance(tree, list) else 'value'} into Go value of type {kind.version}.{kind.kind}"
        )
    if _too_deep(tree):
        raise bad_request("the object provided is nested too deep")
    found_version, found_kind = tree.get("apiVersion"), tree.get("kind")
    for name, value in (("apiVersion", found_version), ("kind", found_kind)):
        if not isinstance(value, (str, type(None))):
            raise bad_request(
                f"couldn't get version/kind; json parse error: json: cannot unmarshal {type(value).__name__} into Go struct "
                f"field .{name} of type string"
            )
    if not isinstance(tree.get("metadata", {}), (dict, type(None))):
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: json: cannot '
            f"unmarshal value into Go struct field {kind.kind}.metadata of type v1.ObjectMeta"
        )
    if found_kind and found_kind != kind.kind:
        if (found_version or kind.api_version, found_kind) not in kinds.by_kind():
            raise bad_request(f'no kind "{found_kind}" is registered for version "{found_version}" in scheme')
        raise bad_request(
            f'{found_kind} in version "{str(found_version).rpartition("/")[2]}" cannot be handled as a '
            f"{kind.kind}: converting ({found_kind}) to ({kind.kind}): unknown conversion"
        )
    if found_version and found_version != kind.api_version:
        raise bad_request(
            f"the API version in the data ({found_version}) does not match the expected API version "
            f"({kind.api_version})"
        )
    if tree.get("metadata") is None:
        tree["metadata"] = {}
    return tree


def typed(tree: Tree, kind: Kind, old: Tree | None, validation: str, warnings: list[str], definition: str = "") -> Tree:
    """The tree in the kind's form. `validation` is the fieldValidation parameter (Strict, Warn, Ignore)."""
    name = definition or kind.definition
    if not name:
        return tree
    try:
        result, unknown = schema.read(name, tree, old)
    except schema.TypeMismatch as e:
        text = str(e).replace("Go struct field ", f"Go struct field {kind.kind}.")
        raise bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {text}'
        ) from None
    if unknown:
        told = [f'unknown field "{path}"' for path in sorted(unknown)]
        if validation == "Strict":
            raise bad_request(f"strict decoding error: {', '.join(told)}")
        if validation != "Ignore":
            warnings.extend(told)
    result.setdefault("metadata", {})
    return result
