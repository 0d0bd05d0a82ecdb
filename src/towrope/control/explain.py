"""`POST {scope}/providers/Towrope.Authorization/explain`: why a principal may, or may not, do
something, at the resource API (`action`) or in a cluster (`verb` and `resource`).

Azure has nothing like it. Whoever may read the role assignments of a scope may ask; it says nothing
that they, the role definitions and the directory do not say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import policy, scope_routes
from towrope.control.arm_error import invalid_content
from towrope.control.authority import LIST_CREDENTIAL, allowed, may
from towrope.control.explanation_answer import (
    Context,
    Decision,
    ExplanationShape,
    PrincipalShape,
    finding_shapes,
    notes,
    reason,
    role_shape,
)
from towrope.control.graph.names import as_guid
from towrope.control.held_roles import held_by
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.principal import Principal
from towrope.control.roles.built_in import BUILT_IN_ROLES, OWNER
from towrope.control.roles.chain import chains
from towrope.control.roles.explanation import Assigned, Explanation, Question, explained
from towrope.control.roles.scope import ROOT, Scope
from towrope.control.routing import arm_route
from towrope.control.services import Services
from towrope.control.store import (
    clusters,
    groups,
    role_assignments,
    role_definitions,
    service_principals,
    users,
)
from towrope.control.store.clusters import Cluster
from towrope.control.store.groups import ADMINISTRATORS, MemberKind
from towrope.wire.resource_attributes import ResourceAttributes

READ_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments/read"
PATH = "/providers/Towrope.Authorization/explain"


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Either `action`, or `verb` and `resource` with what else there is of them."""

    principal_id: str
    action: str = ""
    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """The principal that is asked about."""

    principal: Principal
    shape: PrincipalShape
    memberships: Sequence[tuple[str, str]]


class Explain:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._subscription = services.settings.subscription

    def routes(self) -> list[Route]:
        handler = allowed(READ_ASSIGNMENTS, self._explain)
        return [
            arm_route(self._settings, scope + PATH, post=handler) for scope in scope_routes.SCOPES
        ]

    @operation(Body, {HTTPStatus.OK: ExplanationShape})
    async def _explain(self, request: Request) -> Response:
        body = await decode(request, Body)
        principal_id = as_guid(body.principal_id)
        if principal_id is None:
            raise invalid_content("'principalId' must be the object id of a principal, a GUID.")
        async with self._services.database.reading() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            question = question_of(body, scope)
            cluster = await self._cluster(connection, question)
            subject = await _subject(connection, principal_id)
            explanation = await _explanation(connection, question, subject)
            context = await self._context(connection, explanation, subject, cluster)
        return answer(_answer(question, subject, explanation, context))

    async def _cluster(self, connection: AsyncConnection, question: Question) -> Cluster | None:
        """The one that is asked about. Raises `ArmError` (400)."""
        if question.attributes is None:
            return None
        path = question.scope.path
        cluster = await clusters.find_by_id(connection, path, subscription=self._subscription)
        if cluster is None:
            raise invalid_content(
                f"'{path}' is no connected cluster. What is done in a cluster is asked at its"
                " resource id, or at a namespace below it."
            )
        return cluster

    async def _context(
        self,
        connection: AsyncConnection,
        explanation: Explanation,
        subject: _Subject,
        cluster: Cluster | None,
    ) -> Context:
        routes = chains(subject.principal.object_id, subject.memberships)
        shown = {
            group
            for finding in explanation.findings
            for group in routes.get(finding.assigned.principal_id, ())
        }
        found = await groups.find_many(connection, sorted(shown)[:GROUPS_SHOWN])
        enforced = (
            await policy.of(connection, cluster, subscription=self._subscription)
            if cluster is not None
            else None
        )
        return Context(
            subscription=self._subscription,
            chains=routes,
            group_names={group.object_id: group.display_name for group in found},
            policy=enforced,
        )


GROUPS_SHOWN = 1000
"""Groups that are shown with their names."""


def question_of(body: Body, scope: Scope) -> Question:
    """Raises `ArmError` (400)."""
    if bool(body.action) == bool(body.verb and body.resource):
        raise invalid_content(
            "Expected either 'action', an operation of the resource API, or 'verb' and 'resource',"
            " something that is done in a cluster."
        )
    if body.action:
        return Question(scope=scope, action=body.action)
    holder, namespace = scope.namespace or (scope, body.namespace)
    resource, _, subresource = body.resource.lower().partition("/")
    attributes = ResourceAttributes(
        verb=body.verb.lower(),
        group=body.group.lower(),
        resource=resource,
        subresource=body.subresource.lower() or subresource,
    )
    # A namespace is in itself, to the apiserver.
    if (attributes.group, resource) == ("", "namespaces") and body.name:
        namespace = body.name
    return Question(
        scope=holder,
        action=attributes.action,
        attributes=attributes,
        namespace=namespace.lower(),
    )


async def _explanation(
    connection: AsyncConnection, question: Question, subject: _Subject
) -> Explanation:
    principal = subject.principal
    custom = [each.role for each in await role_definitions.every(connection)]
    offered = {role.id: role for role in (*BUILT_IN_ROLES, *custom)}
    ids = {principal.object_id, *principal.groups}
    held = [
        Assigned(
            id=each.id,
            scope=each.scope,
            role=offered[each.role_id],
            principal_id=each.principal_id,
        )
        for each in await role_assignments.held_by(connection, ids)
        if each.role_id in offered and each.is_external == (principal.issuer != "")
    ]
    if principal.is_administrator:
        held.append(Assigned(id="", scope=ROOT, role=OWNER, principal_id=ADMINISTRATORS))
    return explained(question, held, offered.values())


async def _subject(connection: AsyncConnection, object_id: str) -> _Subject:
    memberships = await groups.memberships_above(connection, object_id)
    above = frozenset(group for group, _ in memberships)
    shape = await _shape(connection, object_id)
    principal = Principal(
        object_id=object_id,
        kind=MemberKind(shape.type or MemberKind.USER),
        name=shape.name or object_id,
        groups=above,
        group_ids=above,
        held=await held_by(connection, {object_id, *above}, is_external=shape.type is None),
        # Whoever is not of this directory is of some issuer; of which makes no difference here.
        issuer="" if shape.type else "unknown",
    )
    return _Subject(principal=principal, shape=shape, memberships=memberships)


async def _shape(connection: AsyncConnection, object_id: str) -> PrincipalShape:
    kind: MemberKind | None = None
    name: str | None = None
    enabled: bool | None = None
    if user := await users.find(connection, object_id):
        kind, name = MemberKind.USER, user.user_principal_name
        enabled = user.account_enabled
    elif group := await groups.find(connection, object_id):
        kind, name = MemberKind.GROUP, group.display_name
    elif application := await service_principals.find_by_object_id(connection, object_id):
        kind, name = MemberKind.SERVICE_PRINCIPAL, application.display_name
        enabled = application.account_enabled
    return PrincipalShape(id=object_id, type=kind, name=name, account_enabled=enabled)


def _answer(
    question: Question, subject: _Subject, explanation: Explanation, context: Context
) -> ExplanationShape:
    findings = finding_shapes(explanation, context)
    decision = _decision(question, subject, explanation, context)
    reaches = _reaches(question, subject)
    nearest = () if decision is Decision.ALLOWED else explanation.nearest
    return ExplanationShape(
        access_decision=decision,
        reason=reason(decision, question, findings) + notes(subject.shape, reaches),
        principal=subject.shape,
        scope=question.scope.path,
        namespace=question.namespace,
        action=question.action,
        is_data_action=question.attributes is not None,
        azure_rbac_enabled=context.policy.is_enforced if context.policy is not None else None,
        may_list_cluster_user_credential=reaches,
        findings=findings,
        nearest_roles=tuple(role_shape(role, context) for role in nearest),
    )


def _decision(
    question: Question, subject: _Subject, explanation: Explanation, context: Context
) -> Decision:
    if context.policy is None:
        is_allowed = may(subject.principal, question.action, question.scope)
    elif context.policy.is_enforced:
        is_allowed = explanation.is_allowed
    else:
        return Decision.NO_OPINION
    return Decision.ALLOWED if is_allowed else Decision.NOT_ALLOWED


def _reaches(question: Question, subject: _Subject) -> bool | None:
    if question.attributes is None:
        return None
    return may(subject.principal, LIST_CREDENTIAL, question.scope)
