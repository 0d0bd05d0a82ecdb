"""A directory with an ordinary user and an application, and clients that act as each."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from tests.control.conftest import NOW, URL, Plane, error_of
from towrope.control.envelope import Envelope
from towrope.control.graph import directory as directory_api
from towrope.control.issuer.tokens import IdentityType, Issuance, Subject
from towrope.control.principal import Principal
from towrope.control.store import groups, service_principals, users
from towrope.control.store.database import Database
from towrope.control.store.groups import Group, Member, MemberKind
from towrope.control.store.service_principals import ServicePrincipal
from towrope.control.store.users import User
from towrope.wire import agent_api

V1 = "/v1.0"
NOBODY = "99999999-9999-4999-8999-999999999999"


@dataclass(kw_only=True)
class Directory:
    """`api` calls as the administrator (an application), `ada` as a user of no group."""

    plane: Plane
    ada_id: str
    clients: AsyncExitStack
    ada: httpx2.AsyncClient = field(init=False)

    @property
    def api(self) -> httpx2.AsyncClient:
        return self.plane.api

    @property
    def database(self) -> Database:
        return self.plane.control.services.database

    def _client(self, token: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.plane.control.asgi),
            base_url=URL,
            headers={"authorization": f"Bearer {token}"},
        )

    async def act_as(
        self, object_id: str, name: str, kind: IdentityType = IdentityType.USER
    ) -> httpx2.AsyncClient:
        """A client with a token from now."""
        subject = Subject(
            object_id=object_id,
            identity_type=kind,
            display_name=name,
            user_principal_name=name if kind is IdentityType.USER else None,
            groups=frozenset(),
        )
        now = int(self.plane.now)
        issued = Issuance(
            client_id=name if kind is not IdentityType.USER else NOBODY, authenticated_at=now
        )
        tokens = self.plane.control.services.tokens
        token = tokens.mint_access(subject, issued, audience=tokens.audience)
        return await self.clients.enter_async_context(self._client(token))

    async def act_as_principal(self, principal: Principal) -> httpx2.AsyncClient:
        """A client of somebody whose token was verified before the request comes here."""
        routes = directory_api.routes(self.plane.control.services)

        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            scope["towrope.principal"] = principal
            await Router(routes)(scope, receive, send)

        transport = httpx2.ASGITransport(app=Envelope(known))
        client = httpx2.AsyncClient(transport=transport, base_url=URL)
        return await self.clients.enter_async_context(client)

    async def add_user(self, name: str, **values: Any) -> str:
        user = User(
            object_id=str(uuid.uuid4()),
            user_principal_name=name,
            **{"display_name": name.partition("@")[0], "created": int(NOW), **values},
        )
        async with self.database.writing() as connection:
            await users.add(connection, user)
        return user.object_id

    async def add_group(self, name: str, *members: str) -> str:
        """`members`: ids of users, or of groups."""
        group = Group(
            object_id=str(uuid.uuid4()),
            display_name=name,
            mail_nickname="nick",
            created=int(NOW),
        )
        async with self.database.writing() as connection:
            await groups.add(connection, group)
        for member in members:
            await self.add_member(group.object_id, member)
        return group.object_id

    async def add_member(self, group_id: str, member_id: str) -> None:
        async with self.database.writing() as connection:
            is_group = await groups.find(connection, member_id) is not None
            kind = MemberKind.GROUP if is_group else MemberKind.USER
            await groups.add_member(connection, group_id, Member(object_id=member_id, kind=kind))

    async def add_application(self, name: str) -> ServicePrincipal:
        made = ServicePrincipal(
            app_id=str(uuid.uuid4()),
            object_id=str(uuid.uuid4()),
            application_object_id=str(uuid.uuid4()),
            display_name=name,
            created=int(NOW),
        )
        async with self.database.writing() as connection:
            await service_principals.add(connection, made)
        return made

    async def administrator_id(self) -> str:
        """Its service principal's object id."""
        async with self.database.reading() as connection:
            app_id = self.plane.administrator.app_id
            found = await service_principals.find(connection, app_id)
        assert found is not None
        return found.object_id

    async def user(self, object_id: str) -> User:
        async with self.database.reading() as connection:
            found = await users.find(connection, object_id)
        assert found is not None
        return found

    async def application(self, app_id: str) -> ServicePrincipal:
        async with self.database.reading() as connection:
            found = await service_principals.find(connection, app_id)
        assert found is not None
        return found

    async def get(self, path: str, **query: str) -> Any:
        answer = await self.api.get(V1 + path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def names(self, path: str, key: str = "displayName", **query: str) -> list[str]:
        return [each[key] for each in (await self.get(path, **query))["value"]]

    async def refusal(self, method: str, path: str, body: Any = None, **query: str) -> str:
        """The sentence of a 400."""
        answer = await self.api.request(method, V1 + path, json=body, params=query)
        assert error_of(answer) == (400, "Request_BadRequest"), answer.text
        sentence: str = answer.json()["error"]["message"]
        return sentence

    def took_notice(self) -> bool:
        """Whether every agent was told since this was last asked."""
        told = self.plane.notified == [(None, agent_api.TRUST)]
        self.plane.notified.clear()
        return told


@pytest.fixture
async def directory(plane: Plane) -> AsyncIterator[Directory]:
    plane.notified.clear()
    async with AsyncExitStack() as clients:
        made = Directory(plane=plane, ada_id="", clients=clients)
        made.ada_id = await made.add_user("ada@example.org", display_name="Ada")
        made.ada = await made.act_as(made.ada_id, "ada@example.org")
        yield made
