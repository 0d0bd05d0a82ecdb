"""The server's directory as one account sees it: users, groups, service principals.

Synchronous, one call a method, over the server's Graph-like API. Objects come as its JSON, sorted
by their members' names, since the command line prints them whole.
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from urllib.parse import quote
from uuid import UUID

from towrope.client.paging import GRAPH_LINK, pages
from towrope.client.rest import Conflict, Json, Rest
from towrope.wire.errors import Hop, NotFound, Refused

V1 = "/v1.0"
NAMES_AT_ONCE = 1000
"""Objects that one request may ask for by their ids."""


class Directory:
    """It takes over `rest`, and closes it."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def __enter__(self) -> "Directory":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rest.close()

    # Users

    def get_signed_in_user(self) -> Json:
        return self._get("/me")

    def list_users(self, conditions: Sequence[str]) -> list[Json]:
        return list(self._pages("/users", conditions))

    def get_user(self, name: str) -> Json:
        return self._get(_path("users", name))

    def create_user(self, body: Json) -> Json:
        return self._post("/users", body)

    def update_user(self, name: str, body: Json) -> None:
        self._rest.json("PATCH", V1 + _path("users", name), body=body)

    def delete_user(self, name: str) -> None:
        self._rest.json("DELETE", V1 + _path("users", name))

    # Groups

    def list_groups(self, conditions: Sequence[str]) -> list[Json]:
        return list(self._pages("/groups", conditions))

    def get_group(self, group_id: str) -> Json:
        return self._get(_path("groups", group_id))

    def find_group(self, name: str) -> str:
        """The id of the group with that id, or that display name, or the one name that begins so.

        Raises `NotFound`, or `Conflict` where there are several.
        """
        if is_guid(name):
            return name
        for condition in (equals("displayName", name), starts_with("displayName", name)):
            found = self.list_groups([condition])
            if len(found) > 1:
                raise Conflict(
                    f"More than one group has the name '{name}'. Give the object id instead;"
                    " 'towrope ad group list' shows it.",
                    hop=Hop.CLIENT,
                )
            if found:
                group_id: str = found[0]["id"]
                return group_id
        raise NotFound(
            f"No group has the name '{name}'. 'towrope ad group list' shows those that there are.",
            hop=Hop.SERVER,
        )

    def create_group(self, body: Json) -> Json:
        return self._post("/groups", body)

    def delete_group(self, group_id: str) -> None:
        self._rest.json("DELETE", V1 + _path("groups", group_id))

    def list_members(self, group_id: str) -> list[Json]:
        return list(self._pages(_path("groups", group_id, "members"), ()))

    def add_member(self, group_id: str, member_id: str) -> None:
        reference = f"{self._rest.server}{V1}{_path('directoryObjects', member_id)}"
        path = _path("groups", group_id, "members", "$ref")
        self._post(path, {"@odata.id": reference})

    def remove_member(self, group_id: str, member_id: str) -> None:
        self._rest.json("DELETE", V1 + _path("groups", group_id, "members", member_id, "$ref"))

    def is_member(self, group_id: str, member_id: str) -> bool:
        """Through other groups too."""
        path = _path("directoryObjects", member_id, "checkMemberGroups")
        found = self._post(path, {"groupIds": [group_id]}, repeatable=True)["value"]
        return group_id.lower() in found

    def list_member_groups(self, collection: str, name: str) -> list[Json]:
        """The ids and names of all groups that a user (or a group) is in, through others too."""
        path = _path(collection, name, "getMemberGroups")
        ids = self._post(path, {"securityEnabledOnly": False}, repeatable=True)["value"]
        names = {found["id"]: found["displayName"] for found in self.get_by_ids(ids)}
        return [{"displayName": names.get(each), "id": each} for each in ids]

    def get_by_ids(self, ids: Sequence[str]) -> list[Json]:
        """Objects of any kind; an id that nothing has is left out."""
        found: list[Json] = []
        for start in range(0, len(ids), NAMES_AT_ONCE):
            body = {"ids": ids[start : start + NAMES_AT_ONCE]}
            found += self._post("/directoryObjects/getByIds", body, repeatable=True)["value"]
        return found

    # Service principals, and their applications

    def list_service_principals(
        self, conditions: Sequence[str], *, limit: int | None = None
    ) -> list[Json]:
        found: list[Json] = []
        for each in self._pages("/servicePrincipals", conditions):
            if len(found) == limit:
                break
            found.append(each)
        return found

    def find_service_principal(self, name: str) -> Json:
        """By application id or object id. Raises `NotFound`."""
        found = self.list_service_principals([f"servicePrincipalNames/any(c:c eq {quoted(name)})"])
        if found:
            name = found[0]["id"]
        elif not is_guid(name):
            raise NotFound(
                f"There is no service principal '{name}'. Give its application id or object id;"
                " 'towrope ad sp list' shows both.",
                hop=Hop.SERVER,
            )
        return self._get(_path("servicePrincipals", name))

    def create_service_principal(self, display_name: str) -> Json:
        """With its application."""
        application = self._post("/applications", {"displayName": display_name})
        return self._post("/servicePrincipals", {"appId": application["appId"]})

    def delete_service_principal(self, object_id: str) -> None:
        self._rest.json("DELETE", V1 + _path("servicePrincipals", object_id))

    def add_password(self, object_id: str, body: Json) -> Json:
        """The answer has the secret, as `secretText`, this once."""
        path = _path("servicePrincipals", object_id, "addPassword")
        return self._post(path, {"passwordCredential": body})

    def remove_password(self, object_id: str, key_id: str) -> None:
        self._post(_path("servicePrincipals", object_id, "removePassword"), {"keyId": key_id})

    def set_certificates(self, object_id: str, certificates: Sequence[Json]) -> None:
        path = V1 + _path("servicePrincipals", object_id)
        self._rest.json("PATCH", path, body={"keyCredentials": list(certificates)})

    # Requests

    def _get(self, path: str) -> Json:
        return _sorted(self._rest.json("GET", V1 + path))

    def _post(self, path: str, body: Json, *, repeatable: bool = False) -> Json:
        return _sorted(self._rest.json("POST", V1 + path, body=body, repeatable=repeatable))

    def _pages(self, path: str, conditions: Sequence[str]) -> Iterator[Json]:
        query = {"$filter": " and ".join(conditions)} if conditions else {}
        yield from map(_sorted, pages(self._rest, V1 + path, query, link=GRAPH_LINK))


def equals(name: str, text: str) -> str:
    return f"{name} eq {quoted(text)}"


def starts_with(name: str, text: str) -> str:
    return f"startswith({name},{quoted(text)})"


def quoted(text: str) -> str:
    """As OData has it in a filter: an apostrophe twice."""
    return "'" + text.replace("'", "''") + "'"


def is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _path(*segments: str) -> str:
    for segment in segments:
        if segment in ("", ".", ".."):
            raise Refused(f"'{segment}' names nothing here. Give another.", hop=Hop.CLIENT)
    return "".join("/" + quote(segment, safe="$@") for segment in segments)


def _sorted(value: Json) -> Json:
    return dict(sorted(value.items()))
