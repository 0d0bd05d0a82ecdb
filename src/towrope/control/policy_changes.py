"""Tells agents that what is assigned at their clusters changed: a hint, upon which they fetch."""

import re

from towrope.control.roles.scope import Scope
from towrope.control.services import Services
from towrope.control.store import clusters
from towrope.control.store.clusters import Position
from towrope.wire import agent_api
from towrope.wire.names import cluster_id

MANY = 200
"""Scopes beyond which all agents are told: a hint too many costs less than a long question."""

_GROUP = re.compile("/subscriptions/[^/]+/resourceGroups/(?P<group>[^/]+)", re.IGNORECASE)
_CLUSTER = re.compile(
    cluster_id("[^/]+", "(?P<group>[^/]+)", "(?P<name>[^/]+)") + "(/.*)?", re.IGNORECASE
)


async def announce(services: Services, *scopes: Scope) -> None:
    """To each cluster that lies in one of `scopes`, or that one of them lies in. Called once the
    change is durable.

    In a resource group and above, clusters whose own RBAC decides alone are left out; one that is
    named is told whatever its mode is, for that may be what changed.
    """
    named, groups = _concerned(scopes, subscription=services.settings.subscription)
    if not named and groups is not None and not groups:
        return
    async with services.database.reading() as connection:
        paths = await clusters.paths_to_tell(connection, named=named, groups=groups)
    for path in paths:
        services.notify(path, agent_api.POLICY)


def _concerned(
    scopes: tuple[Scope, ...], *, subscription: str
) -> tuple[set[Position], set[str] | None]:
    """Clusters, and resource groups; None: all resource groups."""
    ours = Scope(path=f"/subscriptions/{subscription}")
    named, groups = set[Position](), set[str]()
    everywhere = len(scopes) > MANY
    for scope in scopes:
        if scope.covers(ours):
            everywhere = True
        elif not ours.covers(scope):
            continue
        elif group := _GROUP.fullmatch(scope.path):
            groups.add(group["group"].lower())
        elif cluster := _CLUSTER.fullmatch(scope.path):
            named.add((cluster["group"].lower(), cluster["name"].lower()))
    return (named if len(named) <= MANY else set()), (None if everywhere else groups)
