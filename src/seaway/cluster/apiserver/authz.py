"""May they? RBAC over the roles and bindings in the storage, with the reasons; pure but for the reads
(plugin/pkg/auth/authorizer/rbac)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seaway.cluster.apiserver.requests import RequestInfo

Tree = dict[str, Any]
MASTERS, AUTHENTICATED, UNAUTHENTICATED = "system:masters", "system:authenticated", "system:unauthenticated"
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. `extra` holds what a bound token says of its pod."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
SYSTEM = User("system:apiserver", ("system:masters",))  # the server itself


def _has(values: Iterable[str], wanted: str) -> bool:
    return "*" in values or wanted in values


def allows(rule: Tree, info: RequestInfo) -> bool:
    """Whether one PolicyRule grants a request."""
    if not _has(rule.get("verbs") or (), info.verb):
        return False
    if not info.is_resource:
        return any(
            u == "*" or u == info.path or (u.endswith("*") and info.path.startswith(u[:-1]))
            for u in rule.get("nonResourceURLs") or ()
        )
    if not _has(rule.get("apiGroups") or (), info.group):
        return False
    resources = rule.get("resources") or ()
    if not (_has(resources, info.full_resource) or (info.subresource and f"*/{info.subresource}" in resources)):
        return False
    names = rule.get("resourceNames") or ()
    return not names or (info.name or info.selected) in names


class Decision(NamedTuple):
    """`reason` says by which binding, or what is wrong with the bindings there are; may be empty."""

    allowed: bool
    reason: str = ""


class Rbac:
    """`read(resource)` gives the objects of an RBAC resource; `changed` tells that one of them was written. `nodes` is asked
    first and may say yes to nodes (`nodeauthz`); when nobody says yes, its reason comes first."""

    def __init__(
        self, read: Callable[[str], Iterable[Tree]], nodes: Callable[[User, RequestInfo], Decision | None] | None = None
    ) -> None:
        self._read, self._nodes = read, nodes
        self._roles: dict[tuple[str, str], list[Tree]] | None = None
        self._bindings: list[tuple[str, Tree]] = []
        self._decided: dict[tuple[Any, ...], Decision] = {}

    def changed(self) -> None:
        self._roles = None
        self._decided.clear()

    def _load(self) -> dict[tuple[str, str], list[Tree]]:
        if self._roles is None:
            cluster = list(self._read(f"clusterroles.{RBAC}"))
            roles = {("", r["metadata"]["name"]): r.get("rules") or [] for r in cluster}
            for role in self._read(f"roles.{RBAC}"):
                roles[(role["metadata"]["namespace"], role["metadata"]["name"])] = role.get("rules") or []
            bindings = [("", b) for b in self._read(f"clusterrolebindings.{RBAC}")]
            bindings += [(b["metadata"]["namespace"], b) for b in self._read(f"rolebindings.{RBAC}")]
            self._roles, self._bindings = roles, bindings
        return self._roles

    def _grants(self, user: User, namespace: str) -> Iterator[tuple[str, Tree | None, list[Tree]]]:
        """(reason, role reference where it leads nowhere, rules) of each binding that applies to a user in a namespace."""
        roles = self._load()
        for scope, binding in self._bindings:
            if scope and scope != namespace:
                continue
            subject = next((s for s in binding.get("subjects") or () if _is_subject(s, user, scope)), None)
            if subject is None:
                continue
            ref = binding["roleRef"]
            rules = roles.get(("" if ref["kind"] == "ClusterRole" else scope, ref["name"]))
            name = binding["metadata"]["name"]
            which = f'RoleBinding "{name}/{scope}"' if scope else f'ClusterRoleBinding "{name}"'
            reason = f'RBAC: allowed by {which} of {ref["kind"]} "{ref["name"]}" to {_described(subject, scope)}'
            yield reason, ref if rules is None else None, rules or []

    def rules(self, user: User, namespace: str) -> Iterator[Tree]:
        """Every rule that applies to a user in a namespace (empty: cluster-wide only)."""
        for _, _, rules in self._grants(user, namespace):
            yield from rules

    def rules_of(self, ref: Tree, namespace: str) -> list[Tree] | None:
        """The rules behind a roleRef; None where there is no such role."""
        return self._load().get(("" if ref.get("kind") == "ClusterRole" else namespace, ref.get("name", "")))

    def decide(self, user: User, info: RequestInfo) -> Decision:
        if MASTERS in user.groups:
            return Decision(True)
        key = (
            user.name,
            user.groups,
            info.verb,
            info.group,
            info.resource,
            info.subresource,
            info.namespace,
            info.name or info.selected,
            "" if info.is_resource else info.path,
        )
        first = self._nodes(user, info) if self._nodes is not None else None
        if first is not None and first.allowed:
            return first
        if key not in self._decided:
            if len(self._decided) > 20_000:
                self._decided.clear()
            self._decided[key] = self._decide(user, info)
        decided = self._decided[key]
        if first is None or decided.allowed or not first.reason:
            return decided
        return Decision(False, "\n".join(filter(None, (first.reason, decided.reason))))

    def _decide(self, user: User, info: RequestInfo) -> Decision:
        problems = []
        for reason, lost, rules in self._grants(user, info.namespace):
            if any(allows(rule, info) for rule in rules):
                return Decision(True, reason)
            if lost is not None:
                problems.append(f'{lost["kind"].lower()}.{RBAC} "{lost["name"]}" not found')
        told = list(dict.fromkeys(problems))
        return Decision(False, f"RBAC: {told[0] if len(told) == 1 else '[' + ', '.join(told) + ']'}" if told else "")

    def allowed(self, user: User, info: RequestInfo) -> bool:
        return self.decide(user, info).allowed


def _described(subject: Tree, scope: str) -> str:
    """A subject in a reason."""
    if subject.get("kind") == "ServiceAccount":
        return f'ServiceAccount "{subject.get("name")}/{subject.get("namespace") or scope}"'
    return f'{subject.get("kind")} "{subject.get("name")}"'


def _is_subject(subject: Tree, user: User, scope: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace') or scope}:{name}"
    return False


def refusal(user: User, info: RequestInfo, reason: str = "") -> str:
    """The sentence of a 403."""
    because = f": {reason}" if reason else ""
    if not info.is_resource:
        return f'User "{user.name}" cannot {info.verb} path "{info.path}"{because}'
    where = f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    what = f'resource "{info.full_resource}" in API group "{info.group}"'
    return f'User "{user.name}" cannot {info.verb} {what}{where}{because}'
