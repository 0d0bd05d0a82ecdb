"""`/me`: the user who calls, and the little that everybody may change: of the own account."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import passwords, throttle
from towrope.control.arm_error import ArmError
from towrope.control.authority import OWN_ACCOUNT, allowed
from towrope.control.graph import listing
from towrope.control.graph.answers import SELECTED, Flag, entity
from towrope.control.graph.errors import bad_request
from towrope.control.graph.losing import losing
from towrope.control.graph.objects import Kind, UserShape, shown
from towrope.control.graph.routes import graph_route
from towrope.control.graph.users import Users, find, hashed
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.principal import Principal
from towrope.control.services import Services
from towrope.control.store import users as store
from towrope.control.store.directory import from_next_second
from towrope.control.store.groups import MemberKind
from towrope.control.store.users import User
from towrope.control.throttle import Throttle


class _ChangePassword(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    current_password: str
    new_password: str

    def __repr__(self) -> str:
        return "_ChangePassword()"


def user_of(request: Request) -> Principal:
    """Who calls, a user. Raises `ArmError` (400) where it is an application."""
    principal: Principal = request.scope["towrope.principal"]
    if principal.kind is not MemberKind.USER:
        raise bad_request("/me request is only valid with delegated authentication flow.")
    return principal


def local_user_of(request: Request) -> Principal:
    """Who calls, a user of this directory. Raises `ArmError` (400)."""
    principal = user_of(request)
    if principal.issuer:
        raise bad_request("This account is kept by another provider; ask there.")
    return principal


class Me:
    def __init__(self, services: Services, users: Users) -> None:
        self._services = services
        self._users = users

    def routes(self) -> list[Route]:
        change, revoke = (
            f"{OWN_ACCOUNT}{name}/action" for name in ("changePassword", "revokeSignInSessions")
        )
        return [
            graph_route("/me", get=allowed(f"{OWN_ACCOUNT}read", self._show)),
            graph_route("/me/changePassword", post=allowed(change, self._change_password)),
            graph_route("/me/revokeSignInSessions", post=allowed(revoke, self._revoke)),
        ]

    @operation(None, {HTTPStatus.OK: entity(UserShape)}, query=SELECTED)
    async def _show(self, request: Request) -> Response:
        select = listing.select_alone(request, Kind.USER)
        principal = user_of(request)
        if principal.issuer:
            return answer(self._guest(principal, select))
        async with self._services.database.reading() as connection:
            user = await find(connection, principal.object_id)
        return answer(self._users.entity(user, select))

    def _guest(self, principal: Principal, select: tuple[str, ...]) -> dict[str, object]:
        """Somebody whom another issuer vouches for: no more is known than the token says."""
        shape = UserShape(
            display_name=principal.name,
            given_name=None,
            mail=None,
            surname=None,
            user_principal_name=principal.name,
            id=principal.object_id,
            account_enabled=True,
            created_date_time="",
            mail_nickname=principal.name.partition("@")[0],
            sign_in_sessions_valid_from_date_time="",
            user_type="Guest",
        )
        context = f"{self._services.settings.url}/v1.0/$metadata#users/$entity"
        return {"@odata.context": context, **shown(shape, Kind.USER, select)}

    @operation(_ChangePassword, {HTTPStatus.NO_CONTENT: None})
    async def _change_password(self, request: Request) -> Response:
        principal = local_user_of(request)
        body = await decode(request, _ChangePassword)
        async with self._services.database.reading() as connection:
            user = await find(connection, principal.object_id)
        await self._prove(user, body.current_password)
        if body.new_password == body.current_password:
            raise bad_request("The new password must be another than the current one.")
        values = {
            "password_hash": await hashed(body.new_password, user.user_principal_name),
            "must_change_password": False,
            "valid_from": from_next_second(self._services.clock()),
        }
        async with losing(self._services) as connection:
            there = await find(connection, user.object_id)
            if there.password_hash != user.password_hash:
                raise bad_request("The password was changed by somebody else in the meantime.")
            await store.change(connection, user.object_id, **values)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _prove(self, user: User, password: str) -> None:
        """That the password is known, not only a token: raises `ArmError` (400, 429)."""
        tries = Throttle(self._services.database, clock=self._services.clock)
        # Counted by itself: who locks an account's sign-in does not lock its owner out of this.
        counted = throttle.account(f"{user.object_id}/changePassword")
        if not await tries.admit(counted):
            raise ArmError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TooManyRequests",
                "The current password was wrong too often. Try again in some minutes.",
            )
        if not await passwords.verify(password, user.password_hash):
            raise bad_request("The specified password does not match the current password.")
        await tries.succeeded(cleared=counted)

    @operation(None, {HTTPStatus.OK: Flag})
    async def _revoke(self, request: Request) -> Response:
        return await self._users.revoke(local_user_of(request).object_id)
