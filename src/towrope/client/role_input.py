"""A custom role as a user writes it: in `az`'s own shape, or as the commands print it."""

from pathlib import Path
from typing import Annotated

import msgspec

from towrope.client.rest import Json
from towrope.wire.errors import Hop, Malformed, NotFound, foreign

_Patterns = tuple[str, ...]


class _Permission(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    actions: _Patterns = ()
    not_actions: _Patterns = ()
    data_actions: _Patterns = ()
    not_data_actions: _Patterns = ()


class RoleInput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Members begin in lower case here; a user may write `Actions` as well."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    """The role's name; its GUID where `role_name` is there too."""
    role_name: str = ""
    description: str = ""
    assignable_scopes: tuple[str, ...] = ()
    permissions: tuple[_Permission, ...] = ()
    actions: _Patterns = ()
    not_actions: _Patterns = ()
    data_actions: _Patterns = ()
    not_data_actions: _Patterns = ()

    @property
    def display_name(self) -> str:
        return self.role_name or self.name

    def properties(self) -> Json:
        """As ARM takes them."""
        single = _Permission(
            actions=self.actions,
            not_actions=self.not_actions,
            data_actions=self.data_actions,
            not_data_actions=self.not_data_actions,
        )
        return {
            "roleName": self.display_name,
            "description": self.description,
            "type": "CustomRole",
            "permissions": msgspec.to_builtins(self.permissions or (single,)),
            "assignableScopes": list(self.assignable_scopes),
        }


def read_role(text: str) -> RoleInput:
    """From JSON, or from the file of `@FILE`, or of a path. Raises `Malformed` with the place."""
    content = text if text.lstrip().startswith("{") else _read(Path(text.removeprefix("@")))
    try:
        members = msgspec.json.decode(content, type=Json)
        lowered = {name[:1].lower() + name[1:]: value for name, value in members.items()}
        return msgspec.convert(lowered, RoleInput)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(
            f"The --role-definition is not as expected: {foreign(str(error))}. Expected an object"
            ' like {"Name": "Shop Reader", "Actions": [], "DataActions": ["Microsoft.Kubernetes'
            '/connectedClusters/pods/read"], "AssignableScopes": ["/subscriptions/ID"]}.',
            hop=Hop.CLIENT,
        ) from None


def _read(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise NotFound(
            f"Cannot read the --role-definition {foreign(str(path))}: {error.strerror}. Give JSON,"
            " or a file with it.",
            hop=Hop.CLIENT,
        ) from None
