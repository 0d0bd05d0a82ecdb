"""What `explain` answers: assignment, role, pattern, native rule and native objects, in JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from towrope.control.roles.built_in import CLUSTER_USER
from towrope.control.roles.chain import Chain
from towrope.control.roles.definition import RoleDefinition
from towrope.control.roles.explanation import Explanation, Finding, Lack, Question
from towrope.wire import policy_names
from towrope.wire.agent_api import Policy
from towrope.wire.data_actions import Rule
from towrope.wire.errors import foreign

_PROVIDER = "/providers/Microsoft.Authorization"


class Decision(StrEnum):
    ALLOWED = "Allowed"
    NOT_ALLOWED = "NotAllowed"
    NO_OPINION = "NoOpinion"
    """The cluster's own RBAC decides alone."""


class PrincipalShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    type: str | None
    """None: it is not in this server's directory, so its groups are not known here."""
    name: str | None
    account_enabled: bool | None


class GroupShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    display_name: str | None


class RoleShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    role_name: str
    type: str


class RuleShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """As in a ClusterRole."""

    verbs: tuple[str, ...]
    api_groups: tuple[str, ...]
    resources: tuple[str, ...]


class NativeShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The objects in the cluster that the agent makes of the assignment."""

    cluster_role: str
    binding_kind: str
    binding: str
    namespace: str
    rule: RuleShape | None
    """By which the apiserver allows it."""


class FindingShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    role_assignment_id: str | None
    """None: administrators need none."""
    scope: str
    role: RoleShape
    principal_id: str
    through: tuple[GroupShape, ...]
    """The groups by which it is the principal's; none: it is its own."""
    allows: bool
    lacks: Lack | None
    pattern: str | None
    native: NativeShape | None


class ExplanationShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    access_decision: Decision
    reason: str
    principal: PrincipalShape
    scope: str
    namespace: str
    action: str
    is_data_action: bool
    azure_rbac_enabled: bool | None
    """None for an operation of the resource API, as the next."""
    may_list_cluster_user_credential: bool | None
    """Whether the principal can reach the cluster at all."""
    findings: tuple[FindingShape, ...]
    nearest_roles: tuple[RoleShape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an explanation is shown with."""

    subscription: str
    chains: Mapping[str, Chain]
    group_names: Mapping[str, str]
    policy: Policy | None
    """Of the cluster that was asked about."""


def role_shape(role: RoleDefinition, context: Context) -> RoleShape:
    path = f"/subscriptions/{context.subscription}{_PROVIDER}/roleDefinitions/{role.id}"
    return RoleShape(id=path, role_name=role.name, type=role.kind)


def finding_shapes(explanation: Explanation, context: Context) -> tuple[FindingShape, ...]:
    return tuple(_finding_shape(finding, context) for finding in explanation.findings)


def _finding_shape(finding: Finding, context: Context) -> FindingShape:
    assigned = finding.assigned
    above = assigned.scope.path.rstrip("/")
    return FindingShape(
        role_assignment_id=f"{above}{_PROVIDER}/roleAssignments/{assigned.id}"
        if assigned.id
        else None,
        scope=assigned.scope.path,
        role=role_shape(assigned.role, context),
        principal_id=assigned.principal_id,
        through=tuple(
            GroupShape(id=group, display_name=context.group_names.get(group))
            for group in context.chains.get(assigned.principal_id, ())
        ),
        allows=finding.lack is None,
        lacks=finding.lack,
        pattern=finding.pattern or None,
        native=_native(finding, context.policy),
    )


def _native(finding: Finding, policy: Policy | None) -> NativeShape | None:
    """None where the agent makes nothing of the assignment."""
    if policy is None:
        return None
    grants = {grant.assignment: grant for grant in policy.grants}
    grant = grants.get(finding.assigned.id)
    if grant is None:
        return None
    sharing = {
        policy_names.subject(each)
        for each in policy.grants
        if (each.role, each.namespace) == (grant.role, grant.namespace)
    }
    bindings = policy_names.bindings(grant.role, sharing)
    return NativeShape(
        cluster_role=policy_names.cluster_role(grant.role),
        binding_kind="RoleBinding" if grant.namespace else "ClusterRoleBinding",
        binding=next(
            name for name, whose in bindings.items() if policy_names.subject(grant) in whose
        ),
        namespace=grant.namespace,
        rule=_rule(finding.rule) if finding.rule is not None else None,
    )


def _rule(rule: Rule) -> RuleShape:
    return RuleShape(verbs=rule.verbs, api_groups=rule.groups, resources=rule.resources)


def reason(decision: Decision, question: Question, findings: Sequence[FindingShape]) -> str:
    action = foreign(question.action)
    allowing = next((each for each in findings if each.allows), None)
    match decision:
        case Decision.NO_OPINION:
            return (
                "The cluster's own RBAC decides alone; role assignments do once Azure RBAC is"
                " enabled for it ('enable-features --features azure-rbac')."
            )
        case Decision.NOT_ALLOWED if question.attributes is not None:
            return (
                f"No role assignment allows '{action}'. A binding that somebody made in the"
                " cluster itself still may."
            )
        case Decision.NOT_ALLOWED:
            return f"No role assignment allows '{action}'."
        case _ if allowing is None or allowing.role_assignment_id is None:
            return f"'{action}' takes no role assignment here."
        case _:
            return (
                f"The role assignment {allowing.role_assignment_id} of the role"
                f" '{allowing.role.role_name}' allows '{action}'."
            )


def notes(principal: PrincipalShape, reaches_cluster: bool | None) -> str:
    """What stands in the way beside roles, or may."""
    found = ""
    if principal.type is None:
        found += (
            " The principal is not in this server's directory: groups that its issuer says it is"
            " in are not looked at here."
        )
    if principal.account_enabled is False:
        found += " The principal's account is disabled."
    if reaches_cluster is False:
        found += (
            " The principal cannot reach the cluster: assign it the role"
            f" '{CLUSTER_USER.name}' for that."
        )
    return found
