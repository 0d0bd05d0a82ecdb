"""A control plane in this process, on SQLite, with many or few clusters, assignments and groups."""

import datetime
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import insert

from towrope.control.app import ControlPlane
from towrope.control.issuer.tokens import IdentityType, Issuance, Subject
from towrope.control.roles.built_in import BUILT_IN_ROLES
from towrope.control.roles.definition import RoleDefinition
from towrope.control.roles.scope import Scope
from towrope.control.settings import Settings, parse_public_url
from towrope.control.store import role_assignments, tables
from towrope.control.store.groups import ADMINISTRATORS
from towrope.ops.files import write_private
from towrope.wire import assertion, names

URL = "https://bench.test"
SUBSCRIPTION = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
AT_SUBSCRIPTION = 20
"""Assignments that touch every cluster, however many there are."""
AT_EACH_GROUP = 4
_NOW = int(datetime.datetime.now(datetime.UTC).timestamp())


@dataclass(frozen=True, kw_only=True)
class Size:
    name: str
    clusters: int
    assignments: int
    groups: int
    resource_groups: int


SMALL = Size(name="small", clusters=50, assignments=200, groups=20, resource_groups=5)
LARGE = Size(name="large", clusters=5000, assignments=20_000, groups=2000, resource_groups=100)


def guid(kind: int, number: int) -> str:
    return f"{kind:08x}-0000-4000-8000-{number:012x}"


_USER, _GROUP, _ASSIGNMENT = 1, 2, 3
READER_ID, FEW_ID, ADMINISTRATOR_ID = (guid(4, n) for n in range(3))
_ROLES = {role.name.removeprefix("Azure Arc Kubernetes "): role for role in BUILT_IN_ROLES}
_IN_CLUSTER = [_ROLES[each] for each in ("Viewer", "Writer", "Admin", "Cluster Admin")]


@dataclass(kw_only=True)
class Population:
    size: Size
    control: ControlPlane
    client: httpx2.AsyncClient
    agent_key: ECKey
    on_hint: Callable[[str | None], None] = field(default=lambda _: None)

    def cluster_id(self, number: int) -> str:
        group = number % self.size.resource_groups
        return names.cluster_id(SUBSCRIPTION, f"group-{group}", f"cluster-{number}")

    def headers(self, object_id: str) -> dict[str, str]:
        """Of a user of the directory."""
        subject = Subject(
            object_id=object_id,
            identity_type=IdentityType.USER,
            display_name=object_id,
            user_principal_name=f"{object_id}@bench.test",
            groups=frozenset(),
        )
        issued = Issuance(client_id=str(uuid.uuid4()), authenticated_at=_NOW)
        tokens = self.control.services.tokens
        token = tokens.mint_access(subject, issued, audience=tokens.audience)
        return {"authorization": f"Bearer {token}"}

    async def fetch_policy(self, number: int, version: str = "") -> dict[str, Any]:
        """As the agent of a cluster."""
        token = assertion.mint(
            self.agent_key, subject=self.cluster_id(number), audience=URL, now=_now()
        )
        answer = await self.client.post(
            "/agent/v1/policy",
            json={"version": version},
            headers={"authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        return answer.json() if answer.content else {}


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


@asynccontextmanager
async def populated(size: Size, folder: Path) -> AsyncIterator[Population]:
    keys = folder / "signing-keys"
    keys.mkdir(parents=True)
    write_private(keys / "first.pem", RSAKey.generate_key(2048).as_pem(private=True))
    made: list[Population] = []
    control = ControlPlane(
        Settings(
            url=parse_public_url(URL),
            tenant="11111111-2222-3333-4444-555555555555",
            subscription=SUBSCRIPTION,
            master=b"m" * 32,
            signing_keys=keys,
            database_url=f"sqlite+aiosqlite:///{folder / 'towrope.db'}",
            ca_certificate=b"",
        ),
        notify=lambda path, _kind: made[0].on_hint(path) if made else None,
    )
    await control.start()
    try:
        transport = httpx2.ASGITransport(app=control.asgi)
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
            population = Population(
                size=size, control=control, client=client, agent_key=ECKey.generate_key("P-256")
            )
            made.append(population)
            await _fill(population)
            yield population
    finally:
        await control.stop()


async def _fill(population: Population) -> None:
    size = population.size
    async with population.control.services.database.writing() as connection:
        for table, rows in (
            (tables.resource_groups, _resource_groups(size)),
            (tables.connected_clusters, _clusters(population)),
            (tables.users, _users(size)),
            (tables.groups, _groups(size)),
            (tables.group_members, _members(size)),
            (tables.role_assignments, _assignments(population)),
        ):
            await connection.execute(insert(table), list(rows))


def _resource_groups(size: Size) -> Iterator[dict[str, Any]]:
    for n in range(size.resource_groups):
        yield {"key": f"group-{n}", "name": f"group-{n}", "location": "local", "tags": {}}


def _clusters(population: Population) -> Iterator[dict[str, Any]]:
    public = population.agent_key.as_pem(private=False).decode()
    for n in range(population.size.clusters):
        yield {
            "group_key": f"group-{n % population.size.resource_groups}",
            "key": f"cluster-{n}",
            "name": f"cluster-{n}",
            "location": "local",
            "tags": {"site": str(n)},
            "identity_type": "SystemAssigned",
            "principal_id": guid(5, n),
            "properties": {"distribution": "k3s", "aadProfile": {"enableAzureRBAC": True}},
            "facts": {"kubernetesVersion": "1.37.0", "totalNodeCount": 3, "totalCoreCount": 12},
            "onboarding_public_key": "A" * 700,
            "agent_public_key": public,
            "created_ns": n,
            "hybrid_connection": f"path/{n}",
            "connectivity_status": "Connected",
            "last_connectivity": _NOW,
        }


def _users(size: Size) -> Iterator[dict[str, Any]]:
    ids = [READER_ID, FEW_ID, ADMINISTRATOR_ID, *(guid(_USER, n) for n in range(size.groups))]
    for object_id in ids:
        yield {
            "object_id": object_id,
            "key": f"{object_id}@bench.test",
            "user_principal_name": f"{object_id}@bench.test",
            "display_name": object_id,
            "account_enabled": True,
            "must_change_password": False,
            "valid_from": 0,
            "created": 0,
        }


def _groups(size: Size) -> Iterator[dict[str, Any]]:
    ids = [ADMINISTRATORS, *(guid(_GROUP, n) for n in range(size.groups))]
    for n, object_id in enumerate(ids):
        name = f"team-{n}"
        yield {
            "object_id": object_id,
            "key": name,
            "display_name": name,
            "mail_nickname": name,
            "created": 0,
        }


def _members(size: Size) -> Iterator[dict[str, Any]]:
    """Ten users in each group, and the first twenty groups in a chain."""
    yield _member(ADMINISTRATORS, ADMINISTRATOR_ID)
    for reader in (READER_ID, FEW_ID):
        yield _member(guid(_GROUP, 0), reader)
    for n in range(size.groups):
        for step in range(10):
            yield _member(guid(_GROUP, n), guid(_USER, (n + step) % size.groups))
    for n in range(1, min(20, size.groups)):
        yield _member(guid(_GROUP, n), guid(_GROUP, n - 1)) | {"member_kind": "Group"}


def _member(group: str, member: str) -> dict[str, Any]:
    return {"group_id": group, "member_id": member, "member_kind": "User"}


def _assignments(population: Population) -> Iterator[dict[str, Any]]:
    """Some that touch all clusters, the same number whatever the size; each cluster's own."""
    size, number = population.size, 0
    subscription = f"/subscriptions/{SUBSCRIPTION}"
    reader = _assignment(guid(6, 0), subscription, _ROLES["Reader"], READER_ID, "User")
    yield reader
    for n in range(min(20, size.clusters)):
        scope = population.cluster_id(n)
        yield _assignment(guid(7, n), scope, _ROLES["Reader"], FEW_ID, "User")
    for n in range(AT_SUBSCRIPTION):
        yield _granted(size, number := number + 1, subscription, n)
    for group in range(size.resource_groups):
        scope = f"{subscription}/resourceGroups/group-{group}"
        for n in range(AT_EACH_GROUP):
            yield _granted(size, number := number + 1, scope, group + n)
    while number < size.assignments:
        turn, cluster = divmod(number, size.clusters)
        scope = population.cluster_id(cluster) + ("/namespaces/web" if turn % 3 == 0 else "")
        yield _granted(size, number := number + 1, scope, 3 * cluster + turn)


def _granted(size: Size, number: int, scope: str, group: int) -> dict[str, Any]:
    """To a group, which is another one for each assignment of a scope."""
    role = _IN_CLUSTER[number % len(_IN_CLUSTER)]
    principal = guid(_GROUP, group % size.groups)
    return _assignment(guid(_ASSIGNMENT, number), scope, role, principal, "Group")


def _assignment(
    assignment_id: str, scope: str, role: RoleDefinition, principal: str, kind: str
) -> dict[str, Any]:
    return {
        "id": assignment_id,
        "scope": scope,
        "scope_key": role_assignments.key(Scope(path=scope)),
        "role_id": role.id,
        "principal_id": principal,
        "principal_kind": kind,
        "created_on": 0,
        "created_by": "",
        "updated_on": 0,
        "updated_by": "",
    }
