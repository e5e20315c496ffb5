"""Where a pod may run: node affinity, pod affinity, topology spread, tolerations (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from seaway.cluster.apiserver import formats
from seaway.cluster.apiserver.rules import fieldrules
from seaway.cluster.apiserver.status import Cause, duplicate, not_permitted, required, unlisted, wrong

Tree = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
BAD_OPERATOR = "not a valid selector operator"
WEIGHT = "must be in the range 1-100"
MATCH_EVERYTHING = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'


def _requirement(term: Tree, path: str, any_value: bool) -> list[Cause]:
    operator, values, found = term.get("operator", ""), term.get("values") or [], []
    if operator in ("In", "NotIn"):
        if not values:
            found.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(not_permitted(f"{path}.values", why))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            found.append(required(f"{path}.values", why))
    else:
        found.append(wrong(f"{path}.operator", operator, BAD_OPERATOR))
    found += fieldrules.label_key(f"{path}.key", term.get("key", ""))
    if not any_value:
        for i, value in enumerate(values):
            found += formats.causes(f"{path}.values[{i}]", value, formats.label_value)
    return found


def _field_requirement(term: Tree, path: str) -> list[Cause]:
    """matchFields knows one field: metadata.name."""
    operator, values, key, found = term.get("operator", ""), term.get("values") or [], term.get("key", ""), []
    if operator not in ("In", "NotIn"):
        found.append(wrong(f"{path}.operator", operator, BAD_OPERATOR))
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(required(f"{path}.values", why))
    if key != "metadata.name":
        return [*found, wrong(f"{path}.key", key, "not a valid field selector key")]
    for i, value in enumerate(values):
        found += formats.causes(f"{path}.values[{i}]", value, formats.subdomain)
    return found


def node_selector_term(term: Tree, path: str, any_value: bool = False) -> list[Cause]:
    found = []
    for i, requirement in enumerate(term.get("matchExpressions") or ()):
        found += _requirement(requirement, f"{path}.matchExpressions[{i}]", any_value)
    for i, requirement in enumerate(term.get("matchFields") or ()):
        found += _field_requirement(requirement, f"{path}.matchFields[{i}]")
    return found


def _node_affinity(affinity: Tree, path: str) -> list[Cause]:
    found = []
    selector = affinity.get(REQUIRED)
    if selector is not None:
        at = f"{path}.{REQUIRED}.nodeSelectorTerms"
        terms = selector.get("nodeSelectorTerms") or []
        if not terms:
            found.append(required(at, "must have at least one node selector term"))
        for i, term in enumerate(terms):
            found += node_selector_term(term, f"{at}[{i}]")
    for i, preferred in enumerate(affinity.get(PREFERRED) or ()):
        at = f"{path}.{PREFERRED}[{i}]"
        if not 1 <= preferred.get("weight", 0) <= 100:
            found.append(wrong(f"{at}.weight", preferred.get("weight", 0), WEIGHT))
        # A bad label value only draws a warning here.
        found += node_selector_term(preferred.get("preference") or {}, f"{at}.preference", any_value=True)
    return found


def _label_keys(path: str, keys: list[str], selector: Tree | None) -> list[Cause]:
    if keys and selector is None:
        return [not_permitted(path, "must not be specified when labelSelector is not set")]
    return [cause for i, key in enumerate(keys) for cause in fieldrules.label_key(f"{path}[{i}]", key)]


def match_label_keys(tree: Tree, path: str) -> list[Cause]:
    """matchLabelKeys and mismatchLabelKeys against the selector and each other (KEP-3633)."""
    matched, mismatched = tree.get("matchLabelKeys") or [], tree.get("mismatchLabelKeys") or []
    selector = tree.get("labelSelector")
    found = _label_keys(f"{path}.matchLabelKeys", matched, selector)
    found += _label_keys(f"{path}.mismatchLabelKeys", mismatched, selector)
    if selector is not None:
        places = {key: i for i, key in enumerate(matched)}
        seen = set(selector.get("matchLabels") or ())
        for term in selector.get("matchExpressions") or ():
            key = term.get("key", "")
            if key in places and key in seen:
                why = "exists in both matchLabelKeys and labelSelector"
                found.append(wrong(f"{path}[{places[key]}]", key, why))
            seen.add(key)
    for i, key in enumerate(matched):
        if key in mismatched:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            found.append(wrong(f"{path}.matchLabelKeys[{i}]", key, why))
    return found


def _pod_term(term: Tree, path: str) -> list[Cause]:
    found = fieldrules.selector_causes(term.get("labelSelector"), f"{path}.labelSelector")
    found += fieldrules.selector_causes(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or ():
        found += formats.causes(f"{path}.namespace", name, formats.label)
    found += match_label_keys(term, path)
    key = term.get("topologyKey", "")
    if not key:
        found.append(required(f"{path}.topologyKey", "can not be empty"))
    return found + fieldrules.label_key(f"{path}.topologyKey", key)


def _pod_affinity(affinity: Tree, path: str) -> list[Cause]:
    found = []
    for i, term in enumerate(affinity.get(REQUIRED) or ()):
        found += _pod_term(term, f"{path}.{REQUIRED}[{i}]")
    for i, weighted in enumerate(affinity.get(PREFERRED) or ()):
        at = f"{path}.{PREFERRED}[{i}]"
        if not 1 <= weighted.get("weight", 0) <= 100:
            found.append(wrong(f"{at}.weight", weighted.get("weight", 0), WEIGHT))
        found += _pod_term(weighted.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return found


def validate(affinity: Tree | None, path: str) -> list[Cause]:
    affinity, found = affinity or {}, []
    if affinity.get("nodeAffinity") is not None:
        found += _node_affinity(affinity["nodeAffinity"], f"{path}.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        if affinity.get(name) is not None:
            found += _pod_affinity(affinity[name], f"{path}.{name}")
    return found


def validate_spread(constraints: list[Tree], path: str) -> list[Cause]:
    """topologySpreadConstraints."""
    found = []
    for i, constraint in enumerate(constraints):
        at = f"{path}[{i}]"
        key, action = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        found += fieldrules.positive(f"{at}.maxSkew", constraint.get("maxSkew", 0))
        if not key:
            found.append(required(f"{at}.topologyKey", "can not be empty"))
        found += fieldrules.listed(f"{at}.whenUnsatisfiable", action, ("DoNotSchedule", "ScheduleAnyway"))
        later = [(c.get("topologyKey", ""), c.get("whenUnsatisfiable", "")) for c in constraints[i + 1 :]]
        if (key, action) in later:
            found.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        domains = constraint.get("minDomains")
        if domains is not None:
            found += fieldrules.positive(f"{at}.minDomains", domains)
            if action != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                found.append(wrong(f"{at}.minDomains", domains, why))
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(name) is not None:
                found += fieldrules.listed(f"{at}.{name}", constraint[name], ("Honor", "Ignore"))
        found += match_label_keys({k: v for k, v in constraint.items() if k != "mismatchLabelKeys"}, at)
        found += fieldrules.selector_causes(constraint.get("labelSelector"), f"{at}.labelSelector")
    return found


def validate_tolerations(tolerations: list[Tree], path: str) -> list[Cause]:
    found = []
    for i, toleration in enumerate(tolerations):
        at = f"{path}[{i}]"
        key, operator = toleration.get("key", ""), toleration.get("operator", "")
        value, effect = toleration.get("value", ""), toleration.get("effect", "")
        if key:
            found += fieldrules.label_key(f"{at}.key", key)
        elif operator != "Exists":
            found.append(wrong(f"{at}.operator", operator, MATCH_EVERYTHING))
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            found.append(wrong(f"{at}.effect", effect, why))
        if operator in ("Equal", ""):
            problems = formats.label_value(value)
            if problems:
                found.append(wrong(f"{at}.operator", value, ";".join(problems)))
        elif operator == "Exists":
            if value:
                found.append(wrong(f"{at}.operator", value, "value must be empty when `operator` is 'Exists'"))
        else:
            allowed = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
            found.append(unlisted(f"{at}.operator", operator, allowed))
        if effect:
            found += fieldrules.listed(f"{at}.effect", effect, EFFECTS)
    return found


def with_label_keys(spec: Tree, labels: Tree) -> None:
    """Writes the pod's own values of matchLabelKeys and mismatchLabelKeys into the selectors, in place."""

    def apply(tree: Tree, name: str, operator: str) -> None:
        selector = tree.get("labelSelector")
        for key in tree.get(name) or ():
            if selector is not None and key in labels:
                term = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(term)

    affinity = spec.get("affinity") or {}
    for name in ("podAffinity", "podAntiAffinity"):
        kind = affinity.get(name) or {}
        preferred = [w.get("podAffinityTerm") or {} for w in kind.get(PREFERRED) or ()]
        for term in [*preferred, *(kind.get(REQUIRED) or ())]:
            apply(term, "matchLabelKeys", "In")
            apply(term, "mismatchLabelKeys", "NotIn")
    for constraint in spec.get("topologySpreadConstraints") or ():
        apply(constraint, "matchLabelKeys", "In")
