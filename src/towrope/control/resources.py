"""`…/resources`: what is in a subscription or a resource group, whatever its type.

The resources are the connected clusters: all else is inside of something, or is a resource group.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import resource_filter
from towrope.control.authority import listed, visible, where_visible
from towrope.control.cluster_selection import selected
from towrope.control.filling import filled
from towrope.control.operation import PAGED, Page, operation
from towrope.control.paging import page, position, size
from towrope.control.resource_filter import Facts
from towrope.control.resource_groups import check_group
from towrope.control.routing import GROUP, SUBSCRIPTION, arm_route, parameter
from towrope.control.services import Services
from towrope.control.store import clusters
from towrope.control.store.clusters import Cluster
from towrope.wire import names


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    name: str
    location: str
    tags: dict[str, str]
    type: str = names.CLUSTER_TYPE
    kind: str | UnsetType = UNSET
    created_time: datetime | UnsetType = UNSET
    provisioning_state: str | UnsetType = UNSET


class Resources:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            arm_route(
                self._settings,
                SUBSCRIPTION + "/resources",
                get=listed("Microsoft.Resources/subscriptions/resources/read", self._list),
            ),
            arm_route(
                self._settings,
                GROUP + "/resources",
                get=listed(
                    "Microsoft.Resources/subscriptions/resourceGroups/resources/read", self._list
                ),
            ),
        ]

    @operation(None, {HTTPStatus.OK: Page[_Shape]}, query=(*PAGED, "$filter", "$expand", "$top"))
    async def _list(self, request: Request) -> Response:
        group, after = request.path_params.get("group"), position(request, keys=2)
        is_chosen = resource_filter.asked(request)
        is_readable = visible(request, f"{names.CLUSTER_TYPE}/read")
        among = selected(
            where_visible(request, f"{names.CLUSTER_TYPE}/read"),
            subscription=self._settings.subscription,
        )
        async with self._services.database.reading() as connection:
            if group is not None:
                await check_group(connection, request)
            found = await filled(
                partial(clusters.page, connection, group=group, among=among),
                after=(after[0], after[1]) if after else None,
                size=size(request, self._settings.page_size),
                key=lambda cluster: (cluster.group.lower(), cluster.name.lower()),
                is_visible=lambda cluster: (
                    is_chosen(_facts(cluster)) and is_readable(self._id(cluster))
                ),
            )
        expanded = (parameter(request, "$expand") or "").lower().split(",")
        shapes = [self._shape(cluster, expanded) for cluster in found.shown]
        return page(request, self._settings.url, shapes, last=found.last)

    def _id(self, cluster: Cluster) -> str:
        return names.cluster_id(self._settings.subscription, cluster.group, cluster.name)

    def _shape(self, cluster: Cluster, expanded: Sequence[str]) -> _Shape:
        created = datetime.fromtimestamp(cluster.created_ns // 10**9, UTC)
        return _Shape(
            id=self._id(cluster),
            name=cluster.name,
            location=cluster.location,
            tags=cluster.tags,
            kind=cluster.kind or UNSET,
            created_time=created if "createdtime" in expanded else UNSET,
            provisioning_state="Succeeded" if "provisioningstate" in expanded else UNSET,
        )


def _facts(cluster: Cluster) -> Facts:
    return Facts(
        name=cluster.name,
        resource_type=names.CLUSTER_TYPE,
        resource_group=cluster.group,
        location=cluster.location,
        tags=cluster.tags,
    )
