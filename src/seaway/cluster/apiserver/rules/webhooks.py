"""Admission webhook configurations: defaults and validation (pkg/apis/admissionregistration); pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.policies import problems
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.status import Cause, duplicate, required, too_many, unsupported, wrong

Tree = dict[str, Any]
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
REVIEW_VERSIONS = ("v1", "v1beta1")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
SCOPES = ("*", "Cluster", "Namespaced")
URL_FORM = "; desired format: https://host[/path]"
MOST_CONDITIONS = 64


def default_match(match: Tree) -> None:
    """Selectors and scopes of what a webhook or policy looks at."""
    match["matchPolicy"] = match.get("matchPolicy") or "Equivalent"
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            match[name] = {}
    for name in ("rules", "resourceRules", "excludeResourceRules"):
        for rule in match.get(name) or ():
            rule["scope"] = rule.get("scope") or "*"


def default_validating(tree: Tree) -> None:
    for hook in tree.get("webhooks") or ():
        hook["failurePolicy"] = hook.get("failurePolicy") or "Fail"
        default_match(hook)
        if hook.get("timeoutSeconds") is None:
            hook["timeoutSeconds"] = 10
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None and service.get("port") is None:
            service["port"] = 443


def default_mutating(tree: Tree) -> None:
    default_validating(tree)
    for hook in tree.get("webhooks") or ():
        hook["reinvocationPolicy"] = hook.get("reinvocationPolicy") or "Never"


def validate_validating(tree: Tree) -> list[Cause]:
    return _hooks_causes(tree, lambda hook, at: [])


def validate_mutating(tree: Tree) -> list[Cause]:
    return _hooks_causes(tree, _reinvocation_causes)


def _reinvocation_causes(hook: Tree, at: str) -> list[Cause]:
    policy = hook.get("reinvocationPolicy")
    if policy in ("IfNeeded", "Never"):
        return []
    return [unsupported(f"{at}.reinvocationPolicy", policy, ("IfNeeded", "Never"))]


def _hooks_causes(tree: Tree, more: Callable[[Tree, str], list[Cause]]) -> list[Cause]:
    found: list[Cause] = []
    names: set[str] = set()
    for i, hook in enumerate(tree.get("webhooks") or ()):
        at, name = f"webhooks[{i}]", hook.get("name", "")
        found += _hook_causes(hook, at) + more(hook, at)
        found += _version_causes(hook.get("admissionReviewVersions") or [], f"{at}.admissionReviewVersions")
        if name and name in names:
            found.append(duplicate(f"{at}.name", name))
        names.add(name)
    return found


def _hook_causes(hook: Tree, at: str) -> list[Cause]:
    found = _name_causes(hook.get("name", ""), f"{at}.name")
    for i, rule in enumerate(hook.get("rules") or ()):
        found += rule_causes(rule, f"{at}.rules[{i}]")
    found += policy_causes(hook, at)
    effects = hook.get("sideEffects")
    if effects is None:
        found.append(required(f"{at}.sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}"))
    elif effects not in SIDE_EFFECTS:
        found.append(unsupported(f"{at}.sideEffects", effects, SIDE_EFFECTS))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        found.append(wrong(f"{at}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"))
    for name in ("namespaceSelector", "objectSelector"):
        found += fieldrules.selector_causes(hook.get(name), f"{at}.{name}")
    found += client_causes(hook.get("clientConfig") or {}, f"{at}.clientConfig")
    return found + condition_causes(hook.get("matchConditions") or [], f"{at}.matchConditions")


def policy_causes(tree: Tree, at: str) -> list[Cause]:
    """failurePolicy and matchPolicy."""
    found = []
    for name, known in (("failurePolicy", ("Fail", "Ignore")), ("matchPolicy", ("Equivalent", "Exact"))):
        if tree.get(name) is not None and tree[name] not in known:
            found.append(unsupported(f"{at}.{name}", tree[name], known))
    return found


def _name_causes(name: str, at: str) -> list[Cause]:
    if not name:
        return [required(at)]
    problems = formats.subdomain(name)
    if problems:
        return [wrong(at, name, ",".join(problems))]
    if name.count(".") < 2:
        return [wrong(at, name, "should be a domain with at least three segments separated by dots")]
    return []


def rule_causes(rule: Tree, at: str) -> list[Cause]:
    """A RuleWithOperations."""
    operations = rule.get("operations") or []
    found: list[Cause] = []
    if not operations:
        found.append(required(f"{at}.operations"))
    if len(operations) > 1 and "*" in operations:
        found.append(wrong(f"{at}.operations", operations, "if '*' is present, must not specify other operations"))
    for i, operation in enumerate(operations):
        if operation not in OPERATIONS:
            found.append(unsupported(f"{at}.operations[{i}]", operation, OPERATIONS))
    for name, noun in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        listed = rule.get(name) or []
        if not listed:
            found.append(required(f"{at}.{name}"))
        if len(listed) > 1 and "*" in listed:
            found.append(wrong(f"{at}.{name}", listed, f"if '*' is present, must not specify other {noun}"))
    for i, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            found.append(required(f"{at}.apiVersions[{i}]"))
    found += _resources_causes(rule.get("resources") or [], f"{at}.resources")
    if rule.get("scope") is not None and rule["scope"] not in SCOPES:
        found.append(unsupported(f"{at}.scope", rule["scope"], SCOPES))
    return found


def _resources_causes(resources: list[str], at: str) -> list[Cause]:
    found = [] if resources else [required(at)]
    whole: set[str] = set()
    every: set[str] = set()
    bare = False
    for i, text in enumerate(resources):
        if not text:
            found.append(required(f"{at}[{i}]"))
            continue
        name, slash, part = text.partition("/")
        if not slash:
            bare = bare or text != "*"
            continue
        if name in whole:
            found.append(wrong(f"{at}[{i}]", text, f"if '{name}/*' is present, must not specify {text}"))
        if part in every:
            found.append(wrong(f"{at}[{i}]", text, f"if '*/{part}' is present, must not specify {text}"))
        if part == "*":
            whole.add(name)
        if name == "*":
            every.add(part)
    if len(resources) > 1 and "*/*" in resources:
        found.append(wrong(at, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and bare:
        why = "if '*' is present, must not specify other resources without subresources"
        found.append(wrong(at, resources, why))
    return found


def _version_causes(versions: list[str], at: str) -> list[Cause]:
    if not versions:
        return [required(at, f"must specify one of {', '.join(REVIEW_VERSIONS)}")]
    found: list[Cause] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            found.append(wrong(f"{at}[{i}]", version, "duplicate version"))
        else:
            found += formats.causes(f"{at}[{i}]", version, formats.label_1035)
    if not set(versions) & set(REVIEW_VERSIONS):
        found.append(wrong(at, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return found


def client_causes(client: Tree, at: str) -> list[Cause]:
    """A WebhookClientConfig, but for its certificates."""
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(at, "exactly one of url or service is required")]
    return _url_causes(url, f"{at}.url") if url is not None else service_causes(service or {}, f"{at}.service")


def bundle_causes(bundle: str, at: str) -> list[Cause]:
    """A caBundle has to hold certificates (k8s.io/apiserver/pkg/util/webhook ValidateCABundle)."""
    try:
        text = base64.b64decode(bundle)
    except (binascii.Error, ValueError):
        text = b""
    if re.search(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL):
        return []
    return [wrong(at, bundle, "unable to load root certificates: unable to parse bytes as PEM block")]


def _url_causes(url: str, at: str) -> list[Cause]:
    try:
        parts = urlsplit(url)
    except ValueError as e:
        return [required(at, f"url must be a valid URL: {e}{URL_FORM}")]
    found = []
    if parts.scheme != "https":
        found.append(wrong(at, parts.scheme, "'https' is the only allowed URL scheme" + URL_FORM))
    if not parts.netloc:
        found.append(wrong(at, parts.netloc, "host must be specified" + URL_FORM))
    if "@" in parts.netloc:
        found.append(wrong(at, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL"))
    if parts.fragment:
        found.append(wrong(at, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        found.append(wrong(at, parts.query, "query parameters are not permitted in the URL"))
    return found


def service_causes(service: Tree, at: str) -> list[Cause]:
    """A ServiceReference."""
    found = [required(f"{at}.{name}") for name in ("name", "namespace") if not service.get(name)]
    port, path = service.get("port"), service.get("path")
    if port is not None:
        problems = formats.port_number(port)
        if problems:
            found.append(wrong(f"{at}.port", port, "port is not valid: " + ", ".join(problems)))
    if path in (None, "", "/"):
        return found
    if path == "//":
        return [*found, wrong(f"{at}.path", path, "segment[0] may not be empty")]
    if not path.startswith("/"):
        found.append(wrong(f"{at}.path", path, "must start with a '/'"))
    for i, step in enumerate(path[1:].removesuffix("/").split("/")):
        if not step:
            found.append(wrong(f"{at}.path", path, f"segment[{i}] may not be empty"))
        else:
            found += [wrong(f"{at}.path", path, f"segment[{i}]: {why}") for why in formats.subdomain(step)]
    return found


def condition_causes(conditions: list[Tree], at: str, params: bool = False) -> list[Cause]:
    """matchConditions; `params`: their expressions may name the params of a policy."""
    found: list[Cause] = []
    if len(conditions) > MOST_CONDITIONS:
        found.append(too_many(at, len(conditions), MOST_CONDITIONS))
    names: set[str] = set()
    for i, condition in enumerate(conditions):
        path, name, source = f"{at}[{i}]", condition.get("name", ""), str(condition.get("expression", "")).strip()
        if not source:
            found.append(required(f"{path}.expression"))
        else:
            found += problems.of_condition(source, params, f"{path}.expression")
        if not name:
            found.append(required(f"{path}.name"))
        else:
            found += formats.causes(f"{path}.name", name, formats.qualified_name)
            if name in names:
                found.append(duplicate(f"{path}.name", name))
        names.add(name)
    return found
