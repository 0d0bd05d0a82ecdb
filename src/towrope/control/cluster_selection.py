"""Which clusters have to do with some scopes: a selection that the store can make."""

import re
from collections.abc import Collection

from towrope.control.roles.scope import Scope
from towrope.control.store.clusters import Position, Selection
from towrope.wire.names import cluster_id

MANY = 200
"""Scopes beyond which all clusters are selected: some too many cost less than a long question."""

_GROUP = re.compile("/subscriptions/[^/]+/resourceGroups/(?P<group>[^/]+)", re.IGNORECASE)
_CLUSTER = re.compile(
    cluster_id("[^/]+", "(?P<group>[^/]+)", "(?P<name>[^/]+)") + "(/.*)?", re.IGNORECASE
)


def selected(scopes: Collection[Scope], *, subscription: str) -> Selection:
    """The clusters that lie in one of `scopes`, or that one of them lies in."""
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
    return Selection(
        groups=None if everywhere else frozenset(groups),
        named=frozenset(named if len(named) <= MANY else ()),
    )
