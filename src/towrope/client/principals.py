"""Who is meant by an `--assignee`, as `az` finds it, and by what name people know a principal."""

from collections.abc import Sequence
from dataclasses import dataclass

from towrope.client.directory import Directory, is_guid, quoted
from towrope.client.rest import Json
from towrope.wire.errors import Forbidden, Hop, NotFound, foreign

TYPES = {
    "#microsoft.graph.user": "User",
    "#microsoft.graph.group": "Group",
    "#microsoft.graph.servicePrincipal": "ServicePrincipal",
}
"""Graph's names of kinds, and what a role assignment calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    object_id: str
    kind: str
    """`principalType` of a role assignment; empty where the directory does not know it."""


def find_principal(directory: Directory, assignee: str) -> Principal:
    """By a user's name, an application id or an object id. Raises `NotFound`."""
    if "@" in assignee:
        return _find_user(directory, assignee)
    named = f"servicePrincipalNames/any(c:c eq {quoted(assignee)})"
    for each in directory.list_service_principals([named]):
        return Principal(object_id=each["id"], kind="ServicePrincipal")
    if is_guid(assignee):
        return _find_object(directory, assignee)
    raise NotFound(
        f"'{foreign(assignee)}' is no user principal name, object id or application id. A group is"
        " named by its object id: see 'towrope ad group list -o table'.",
        hop=Hop.CLIENT,
    )


def _find_user(directory: Directory, name: str) -> Principal:
    try:
        return Principal(object_id=directory.get_user(name)["id"], kind="User")
    except NotFound:
        raise NotFound(
            f"There is no user '{foreign(name)}'. 'towrope ad user list -o table' shows those that"
            " there are; somebody of another issuer is named by --assignee-object-id with"
            " --assignee-principal-type.",
            hop=Hop.SERVER,
        ) from None


def _find_object(directory: Directory, object_id: str) -> Principal:
    for each in directory.get_by_ids([object_id]):
        return Principal(object_id=each["id"], kind=TYPES.get(each.get("@odata.type", ""), ""))
    raise NotFound(
        f"Nobody in the directory has the object id or application id {object_id}. Somebody of"
        " another issuer is named by --assignee-object-id with --assignee-principal-type.",
        hop=Hop.SERVER,
    )


def principal_names(directory: Directory, object_ids: Sequence[str]) -> dict[str, str]:
    """What `az` calls them: a user's name, an application id, a group's display name."""
    try:
        return {each["id"]: _name(each) for each in directory.get_by_ids(object_ids)}
    except Forbidden:
        # Who is not of the directory may not read it, and sees ids.
        return {}


def _name(found: Json) -> str:
    name: str = found.get("userPrincipalName") or found.get("appId") or found["displayName"]
    return name
