"""`Microsoft.Authorization/checkAccess`: whether somebody may do some actions at a scope.

As Arc's authorization webhook asks it (api-version 2018-09-01-preview): up to 200 actions, of the
resource API or in a cluster, for a subject with its groups.
"""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import scope_routes
from towrope.control.arm_error import invalid_content
from towrope.control.assignability import kind_in_directory
from towrope.control.authority import allowed
from towrope.control.graph.names import as_guid
from towrope.control.held_roles import held_by
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.role_ids import role_resource_id
from towrope.control.roles.decision import Held, allowed_by, data_allowed_by
from towrope.control.roles.scope import Scope
from towrope.control.routing import arm_route
from towrope.control.services import Services
from towrope.control.store import groups

ACTION = "Microsoft.Authorization/checkAccess/read"
ACTIONS_LIMIT = 200
ACTION_LENGTH = 512
GROUPS_LIMIT = 11_000
TIME_TO_LIVE_MS = 60_000


class _Attributes(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    object_id: str
    groups: tuple[str, ...] = ()


class _Subject(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    attributes: _Attributes


class _Action(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    id: str
    is_data_action: bool = False


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    subject: _Subject
    actions: tuple[_Action, ...]


class _Assignment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    role_definition_id: str
    scope: str


class _Decision(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    access_decision: str
    action_id: str
    is_data_action: bool
    role_assignment: _Assignment | None
    deny_assignment: None = None
    time_to_live_in_ms: int = TIME_TO_LIVE_MS


class CheckAccess:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        path = f"{scope_routes.PROVIDER}/checkAccess"
        return [
            arm_route(self._settings, scope + path, post=allowed(ACTION, self._check))
            for scope in scope_routes.SCOPES
        ]

    @operation(_Body, {HTTPStatus.OK: list[_Decision]})
    async def _check(self, request: Request) -> Response:
        body = await decode(request, _Body)
        _check_limits(body)
        async with self._services.database.reading() as connection:
            scope = await scope_routes.named(connection, request, self._settings)
            subject = body.subject.attributes
            ids = set(filter(None, map(as_guid, (subject.object_id, *subject.groups))))
            known = await groups.groups_of(connection, subject.object_id.lower())
            kind = await kind_in_directory(connection, subject.object_id.lower())
            held = await held_by(connection, ids | known, is_external=kind is None)
        return answer([self._decision(held, each, scope) for each in body.actions])

    def _decision(self, held: Sequence[Held], asked: _Action, scope: Scope) -> _Decision:
        decide = data_allowed_by if asked.is_data_action else allowed_by
        by = decide(held, action=asked.id, scope=scope)
        return _Decision(
            access_decision="Allowed" if by is not None else "NotAllowed",
            action_id=asked.id,
            is_data_action=asked.is_data_action,
            role_assignment=self._assignment(by, scope) if by is not None else None,
        )

    def _assignment(self, by: Held, scope: Scope) -> _Assignment:
        return _Assignment(
            id=by.assignment_id,
            role_definition_id=role_resource_id(by.role.id, scope, self._settings),
            scope=by.scope.path,
        )


def _check_limits(body: _Body) -> None:
    """Raises `ArmError` (400)."""
    if not 1 <= len(body.actions) <= ACTIONS_LIMIT:
        raise invalid_content(f"1 to {ACTIONS_LIMIT} actions can be checked at once.")
    if _is_long(each.id for each in body.actions):
        raise invalid_content(f"An action has at most {ACTION_LENGTH} characters.")
    if len(body.subject.attributes.groups) > GROUPS_LIMIT:
        raise invalid_content(f"A subject has at most {GROUPS_LIMIT} groups.")
    if as_guid(body.subject.attributes.object_id) is None:
        raise invalid_content("The subject's ObjectId must be a GUID.")


def _is_long(texts: Iterable[str]) -> bool:
    return any(len(text) > ACTION_LENGTH for text in texts)
