"""`…/resources`: what is in a subscription or a resource group, whatever its type.

The resources are the connected clusters: all else is inside of something, or is a resource group.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control import resource_filter
from towrope.control.authority import listed
from towrope.control.operation import PAGED, Page, operation
from towrope.control.paging import page
from towrope.control.readable_clusters import readable_clusters
from towrope.control.resource_filter import Facts
from towrope.control.routing import GROUP, SUBSCRIPTION, arm_route, parameter
from towrope.control.services import Services
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
        is_chosen = resource_filter.asked(request)
        found = await readable_clusters(
            self._services, request, lambda cluster: is_chosen(_facts(cluster))
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
