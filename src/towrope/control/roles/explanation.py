"""Why a principal may, or may not, do something: which of what it is assigned allows it, and by
which pattern; what the rest lacks; and which roles would allow it.

Pure. It asks of one assignment at a time what `decision` and the policy of a cluster ask of all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from towrope.control.roles.breadth import breadth
from towrope.control.roles.decision import Held, allowed_by
from towrope.control.roles.definition import Permission, RoleDefinition
from towrope.control.roles.place import place_of
from towrope.control.roles.scope import Scope, parse
from towrope.wire.data_actions import Rule, matches
from towrope.wire.resource_attributes import ResourceAttributes

NEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An operation of the resource API, or with `attributes` something in a cluster."""

    scope: Scope
    """The resource, or the cluster."""
    action: str
    attributes: ResourceAttributes | None = None
    namespace: str = ""
    """In the cluster; empty: in all of it, or no question about what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A role assignment of the principal, or of a group that it is in."""

    id: str
    scope: Scope
    role: RoleDefinition
    principal_id: str


class Lack(StrEnum):
    NOT_NAMED = "NotNamed"
    """None of the role's patterns names the action."""
    TAKEN_AWAY = "TakenAway"
    """One does, and the role takes it away again."""
    OTHER_NAMESPACE = "OtherNamespace"
    """It holds in one namespace, and that is not the one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one assignment says to the question."""

    assigned: Assigned
    lack: Lack | None
    """None: it allows it."""
    pattern: str = ""
    """By which it is allowed, or taken away."""
    rule: Rule | None = None
    """The native one, where it is allowed in a cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    findings: Sequence[Finding]
    """Of the assignments that hold at the scope; those that allow it first."""
    nearest: Sequence[RoleDefinition] = ()
    """Where none allows it: roles that would, the smallest first."""

    @property
    def is_allowed(self) -> bool:
        return any(finding.lack is None for finding in self.findings)


def explained(
    question: Question, held: Iterable[Assigned], offered: Iterable[RoleDefinition]
) -> Explanation:
    """`offered`: the roles that could be assigned."""
    found = [finding for each in held if (finding := _finding(question, each)) is not None]
    found.sort(key=lambda finding: (finding.lack is not None, finding.assigned.id))
    explanation = Explanation(findings=found)
    if explanation.is_allowed:
        return explanation
    return replace(explanation, nearest=_nearest(question, offered))


def _finding(question: Question, assigned: Assigned) -> Finding | None:
    """None where it holds elsewhere."""
    place = place_of(assigned.scope, question.scope)
    if place is None:
        return None
    if place.namespace not in ("", question.namespace):
        return Finding(assigned=assigned, lack=Lack.OTHER_NAMESPACE)
    if question.attributes is None:
        return _at_resource(question, assigned)
    verdict = _in_cluster(question.attributes, assigned.role)
    return Finding(assigned=assigned, lack=verdict.lack, pattern=verdict.pattern, rule=verdict.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """Of a role, whoever has it. Members as those of `Finding`."""

    lack: Lack | None
    pattern: str = ""
    rule: Rule | None = None


@lru_cache(maxsize=256)  # Who is in many groups has the same role by many of them.
def _in_cluster(asked: ResourceAttributes, role: RoleDefinition) -> _Verdict:
    action = asked.action
    permissions = [each.in_cluster for each in role.permissions]
    rule = asked.rule(permissions)
    for each in permissions:
        named = [pattern for pattern in each.data_actions if matches(pattern, action)]
        taken = [pattern for pattern in each.not_data_actions if matches(pattern, action)]
        if rule is not None and named and not taken:
            return _Verdict(lack=None, pattern=named[0], rule=rule)
        if rule is None and named and taken:
            return _Verdict(lack=Lack.TAKEN_AWAY, pattern=taken[0])
    return _Verdict(lack=Lack.NOT_NAMED)


def _at_resource(question: Question, assigned: Assigned) -> Finding:
    action = question.action
    for each in assigned.role.permissions:
        if _allows(assigned, [each], question):
            pattern = next(p for p in each.actions if replace(each, actions=(p,)).allows(action))
            return Finding(assigned=assigned, lack=None, pattern=pattern)
    for each in assigned.role.permissions:
        if _allows(assigned, [replace(each, not_actions=())], question):
            pattern = next(p for p in each.not_actions if matches(p, action))
            return Finding(assigned=assigned, lack=Lack.TAKEN_AWAY, pattern=pattern)
    return Finding(assigned=assigned, lack=Lack.NOT_NAMED)


def _allows(assigned: Assigned, permissions: Sequence[Permission], question: Question) -> bool:
    role = replace(assigned.role, permissions=tuple(permissions))
    held = Held(assignment_id=assigned.id, scope=assigned.scope, role=role)
    return allowed_by([held], action=question.action, scope=question.scope) is not None


def _nearest(question: Question, offered: Iterable[RoleDefinition]) -> Sequence[RoleDefinition]:
    """Those that would allow it if they were assigned at the scope."""
    at_scope = (
        Assigned(id="", scope=question.scope, role=role, principal_id="")
        for role in offered
        if _is_assignable(role, question.scope)
    )
    allowing = [
        each.role
        for each in at_scope
        if (finding := _finding(question, each)) is not None and finding.lack is None
    ]
    return sorted(allowing, key=lambda role: (breadth(role), role.name))[:NEAREST]


def _is_assignable(role: RoleDefinition, scope: Scope) -> bool:
    scopes = (parse(each) for each in role.assignable_scopes)
    return any(each is not None and each.covers(scope) for each in scopes)
