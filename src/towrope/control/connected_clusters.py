"""`Microsoft.Kubernetes/connectedClusters`: the resource itself. Credentials are elsewhere."""

import uuid
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import cluster_properties, fields, locations, policy_changes
from towrope.control.agent_keys import check_onboarding_key
from towrope.control.arm_error import (
    ArmError,
    group_not_found,
    invalid_name,
    resource_not_found,
)
from towrope.control.authority import allowed, listed
from towrope.control.json_body import answer, decode
from towrope.control.operation import PAGED, Page, operation
from towrope.control.operation_results import OperationResults
from towrope.control.paging import page
from towrope.control.presence import Connectivity
from towrope.control.readable_clusters import readable_clusters
from towrope.control.roles.scope import Scope
from towrope.control.routing import GROUP, SUBSCRIPTION, arm_route
from towrope.control.services import Services
from towrope.control.store import clusters as store
from towrope.control.store import resource_groups, role_assignments
from towrope.control.store.clusters import Cluster
from towrope.wire import names
from towrope.wire.errors import foreign

COLLECTION = f"/providers/{names.CLUSTER_TYPE}"
CLUSTER = f"{GROUP}{COLLECTION}/{{cluster}}"


class _WantedIdentity(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["None", "SystemAssigned"] = "SystemAssigned"


class _Identity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    type: str
    principal_id: str
    tenant_id: str


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    location: str = ""
    tags: fields.Tags | None = None
    identity: _WantedIdentity | None = None
    kind: Literal["ProvisionedCluster", "AWS"] | None = None
    properties: dict[str, Any] = {}


class _Patch(msgspec.Struct, frozen=True, kw_only=True):
    tags: fields.Tags | None = None
    properties: dict[str, Any] = {}


class _Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: str
    name: str
    type: str
    location: str
    tags: dict[str, str]
    identity: _Identity
    properties: dict[str, Any]
    kind: str | None = None


class ConnectedClusters:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._operations = OperationResults(services)

    def routes(self) -> list[Route]:
        return [
            arm_route(
                self._settings,
                SUBSCRIPTION + COLLECTION,
                get=listed(f"{names.CLUSTER_TYPE}/read", self._list),
            ),
            arm_route(
                self._settings,
                GROUP + COLLECTION,
                get=listed(f"{names.CLUSTER_TYPE}/read", self._list),
            ),
            arm_route(
                self._settings,
                CLUSTER,
                put=allowed(f"{names.CLUSTER_TYPE}/write", self._put),
                get=allowed(f"{names.CLUSTER_TYPE}/read", self._show),
                head=allowed(f"{names.CLUSTER_TYPE}/read", self._exists),
                patch=allowed(f"{names.CLUSTER_TYPE}/write", self._patch),
                delete=allowed(f"{names.CLUSTER_TYPE}/delete", self._delete),
            ),
        ]

    def _id(self, cluster: Cluster) -> str:
        return names.cluster_id(self._settings.subscription, cluster.group, cluster.name)

    def _answer(self, cluster: Cluster, *, status: int = HTTPStatus.OK) -> Response:
        return answer(self._shape(cluster), status=status)

    def _shape(self, cluster: Cluster) -> _Shape:
        return _Shape(
            id=self._id(cluster),
            name=cluster.name,
            type=names.CLUSTER_TYPE,
            location=cluster.location,
            tags=cluster.tags,
            kind=cluster.kind,
            identity=_Identity(
                type=cluster.identity_type,
                principal_id=cluster.principal_id,
                tenant_id=self._settings.tenant,
            ),
            properties=cluster_properties.shown(cluster),
        )

    @operation(_Body, {HTTPStatus.OK: _Shape, HTTPStatus.CREATED: _Shape})
    async def _put(self, request: Request) -> Response:
        group, name = request.path_params["group"], request.path_params["cluster"]
        if not names.CLUSTER_NAME.fullmatch(name):
            raise invalid_name(foreign(name), "1 to 63 letters, digits, '-' and '_'")
        body = await decode(request, _Body)
        wanted = self._new(group, name, body)
        async with self._services.database.writing() as connection:
            holder = await resource_groups.find(connection, group)
            if holder is None:
                raise group_not_found(foreign(group))
            there = await store.find(connection, group, name)
            if there is None:
                locations.check(self._settings, wanted.location, resource_type=names.CLUSTER_TYPE)
                made = replace(wanted, group=holder.name)
                await store.add(connection, made)
                created = self._answer(made, status=HTTPStatus.CREATED)
                return self._operations.created(request, created, location=made.location)
            kept = _replaced(there, by=wanted)
            await store.put(connection, kept)
        if kept.hybrid_connection != there.hybrid_connection:
            self._services.removed(there.hybrid_connection)
        await self._announce(there, kept)
        return self._answer(kept)

    def _new(self, group: str, name: str, body: _Body) -> Cluster:
        """The cluster that a PUT asks for, as if there were none. Raises `ArmError`."""
        key = body.properties.get("agentPublicKeyCertificate")
        created_ns = int(self._services.clock() * 1e9)
        resource_id = names.cluster_id(self._settings.subscription, group, name)
        return Cluster(
            group=group,
            name=name,
            location=fields.location(body.location),
            tags=body.tags or {},
            identity_type=body.identity.type if body.identity else "SystemAssigned",
            principal_id=str(uuid.uuid4()),
            kind=body.kind,
            properties=cluster_properties.settable(body.properties),
            facts={},
            onboarding_public_key=check_onboarding_key(key if isinstance(key, str) else ""),
            agent_public_key=None,
            ca_certificate=None,
            created_ns=created_ns,
            hybrid_connection=names.hybrid_connection(resource_id, created_ns=created_ns),
            connectivity_status=Connectivity.CONNECTING,
            last_connectivity=None,
        )

    @operation(None, {HTTPStatus.OK: _Shape})
    async def _show(self, request: Request) -> Response:
        async with self._services.database.reading() as connection:
            return self._answer(await find(connection, request))

    @operation(None, {HTTPStatus.NO_CONTENT: None})
    async def _exists(self, request: Request) -> Response:
        group, name = request.path_params["group"], request.path_params["cluster"]
        async with self._services.database.reading() as connection:
            cluster = await store.find(connection, group, name)
        return Response(
            status_code=HTTPStatus.NO_CONTENT if cluster is not None else HTTPStatus.NOT_FOUND
        )

    @operation(None, {HTTPStatus.OK: Page[_Shape]}, query=(*PAGED, "$top"))
    async def _list(self, request: Request) -> Response:
        found = await readable_clusters(self._services, request)
        shapes = [self._shape(cluster) for cluster in found.shown]
        return page(request, self._settings.url, shapes, last=found.last)

    @operation(_Patch, {HTTPStatus.OK: _Shape, HTTPStatus.ACCEPTED: None})
    async def _patch(self, request: Request) -> Response:
        body = await decode(request, _Patch)
        async with self._services.database.writing() as connection:
            cluster = await find(connection, request)
            changed = replace(
                cluster,
                tags=cluster.tags if body.tags is None else body.tags,
                properties=cluster_properties.changed(cluster.properties, body.properties),
            )
            await store.put(connection, changed)
        await self._announce(cluster, changed)
        return self._operations.changed(request, self._answer(changed))

    @operation(None, {HTTPStatus.OK: None, HTTPStatus.ACCEPTED: None, HTTPStatus.NO_CONTENT: None})
    async def _delete(self, request: Request) -> Response:
        group, name = request.path_params["group"], request.path_params["cluster"]
        async with self._services.database.writing() as connection:
            if await resource_groups.find(connection, group) is None:
                raise group_not_found(foreign(group))
            cluster = await store.find(connection, group, name)
            if cluster is None:
                return Response(status_code=HTTPStatus.NO_CONTENT)
            await store.remove(connection, cluster)
            await role_assignments.remove_below(connection, Scope(path=self._id(cluster)))
        self._services.removed(cluster.hybrid_connection)
        return self._operations.deleted(request, location=cluster.location)

    async def _announce(self, before: Cluster, after: Cluster) -> None:
        """Whether role assignments decide in a cluster is a part of its agent's policy."""
        if before.has_azure_rbac != after.has_azure_rbac:
            await policy_changes.announce(self._services, Scope(path=self._id(after)))


async def find(connection: AsyncConnection, request: Request) -> Cluster:
    """The cluster that a request's path names. Raises `ArmError` (404)."""
    group, name = request.path_params["group"], request.path_params["cluster"]
    cluster = await store.find(connection, group, name)
    if cluster is not None:
        return cluster
    if await resource_groups.find(connection, group) is None:
        raise group_not_found(foreign(group))
    raise resource_not_found(names.CLUSTER_TYPE, foreign(name), foreign(group))


def _replaced(there: Cluster, *, by: Cluster) -> Cluster:
    """`there` after a PUT. Another onboarding key connects it anew: the old agent is out."""
    if there.location != by.location:
        raise ArmError(
            HTTPStatus.CONFLICT,
            "InvalidResourceLocation",
            f"The resource '{there.name}' exists in location '{there.location}'; it cannot move.",
        )
    wanted = replace(by, group=there.group, name=there.name, principal_id=there.principal_id)
    if there.onboarding_public_key != by.onboarding_public_key:
        return wanted
    return replace(
        there,
        tags=wanted.tags,
        identity_type=wanted.identity_type,
        kind=wanted.kind,
        properties=wanted.properties,
    )
