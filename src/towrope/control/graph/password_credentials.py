"""`addPassword` and `removePassword`: the secrets of an application, several at a time.

A secret is made here, shown once, and kept as its hash.
"""

import datetime
import uuid
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import Handler, allowed
from towrope.control.graph import key_credentials, names
from towrope.control.graph.answers import entity
from towrope.control.graph.errors import bad_request
from towrope.control.graph.faces import APPLICATIONS, PRINCIPALS, Face
from towrope.control.graph.losing import end_tokens, losing
from towrope.control.graph.objects import PasswordCredential, password_of, unix_seconds
from towrope.control.graph.routes import graph_route
from towrope.control.json_body import answer, decode
from towrope.control.operation import operation
from towrope.control.services import Services
from towrope.control.store import service_principals as store
from towrope.control.store.service_principals import (
    ApplicationCredential,
    new_secret,
    secret_hash,
)

HINT_LENGTH = 3
LIFETIME = 365 * 24 * 3600
LONGEST_LIFETIME = 100 * LIFETIME
CLOCK_TOLERANCE = 300
"""Seconds that a client's clock may be ahead, so that its new secret is good at once."""


class _Wanted(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    display_name: str | None = None
    start_date_time: datetime.datetime | None = None
    end_date_time: datetime.datetime | None = None


class _Add(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    password_credential: _Wanted | None = None


class _Remove(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    key_id: str


class PasswordCredentials:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        routes: list[Route] = []
        for face in (PRINCIPALS, APPLICATIONS):
            write = f"{face.provider}/credentials/write"
            for path in face.paths:
                routes += [
                    graph_route(f"{path}/addPassword", post=allowed(write, self._add(face))),
                    graph_route(f"{path}/removePassword", post=allowed(write, self._remove(face))),
                ]
        return routes

    def _add(self, face: Face) -> Handler:
        @operation(_Add, {HTTPStatus.OK: entity(PasswordCredential)})
        async def handle(request: Request) -> Response:
            body = await decode(request, _Add)
            secret = new_secret()
            async with self._services.database.writing() as connection:
                principal = await face.find(connection, request)
                there = await store.credentials_of(connection, principal.app_id)
                key_credentials.check_room(len(there) + 1)
                wanted = body.password_credential or _Wanted()
                made = _made(wanted, principal.app_id, secret, now=int(self._services.clock()))
                await store.add_credential(connection, made)
            context = f"{self._settings.url}/v1.0/$metadata#microsoft.graph.passwordCredential"
            shape = msgspec.to_builtins(password_of(made, secret=secret))
            return answer({"@odata.context": context, **shape})

        return handle

    def _remove(self, face: Face) -> Handler:
        @operation(_Remove, {HTTPStatus.NO_CONTENT: None})
        async def handle(request: Request) -> Response:
            key_id = names.as_guid((await decode(request, _Remove)).key_id)
            async with losing(self._services) as connection:
                principal = await face.find(connection, request)
                there = await store.credentials_of(connection, principal.app_id)
                found = next((e for e in there if e.key_id == key_id and e.secret_hash), None)
                if found is None:
                    raise bad_request("No password credential found with this keyId.")
                await store.remove_credential(connection, principal.app_id, found.key_id)
                if found.ends > self._services.clock():
                    await end_tokens(connection, principal, request, self._services)
            return Response(status_code=HTTPStatus.NO_CONTENT)

        return handle


def _made(wanted: _Wanted, app_id: str, secret: str, *, now: int) -> ApplicationCredential:
    """Raises `ArmError` (400)."""
    starts = unix_seconds(wanted.start_date_time) if wanted.start_date_time else now
    if starts <= now + CLOCK_TOLERANCE:
        starts = min(starts, now)
    ends = max(starts, now) + LIFETIME
    if wanted.end_date_time:
        ends = unix_seconds(wanted.end_date_time)
    if not max(starts, now) < ends <= now + LONGEST_LIFETIME:
        raise bad_request(
            "The endDateTime of a password credential must be in the future, after its"
            " startDateTime, and at most 100 years away."
        )
    return ApplicationCredential(
        key_id=str(uuid.uuid4()),
        app_id=app_id,
        display_name=key_credentials.label(wanted.display_name),
        secret_hash=secret_hash(secret),
        hint=secret[:HINT_LENGTH],
        starts=starts,
        ends=ends,
    )
