"""Role definitions and role assignments as one account sees them (`Microsoft.Authorization`).

Synchronous, one call a method; resources come as ARM's JSON objects.
"""

import difflib
import uuid
from collections.abc import Sequence
from types import TracebackType
from urllib.parse import quote

from towrope.client.directory import Directory, is_guid
from towrope.client.paging import ARM_LINK, pages
from towrope.client.principals import Principal
from towrope.client.profile import Account
from towrope.client.rest import Conflict, Json, Rest
from towrope.wire.errors import Hop, Malformed, NotFound, foreign

VERSION = "2022-04-01"
_PROVIDER = "providers/Microsoft.Authorization"
_NEAREST = 3


class Authorization:
    """It takes over `rest`, and closes it."""

    def __init__(self, rest: Rest, account: Account) -> None:
        self._rest = rest
        self.subscription = f"/subscriptions/{account.subscription_id}"
        """The widest scope that a command means where none is given."""
        self.directory = Directory(rest)

    def __enter__(self) -> "Authorization":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._rest.close()

    # Role definitions

    def list_roles(self, scope: str, *, below: bool = False) -> list[Json]:
        """Those that can be assigned at `scope`, and with `below` somewhere below it."""
        condition = "atScopeAndBelow()" if below else ""
        return self._list(_path(scope, "roleDefinitions"), condition)

    def find_role(self, name: str, scope: str, *, below: bool = False) -> Json:
        """By its name, without case, its GUID or its resource id. Raises `NotFound`."""
        roles = self.list_roles(scope, below=below)
        wanted = name.rstrip("/").rpartition("/roleDefinitions/")[2].lower()
        for role in roles:
            if wanted in (role["name"].lower(), role["properties"]["roleName"].lower()):
                return role
        raise _no_role(name, [role["properties"]["roleName"] for role in roles])

    def put_role(self, role_id: str, scope: str, properties: Json) -> Json:
        return self._put(_path(scope, "roleDefinitions", role_id), properties)

    def delete_role(self, role: Json) -> None:
        self._delete(role["id"])

    # Role assignments

    def list_assignments(self, scope: str, condition: str = "") -> list[Json]:
        """At `scope`, above it and below it; `condition` is an OData filter."""
        return self._list(_path(scope, "roleAssignments"), condition)

    def create_assignment(
        self,
        *,
        role: Json,
        principal: Principal,
        scope: str,
        name: str = "",
        description: str | None = None,
    ) -> Json:
        """The one that is there already is the answer too."""
        properties: Json = {"roleDefinitionId": role["id"], "principalId": principal.object_id}
        if principal.kind:
            properties["principalType"] = principal.kind
        if description is not None:
            properties["description"] = description
        try:
            return self._put(_path(scope, "roleAssignments", name or str(uuid.uuid4())), properties)
        except Conflict:
            found = self._find_assignment(role, principal, scope)
            if found is None:
                raise
            return found

    def _find_assignment(self, role: Json, principal: Principal, scope: str) -> Json | None:
        wanted = (scope_key(scope), role["name"].lower())
        held = self.list_assignments(scope, f"principalId eq '{principal.object_id}'")
        return next((each for each in held if (_scope_of(each), role_id(each)) == wanted), None)

    def delete_assignment(self, assignment_id: str) -> None:
        self._delete(assignment_id)

    def explain(self, scope: str, question: Json) -> Json:
        """Why a principal may, or may not, do something."""
        return self._rest.json(
            "POST",
            f"{_prefix(scope)}providers/Towrope.Authorization/explain",
            query={"api-version": VERSION},
            body=question,
            repeatable=True,
        )

    # Requests

    def _list(self, path: str, condition: str = "") -> list[Json]:
        query = {"api-version": VERSION}
        if condition:
            query["$filter"] = condition
        return list(pages(self._rest, path, query, link=ARM_LINK))

    def _put(self, path: str, properties: Json) -> Json:
        query, body = {"api-version": VERSION}, {"properties": properties}
        return self._rest.json("PUT", path, query=query, body=body)

    def _delete(self, resource_id: str) -> None:
        path = _prefix(resource_id).removesuffix("/")
        self._rest.json("DELETE", path, query={"api-version": VERSION})


def scope_key(scope: str) -> str:
    """Scopes are compared without case, and without a slash at the end."""
    return scope.rstrip("/").lower()


def covers(scope: str, other: str) -> bool:
    """Whether what is assigned at `scope` holds at `other`."""
    return f"{scope_key(other)}/".startswith(f"{scope_key(scope)}/")


def role_id(assignment: Json) -> str:
    """The GUID of the role that is assigned."""
    resource: str = assignment["properties"]["roleDefinitionId"]
    return resource.rpartition("/")[2].lower()


def _scope_of(assignment: Json) -> str:
    return scope_key(assignment["properties"]["scope"])


def _path(scope: str, *segments: str) -> str:
    return _prefix(scope) + "/".join((_PROVIDER, *(quote(each, safe="") for each in segments)))


def _prefix(scope: str) -> str:
    """A scope as the beginning of a path, each name one segment, with a slash at its end."""
    segments = scope.strip("/").split("/") if scope.strip("/") else []
    if not scope.startswith("/") or {"", ".", ".."} & set(segments):
        raise Malformed(
            f"'{foreign(scope)}' is no scope. Expected a resource id like"
            " /subscriptions/ID/resourceGroups/NAME, or / for the whole server.",
            hop=Hop.CLIENT,
        )
    return "/" + "".join(f"{quote(each, safe='')}/" for each in segments)


def _no_role(name: str, known: Sequence[str]) -> NotFound:
    if is_guid(name):
        said = f"No role has the id {name}."
    else:
        nearest = _nearest(name, known)
        meant = f" Did you mean {' or '.join(repr(each) for each in nearest)}?" if nearest else ""
        said = f"No role is called '{foreign(name)}' there.{meant}"
    return NotFound(
        f"{said} 'towrope role definition list -o table' shows the roles.", hop=Hop.SERVER
    )


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Roles that have all words of `name`, or words that are written nearly so."""
    words = name.lower().split()
    having = [each for each in known if words and all(word in each.lower() for word in words)]
    return (having or [each for each in known if _is_close(words, each)])[:_NEAREST]


def _is_close(words: Sequence[str], name: str) -> bool:
    there = name.lower().split()
    return bool(words) and all(difflib.get_close_matches(word, there) for word in words)
