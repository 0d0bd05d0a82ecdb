"""Principals of a control plane under test, and clients that call it as each of them."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.control.conftest import API_VERSION, NOW, SUBSCRIPTION, URL, Plane
from towrope.control.issuer.tokens import IdentityType, Issuance, Subject
from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.scope import Scope
from towrope.control.store import groups, role_assignments, users
from towrope.control.store.groups import Group, Member, MemberKind
from towrope.control.store.role_assignments import RoleAssignment
from towrope.control.store.role_definitions import Authorship
from towrope.control.store.users import User

SUBSCRIPTION_SCOPE = f"/subscriptions/{SUBSCRIPTION}"
ROLES = {role.name: role.id for role in BUILT_IN_ROLES}
AUTHORIZATION = "/providers/Microsoft.Authorization"


def role_id(name: str) -> str:
    """The resource id of a built-in role."""
    return f"{SUBSCRIPTION_SCOPE}{AUTHORIZATION}/roleDefinitions/{ROLES[name]}"


def assignments(scope: str) -> str:
    """The path of the assignments at a scope."""
    return f"{scope.rstrip('/')}{AUTHORIZATION}/roleAssignments"


@dataclass(frozen=True, kw_only=True)
class Caller:
    object_id: str
    api: httpx2.AsyncClient


@dataclass(kw_only=True)
class Callers:
    plane: Plane
    clients: AsyncExitStack

    async def user(self, name: str = "ada", **roles: str) -> Caller:
        """A user; `roles`: names of built-in roles with `_` for spaces, each with its scope."""
        made = User(
            object_id=str(uuid.uuid4()),
            user_principal_name=f"{name}@example.org",
            display_name=name.title(),
            created=int(NOW),
        )
        async with self.plane.control.services.database.writing() as connection:
            await users.add(connection, made)
        for role, scope in roles.items():
            answer = await self.assign(role.replace("_", " "), made.object_id, scope)
            assert answer.status_code == 201, answer.text
        return Caller(object_id=made.object_id, api=await self._client(made))

    async def group(self, name: str, *members: str) -> str:
        """The object id of a new group of these users."""
        made = Group(
            object_id=str(uuid.uuid4()), display_name=name, mail_nickname=name, created=int(NOW)
        )
        async with self.plane.control.services.database.writing() as connection:
            await groups.add(connection, made)
            for each in members:
                member = Member(object_id=each, kind=MemberKind.USER)
                await groups.add_member(connection, made.object_id, member)
        return made.object_id

    async def assign(
        self, role: str, principal_id: str, scope: str, **properties: Any
    ) -> httpx2.Response:
        """By the administrator; `role` is a built-in role's name, or a resource id."""
        body = {
            "roleDefinitionId": role_id(role) if role in ROLES else role,
            "principalId": principal_id,
            **properties,
        }
        path = f"{assignments(scope)}/{uuid.uuid4()}"
        return await self.plane.api.put(path, json={"properties": body})

    async def hold(self, role: str, principal_id: str, scope: str) -> None:
        """Writes an assignment whether it can be made or not."""
        by = Authorship(created_on=0, created_by="", updated_on=0, updated_by="")
        made = RoleAssignment(
            id=str(uuid.uuid4()),
            scope=Scope(path=scope),
            role_id=ROLES[role],
            principal_id=principal_id,
            principal_kind=MemberKind.USER,
            authorship=by,
        )
        async with self.plane.control.services.database.writing() as connection:
            await role_assignments.add(connection, made)

    async def _client(self, user: User) -> httpx2.AsyncClient:
        subject = Subject(
            object_id=user.object_id,
            identity_type=IdentityType.USER,
            display_name=user.display_name,
            user_principal_name=user.user_principal_name,
            groups=frozenset(),
        )
        issued = Issuance(client_id=str(uuid.uuid4()), authenticated_at=int(self.plane.now))
        tokens = self.plane.control.services.tokens
        token = tokens.mint_access(subject, issued, audience=tokens.audience)
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.plane.control.asgi),
            base_url=URL,
            params={"api-version": API_VERSION},
            headers={"authorization": f"Bearer {token}"},
        )
        return await self.clients.enter_async_context(client)


@pytest.fixture
async def callers(plane: Plane) -> AsyncIterator[Callers]:
    async with AsyncExitStack() as clients:
        yield Callers(plane=plane, clients=clients)
