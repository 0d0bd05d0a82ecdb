"""What a client asks for (`scope`), and for whom the access token is then made.

    SCOPE  = ITEM *(" " ITEM)
    ITEM   = openid | profile | email | offline_access
           | RESOURCE "/" PERMISSION, where PERMISSION is as a rule ".default"
           | a permission of Microsoft Graph by its bare name, which this server has too

One request names one resource at most. An access token is good there and nowhere else.
"""

import re
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.issuer.oauth_error import OAuthError
from towrope.control.settings import Settings
from towrope.control.store import clusters
from towrope.wire.errors import foreign
from towrope.wire.names import cluster_id

ARC_SERVER = "6256c85f-0aad-4d50-b960-e6e9b21efe35"
"""Arc's server application, for which the `connectedk8s` extension asks a token."""
SCOPE_LIMIT = 4096
OPENID, OFFLINE_ACCESS = "openid", "offline_access"
_OF_OPENID = frozenset({OPENID, "profile", "email", OFFLINE_ACCESS})
_DEFAULT = ".default"
_PERMISSION = re.compile(r"\.default|user_impersonation|[A-Z][A-Za-z]*(?:\.[A-Za-z]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`text` is as the client gave it, for clients look for it in the answer."""

    text: str
    resource: str | None
    """None: this server's own API."""
    openid: bool
    offline_access: bool
    is_default: bool
    """Whether the resource's permissions are asked for as a whole."""


def parse(text: str) -> Scope:
    """Raises `OAuthError` (`invalid_scope`)."""
    if len(text) > SCOPE_LIMIT:
        raise OAuthError("invalid_scope", 70011, "The scope is too long.")
    items = text.split()
    asked = [_resource_and_permission(item) for item in items if item not in _OF_OPENID]
    resources = {resource for resource, _ in asked}
    if len({(each or "").lower() for each in resources}) > 1:
        raise OAuthError(
            "invalid_scope", 28000, "The scope names more than one resource; ask for one at a time."
        )
    return Scope(
        text=text,
        resource=next(iter(resources), None),
        openid=OPENID in items,
        offline_access=OFFLINE_ACCESS in items,
        is_default=all(permission == _DEFAULT for _, permission in asked),
    )


def _resource_and_permission(item: str) -> tuple[str | None, str]:
    resource, _, permission = item.rpartition("/")
    if not _PERMISSION.fullmatch(permission):
        raise OAuthError(
            "invalid_scope",
            70011,
            f"The provided value '{foreign(item)}' for 'scope' is not valid; expected"
            " 'RESOURCE/.default'.",
        )
    return resource.rstrip("/") or None, permission


async def audience(connection: AsyncConnection, settings: Settings, scope: Scope) -> str:
    """`aud` of the access token. Raises `OAuthError` (`invalid_resource`)."""
    resource = scope.resource
    if resource is None or resource.lower() == str(settings.url).lower():
        return str(settings.url)
    if resource.lower() == ARC_SERVER:
        return ARC_SERVER
    cluster = await clusters.find_by_id(connection, resource, subscription=settings.subscription)
    if cluster is None:
        raise OAuthError(
            "invalid_resource",
            500011,
            f"The resource '{foreign(resource)}' was not found. Expected '{settings.url}' or the"
            " resource id of a connected cluster of this server.",
        )
    return cluster_id(settings.subscription, cluster.group, cluster.name)
