"""A page of the connected clusters that a caller may read, for each list that has them."""

from collections.abc import Callable
from functools import partial

from starlette.requests import Request

from towrope.control.authority import visible, where_visible
from towrope.control.cluster_selection import selected
from towrope.control.filling import Filled, filled
from towrope.control.paging import position, size
from towrope.control.resource_groups import check_group
from towrope.control.services import Services
from towrope.control.store import clusters
from towrope.control.store.clusters import Cluster, Position
from towrope.wire import names

READ = f"{names.CLUSTER_TYPE}/read"


async def readable_clusters(
    services: Services, request: Request, is_chosen: Callable[[Cluster], bool] = lambda _: True
) -> Filled[Cluster, Position]:
    """Of the path's resource group, or of all; those that are chosen. Raises `ArmError`."""
    settings = services.settings
    group, after = request.path_params.get("group"), position(request, keys=2)
    is_readable = visible(request, READ)
    among = selected(where_visible(request, READ), subscription=settings.subscription)

    def is_shown(cluster: Cluster) -> bool:
        resource_id = names.cluster_id(settings.subscription, cluster.group, cluster.name)
        return is_chosen(cluster) and is_readable(resource_id)

    async with services.database.reading() as connection:
        if group is not None:
            await check_group(connection, request)
        return await filled(
            partial(clusters.page, connection, group=group, among=among),
            after=(after[0], after[1]) if after else None,
            size=size(request, settings.page_size),
            key=lambda cluster: (cluster.group.lower(), cluster.name.lower()),
            is_visible=is_shown,
        )
