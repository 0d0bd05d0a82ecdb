"""Paths of `Microsoft.Authorization`: below every scope that a role can be assigned at."""

import re
from http import HTTPStatus

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from towrope.control import connected_clusters
from towrope.control.arm_error import ArmError, group_not_found
from towrope.control.authority import Handler, allowed, listed
from towrope.control.roles.scope import ROOT, Scope
from towrope.control.routing import GROUP, SUBSCRIPTION
from towrope.control.settings import Settings
from towrope.control.store import resource_groups
from towrope.wire import names
from towrope.wire.errors import foreign

PROVIDER = "/providers/Microsoft.Authorization"
WIDE = ("", SUBSCRIPTION)
NARROW = (
    GROUP,
    connected_clusters.CLUSTER,
    connected_clusters.CLUSTER + "/namespaces/{namespace}",
    connected_clusters.CLUSTER
    + "/providers/Microsoft.KubernetesConfiguration/namespaces/{namespace}",
)
SCOPES = (*WIDE, *NARROW)

_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def guard(scope: str, action: str, handler: Handler) -> Handler:
    """Of a list: at a wide scope it is for everybody, and shows what `visible` lets it show."""
    return (listed if scope in WIDE else allowed)(action, handler)


async def named(connection: AsyncConnection, request: Request, settings: Settings) -> Scope:
    """The scope that a path names, in its own spelling. Raises `ArmError` (404) for none."""
    given = request.path_params
    if "subscription" not in given:
        return ROOT
    if "group" not in given:
        return Scope(path=f"/subscriptions/{settings.subscription}")
    if "cluster" not in given:
        group = await resource_groups.find(connection, given["group"])
        if group is None:
            raise group_not_found(foreign(given["group"]))
        return Scope(path=f"/subscriptions/{settings.subscription}/resourceGroups/{group.name}")
    cluster = await connected_clusters.find(connection, request)
    path = names.cluster_id(settings.subscription, cluster.group, cluster.name)
    return Scope(path=path + _namespace(given.get("namespace")))


def _namespace(name: str | None) -> str:
    if name is None:
        return ""
    # ARM compares without case; Kubernetes has lower case alone.
    if not _NAMESPACE.fullmatch(name.lower()):
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "InvalidScope",
            f"No namespace of Kubernetes can be named '{foreign(name)}': expected 1 to 63 letters,"
            " digits and '-', which is neither first nor last.",
        )
    return f"/namespaces/{name.lower()}"
