"""Connected clusters: what is known of each, and how it is found and changed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    and_,
    cast,
    delete,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store.tables import connected_clusters as table
from towrope.control.store.tables import resource_groups
from towrope.wire.names import cluster_id

Position = tuple[str, str]
"""Where a list goes on: the keys of the resource group and of the cluster shown last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All clusters of some resource groups, and some that are named; keys in lower case."""

    groups: frozenset[str] | None = None
    """None: all groups."""
    named: frozenset[Position] = frozenset()

    @property
    def is_empty(self) -> bool:
        return self.groups == frozenset() and not self.named


ALL = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A connected cluster. `group` is its resource group's name as first given."""

    group: str
    name: str
    location: str
    tags: dict[str, str]
    identity_type: str
    principal_id: str
    kind: str | None
    properties: dict[str, Any]
    facts: dict[str, Any]
    onboarding_public_key: str
    agent_public_key: str | None
    ca_certificate: str | None
    created_ns: int
    hybrid_connection: str
    connectivity_status: str
    last_connectivity: int | None
    """Unix seconds of the agent's last sign of life."""

    @property
    def has_azure_rbac(self) -> bool:
        """Whether role assignments decide in the cluster (mode "rbac")."""
        profile = self.properties.get("aadProfile")
        return isinstance(profile, dict) and profile.get("enableAzureRBAC") is True


_RESOURCE_ID = re.compile(
    cluster_id("(?P<subscription>[^/]+)", "(?P<group>[^/]+)", "(?P<name>[^/]+)"), re.IGNORECASE
)
_COLUMNS = [c for c in table.columns if c.name not in ("key", "group_key")]


def _query() -> Select[Any]:
    return select(resource_groups.c.name.label("group"), *_COLUMNS).join_from(
        table, resource_groups
    )


def _cluster(row: Row[Any]) -> Cluster:
    return Cluster(**row._mapping)


async def find(connection: AsyncConnection, group: str, name: str) -> Cluster | None:
    where = (table.c.group_key == group.lower(), table.c.key == name.lower())
    row = (await connection.execute(_query().where(*where))).one_or_none()
    return _cluster(row) if row is not None else None


async def page(
    connection: AsyncConnection,
    *,
    group: str | None,
    among: Selection = ALL,
    after: Position | None,
    limit: int,
) -> Sequence[Cluster]:
    """At most `limit` clusters, of one resource group or of all, in the order of their keys."""
    query = _query().order_by(table.c.group_key, table.c.key).limit(limit)
    if group is not None:
        query = query.where(table.c.group_key == group.lower())
    if among.groups is not None:
        query = query.where(or_(_in_groups(among), _is_named(among)))
    if after is not None:
        query = query.where(tuple_(table.c.group_key, table.c.key) > after)
    return [_cluster(row) for row in await connection.execute(query)]


async def add(connection: AsyncConnection, cluster: Cluster) -> None:
    values = {c.name: getattr(cluster, c.name) for c in _COLUMNS}
    keys = {"group_key": cluster.group.lower(), "key": cluster.name.lower()}
    await connection.execute(insert(table).values(**values, **keys))


async def put(connection: AsyncConnection, cluster: Cluster) -> None:
    """Writes all of a cluster that is there."""
    await change(connection, cluster, **{c.name: getattr(cluster, c.name) for c in _COLUMNS})


async def change(connection: AsyncConnection, cluster: Cluster, **values: Any) -> None:
    """Sets columns of a cluster that is there."""
    where = (table.c.group_key == cluster.group.lower(), table.c.key == cluster.name.lower())
    await connection.execute(update(table).where(*where).values(**values))


async def remove(connection: AsyncConnection, cluster: Cluster) -> None:
    where = (table.c.group_key == cluster.group.lower(), table.c.key == cluster.name.lower())
    await connection.execute(delete(table).where(*where))


async def has_hybrid_connection(connection: AsyncConnection, path: str) -> bool:
    query = select(table.c.key).where(table.c.hybrid_connection == path.lower())
    return (await connection.execute(query)).first() is not None


async def set_presence(connection: AsyncConnection, path: str, *, status: str, seen: int) -> None:
    """Writes the connectivity status of the cluster with this hybrid connection, if any."""
    where = (table.c.hybrid_connection == path.lower(), table.c.connectivity_status != status)
    values = {"connectivity_status": status, "last_connectivity": seen}
    await connection.execute(update(table).where(*where).values(values))


async def set_all_present_to(connection: AsyncConnection, status: str, *, present: str) -> None:
    """For a start: what was `present` when the server stopped has no listener yet."""
    where = table.c.connectivity_status == present
    await connection.execute(update(table).where(where).values(connectivity_status=status))


async def paths_in(connection: AsyncConnection, group: str) -> Sequence[str]:
    """The hybrid connections of the clusters in a resource group."""
    query = select(table.c.hybrid_connection).where(table.c.group_key == group.lower())
    return list((await connection.execute(query)).scalars())


async def paths_to_tell(connection: AsyncConnection, among: Selection) -> Sequence[str]:
    """The hybrid connections of the clusters that are named, and in the groups of those with Azure
    RBAC."""
    where = or_(and_(_in_groups(among), _HAS_AZURE_RBAC), _is_named(among))
    return list(
        (await connection.execute(select(table.c.hybrid_connection).where(where))).scalars()
    )


def _in_groups(selection: Selection) -> ColumnElement[bool]:
    return true() if selection.groups is None else table.c.group_key.in_(selection.groups)


def _is_named(selection: Selection) -> ColumnElement[bool]:
    return tuple_(table.c.group_key, table.c.key).in_(selection.named)


_HAS_AZURE_RBAC = cast(
    table.c.properties[("aadProfile", "enableAzureRBAC")].as_string(), String
).in_(("1", "true"))
"""As `Cluster.has_azure_rbac`, or more: JSON's `true` is 1 to SQLite."""


async def find_by_id(
    connection: AsyncConnection, resource_id: str, *, subscription: str
) -> Cluster | None:
    """The cluster whose resource id this is, compared without case."""
    match = _RESOURCE_ID.fullmatch(resource_id)
    if match is None or match["subscription"].lower() != subscription.lower():
        return None
    return await find(connection, match["group"], match["name"])
