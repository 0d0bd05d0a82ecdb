"""`/users`: local accounts. A user is named by object id, or by user principal name."""

import uuid
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import passwords
from towrope.control.authority import allowed
from towrope.control.graph import answers, listing, names
from towrope.control.graph.errors import bad_request, conflicts_as, not_found, taken
from towrope.control.graph.losing import losing
from towrope.control.graph.objects import Kind, Shape, UserShape, of_user, shown
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.services import Services
from towrope.control.store import users as store
from towrope.control.store.directory import from_next_second
from towrope.control.store.users import User

PROVIDER = "Towrope.Directory/users"
FILTERS = {
    "id": "object_id",
    "userprincipalname": "key",
    "displayname": "display_name",
    "givenname": "given_name",
    "surname": "surname",
    "mail": "mail",
    "accountenabled": "account_enabled",
}
PATHS = ("/users/{id}", "/users('{id}')")


class _PasswordProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    password: str | UnsetType = UNSET
    # As in Graph: a password that somebody else chose is good for one sign-in, unless they say so.
    force_change_password_next_sign_in: bool | UnsetType = UNSET

    def __repr__(self) -> str:
        return "_PasswordProfile()"


class _New(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    account_enabled: bool
    display_name: str
    user_principal_name: str
    password_profile: _PasswordProfile
    mail_nickname: str | None = None
    given_name: str | None = None
    surname: str | None = None
    mail: str | None = None


class _Changed(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    account_enabled: bool | UnsetType = UNSET
    display_name: str | UnsetType = UNSET
    user_principal_name: str | UnsetType = UNSET
    password_profile: _PasswordProfile | UnsetType = UNSET
    mail_nickname: str | UnsetType = UNSET
    given_name: str | UnsetType | None = UNSET
    surname: str | UnsetType | None = UNSET
    mail: str | UnsetType | None = UNSET


async def find(connection: AsyncConnection, name: str) -> User:
    """By object id or user principal name. Raises `ArmError` (404)."""
    by_name = "@" in name
    found = await (store.find_by_name if by_name else store.find)(connection, name)
    if found is None:
        raise not_found(name)
    return found


class Users:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        read, write = f"{PROVIDER}/read", f"{PROVIDER}/write"
        revoke = f"{PROVIDER}/revokeSignInSessions/action"
        routes = [
            graph_route("/users", get=allowed(read, self._list), post=allowed(write, self._create))
        ]
        for path in PATHS:
            routes += [
                graph_route(
                    path,
                    get=allowed(read, self._show),
                    patch=allowed(write, self._change),
                    delete=allowed(f"{PROVIDER}/delete", self._delete),
                ),
                graph_route(f"{path}/revokeSignInSessions", post=allowed(revoke, self._revoke)),
            ]
        return list(routes)

    @operation(None, {HTTPStatus.OK: answers.entities(UserShape)}, query=answers.FILTERED)
    async def _list(self, request: Request) -> Response:
        options = listing.options(
            request, kind=Kind.USER, size=self._settings.page_size, columns=FILTERS
        )
        after = options.after[0] if options.after else None
        async with self._services.database.reading() as connection:
            found = await store.page(
                connection, after=after, limit=options.size + 1, matches=options.matches
            )
            count = await store.count(connection, options.matches) if options.wants_count else None
        here = found[: options.size]
        return listing.page(
            request,
            self._settings.url,
            [shown(of_user(user), Kind.USER, options.select) for user in here],
            context="users",
            last=[here[-1].user_principal_name] if len(found) > options.size else None,
            count=count,
        )

    @operation(None, {HTTPStatus.OK: answers.entity(UserShape)}, query=answers.SELECTED)
    async def _show(self, request: Request) -> Response:
        select = listing.select_alone(request, Kind.USER)
        async with self._services.database.reading() as connection:
            user = await find(connection, request.path_params["id"])
        return answer(self.entity(user, select))

    def entity(self, user: User, select: tuple[str, ...] = ()) -> Shape:
        context = f"{self._settings.url}/v1.0/$metadata#users/$entity"
        return {"@odata.context": context, **shown(of_user(user), Kind.USER, select)}

    @operation(_New, {HTTPStatus.CREATED: answers.entity(UserShape)})
    async def _create(self, request: Request) -> Response:
        body = await decode(request, _New)
        name = names.user_principal_name(body.user_principal_name)
        _check_nickname(body.mail_nickname, name)
        profile = body.password_profile
        if profile.password is UNSET:
            raise bad_request("A password must be specified to create a new user.")
        user = User(
            object_id=str(uuid.uuid4()),
            user_principal_name=name,
            display_name=names.display_name(body.display_name),
            given_name=_optional("givenName", body.given_name),
            surname=_optional("surname", body.surname),
            mail=names.mail(body.mail) if body.mail is not None else None,
            account_enabled=body.account_enabled,
            password_hash=await hashed(profile.password, name),
            must_change_password=profile.force_change_password_next_sign_in is not False,
            created=int(self._services.clock()),
        )
        with conflicts_as(taken("userPrincipalName")):
            async with self._services.database.writing() as connection:
                await store.add(connection, user)
        location = {"location": f"{self._settings.url}/v1.0/users/{user.object_id}"}
        return answer(self.entity(user), status=HTTPStatus.CREATED, headers=location)

    @operation(_Changed, {HTTPStatus.NO_CONTENT: None})
    async def _change(self, request: Request) -> Response:
        body = await decode(request, _Changed)
        async with self._services.database.reading() as connection:
            user = await find(connection, request.path_params["id"])
        values = _plain(body, user) | await self._password(body, user)
        loses = bool({"valid_from", "user_principal_name"} & values.keys())
        loses |= values.get("account_enabled") is False
        if loses:
            values["valid_from"] = from_next_second(self._services.clock())
        write = losing(self._services) if loses else self._services.database.writing()
        with conflicts_as(taken("userPrincipalName")):
            async with write as connection:
                await find(connection, user.object_id)
                if values:
                    await store.change(connection, user.object_id, **values)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _password(self, body: _Changed, user: User) -> dict[str, Any]:
        profile = body.password_profile
        if profile is UNSET:
            return {}
        force = profile.force_change_password_next_sign_in
        if profile.password is UNSET:
            return {} if force is UNSET else {"must_change_password": force}
        return {
            "password_hash": await hashed(profile.password, user.user_principal_name),
            "must_change_password": force is not False,
            "valid_from": from_next_second(self._services.clock()),
        }

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        async with losing(self._services) as connection:
            user = await find(connection, request.path_params["id"])
            await store.remove(connection, user.object_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @operation(None, {HTTPStatus.OK: answers.Flag})
    async def _revoke(self, request: Request) -> Response:
        return await self.revoke(request.path_params["id"])

    async def revoke(self, name: str) -> Response:
        """Ends all that the user is signed in to, everywhere."""
        valid_from = from_next_second(self._services.clock())
        async with losing(self._services) as connection:
            user = await find(connection, name)
            await store.change(connection, user.object_id, valid_from=valid_from)
        context = f"{self._settings.url}/v1.0/$metadata#Edm.Boolean"
        return answer({"@odata.context": context, "value": True})


async def hashed(password: str, user_principal_name: str) -> str:
    """Raises `ArmError` (400) where it cannot be the password of that account."""
    complaint = passwords.complaint(password, user_principal_name=user_principal_name)
    if complaint is not None:
        raise bad_request(f"The specified password does not comply with the rules. {complaint}")
    return await passwords.hash_password(password)


def _plain(body: _Changed, user: User) -> dict[str, Any]:
    """The columns that the members of a PATCH set, without the password's."""
    values: dict[str, Any] = {}
    if body.account_enabled is not UNSET:
        values["account_enabled"] = body.account_enabled
    if body.display_name is not UNSET:
        values["display_name"] = names.display_name(body.display_name)
    if body.given_name is not UNSET:
        values["given_name"] = _optional("givenName", body.given_name)
    if body.surname is not UNSET:
        values["surname"] = _optional("surname", body.surname)
    if body.mail is not UNSET:
        values["mail"] = names.mail(body.mail) if body.mail is not None else None
    if body.user_principal_name not in (UNSET, user.user_principal_name):
        values["user_principal_name"] = names.user_principal_name(str(body.user_principal_name))
    if body.mail_nickname is not UNSET:
        name = values.get("user_principal_name", user.user_principal_name)
        _check_nickname(body.mail_nickname, name)
    return values


def _optional(name: str, given: str | None) -> str | None:
    return None if given is None else names.text(name, given, limit=names.NAME_LIMIT)


def _check_nickname(given: str | None, user_principal_name: str) -> None:
    """It is no value of its own, for there is no mail here."""
    if given is not None and given.lower() != user_principal_name.partition("@")[0].lower():
        raise bad_request(
            "Invalid value specified for property 'mailNickname': it is always the part of the"
            " userPrincipalName before the '@'."
        )
