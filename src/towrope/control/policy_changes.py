"""Tells agents that what is assigned at their clusters changed: a hint, upon which they fetch."""

from towrope.control.cluster_selection import selected
from towrope.control.roles.scope import Scope
from towrope.control.services import Services
from towrope.control.store import clusters
from towrope.wire import agent_api


async def announce(services: Services, *scopes: Scope) -> None:
    """To each cluster that lies in one of `scopes`, or that one of them lies in. Called once the
    change is durable.

    In a resource group and above, clusters whose own RBAC decides alone are left out; one that is
    named is told whatever its mode is, for that may be what changed.
    """
    concerned = selected(scopes, subscription=services.settings.subscription)
    if concerned.is_empty:
        return
    async with services.database.reading() as connection:
        paths = await clusters.paths_to_tell(connection, concerned)
    for path in paths:
        services.notify(path, agent_api.POLICY)
