"""References to objects of the directory (`@odata.id`, `members@odata.bind`), and the objects.

A reference is a URL whose last segments are a collection and an object id; its host is not looked
at, as nothing is fetched from it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.graph.errors import bad_request, not_found
from towrope.control.graph.names import as_guid
from towrope.control.graph.objects import Kind, of_group, of_service_principal, of_user
from towrope.control.store import groups, service_principals, users
from towrope.control.store.groups import Member, MemberKind
from towrope.control.store.service_principals import ApplicationCredential
from towrope.wire.errors import foreign

BIND_LIMIT = 20
"""As in Graph."""
_URL = re.compile(
    r"https?://[^\s?#]+/v1\.0/(?:directoryObjects|users|groups|servicePrincipals)/(?P<id>[^/\s?#]+)",
    re.IGNORECASE,
)


def parse(url: str) -> str:
    """The object id that it refers to. Raises `ArmError` (400)."""
    found = _URL.fullmatch(url)
    object_id = as_guid(found["id"]) if found else None
    if object_id is None:
        raise bad_request(
            f"Invalid reference '{foreign(url)}': expected https://HOST/v1.0/directoryObjects/ID."
        )
    return object_id


def parse_all(urls: Sequence[str]) -> list[str]:
    if len(urls) > BIND_LIMIT:
        raise bad_request(f"At most {BIND_LIMIT} members can be named at once.")
    return list(dict.fromkeys(parse(url) for url in urls))


async def members(connection: AsyncConnection, object_ids: Sequence[str]) -> list[Member]:
    """Raises `ArmError` (404) for the first that is nothing that can be a member."""
    found = await load(connection, object_ids)
    for object_id in object_ids:
        if object_id not in found:
            raise not_found(object_id)
    return [Member(object_id=each, kind=_MEMBER_KINDS[found[each][0]]) for each in object_ids]


_MEMBER_KINDS = {
    Kind.USER: MemberKind.USER,
    Kind.GROUP: MemberKind.GROUP,
    Kind.SERVICE_PRINCIPAL: MemberKind.SERVICE_PRINCIPAL,
}

Loaded = Mapping[str, tuple[Kind, msgspec.Struct]]


async def load(
    connection: AsyncConnection,
    object_ids: Sequence[str],
    kinds: Iterable[Kind] = tuple(_MEMBER_KINDS),
    *,
    tenant: str = "",
) -> Loaded:
    """The objects of at most a thousand ids, with their kinds; what there is not is left out."""
    wanted = set(kinds)
    found: dict[str, tuple[Kind, msgspec.Struct]] = {}
    if Kind.USER in wanted:
        for user in await users.find_many(connection, object_ids):
            found[user.object_id] = (Kind.USER, of_user(user))
    if Kind.GROUP in wanted:
        for group in await groups.find_many(connection, object_ids):
            found[group.object_id] = (Kind.GROUP, of_group(group))
    if Kind.SERVICE_PRINCIPAL in wanted:
        principals = await service_principals.find_many(connection, object_ids)
        kept = await credentials_by_app_id(connection, [p.app_id for p in principals])
        for principal in principals:
            shape = of_service_principal(principal, kept.get(principal.app_id, ()), tenant=tenant)
            found[principal.object_id] = (Kind.SERVICE_PRINCIPAL, shape)
    return found


async def credentials_by_app_id(
    connection: AsyncConnection, app_ids: Sequence[str]
) -> Mapping[str, Sequence[ApplicationCredential]]:
    found: dict[str, list[ApplicationCredential]] = {}
    for each in await service_principals.credentials_of_many(connection, app_ids):
        found.setdefault(each.app_id, []).append(each)
    return found
