"""`towrope role definition`: what roles there are, and roles of one's own."""

import uuid

import click

from towrope.client.authorization import Authorization
from towrope.client.cli.authorization_context import (
    authorization_from_context,
    chosen_scope,
    scope_options,
)
from towrope.client.cli.command import command
from towrope.client.directory import is_guid
from towrope.client.output import Columns, flat
from towrope.client.rest import Json
from towrope.client.role_input import RoleInput, read_role
from towrope.wire.errors import Hop, Refused, foreign

COLUMNS: Columns = {"Name": "roleName", "Type": "roleType"}
CUSTOM = "CustomRole"

_definition = click.option(
    "--role-definition",
    "text",
    required=True,
    metavar="JSON|@FILE",
    help='The role, as {"Name": …, "Actions": […], "DataActions": […], "AssignableScopes": […]}.',
)


@command(
    "list",
    example="""
    towrope role definition list -o table
    towrope role definition list --name "Azure Arc Kubernetes Viewer"
    towrope role definition list --custom-role-only --scope $CLUSTER_ID
    """,
    columns=COLUMNS,
)
@click.option("-n", "--name", help="The role's name, or its GUID.")
@scope_options
@click.option("--custom-role-only", is_flag=True, help="Only those that were made here.")
def list_all(
    name: str | None, scope: str | None, resource_group: str | None, custom_role_only: bool
) -> list[Json]:
    """List the roles that can be assigned at the subscription, or at --scope, and below."""
    with authorization_from_context() as authorization:
        where = chosen_scope(authorization, scope, resource_group) or authorization.subscription
        roles = [_described(each) for each in authorization.list_roles(where, below=True)]
    wanted = (name or "").lower()
    return [
        role
        for role in sorted(roles, key=lambda role: role["roleName"].lower())
        if wanted in ("", role["roleName"].lower(), role["name"].lower())
        and not (custom_role_only and role["roleType"] != CUSTOM)
    ]


@command(
    "show",
    example="""
    towrope role definition show --name "Azure Arc Kubernetes Viewer"
    towrope role definition show --id $ROLE_ID --query permissions
    """,
    columns=COLUMNS,
)
@click.option("-n", "--name", help="The role's name, or its GUID.")
@click.option("--id", "resource_id", help="The role's resource id.")
@scope_options
def show(
    name: str | None, resource_id: str | None, scope: str | None, resource_group: str | None
) -> Json:
    """Show a role."""
    wanted = name or resource_id
    if not wanted or (name and resource_id):
        raise click.UsageError("Give one of --name and --id.")
    with authorization_from_context() as authorization:
        where = chosen_scope(authorization, scope, resource_group) or authorization.subscription
        return _described(authorization.find_role(wanted, where, below=True))


@command(
    "create",
    example="""
    towrope role definition create --role-definition @shop-reader.json
    towrope role definition create --role-definition '{"Name": "Pod Reader", "DataActions": \
["Microsoft.Kubernetes/connectedClusters/pods/read"], "AssignableScopes": ["/subscriptions/ID"]}'
    """,
    columns=COLUMNS,
)
@_definition
def create(text: str) -> Json:
    """Create a role."""
    role = read_role(text)
    if not role.assignable_scopes:
        raise click.UsageError(
            'The role names no AssignableScopes: say where it may be given, such as "/".'
        )
    with authorization_from_context() as authorization:
        made = authorization.put_role(
            str(uuid.uuid4()), role.assignable_scopes[0], role.properties()
        )
        return _described(made)


@command(
    "update",
    example="towrope role definition update --role-definition @shop-reader.json",
    columns=COLUMNS,
)
@_definition
def update(text: str) -> Json:
    """Change a role, found by its id or its name; what is assigned by it changes at once."""
    role = read_role(text)
    with authorization_from_context() as authorization:
        known = _custom_role(authorization, _named(role), _first_scope(role, authorization))
        properties = role.properties()
        if not role.assignable_scopes:
            properties["assignableScopes"] = known["properties"]["assignableScopes"]
        where = properties["assignableScopes"][0]
        return _described(authorization.put_role(known["name"], where, properties))


@command(
    "delete",
    example="towrope role definition delete --name 'Pod Reader'",
)
@click.option("-n", "--name", required=True, help="The role's name, or its GUID.")
@scope_options
@click.option("--custom-role-only", is_flag=True, help="For az's sake: no other can be deleted.")
def delete(
    name: str, scope: str | None, resource_group: str | None, custom_role_only: bool
) -> None:
    """Delete a role that is assigned to nobody."""
    with authorization_from_context() as authorization:
        where = chosen_scope(authorization, scope, resource_group) or authorization.subscription
        authorization.delete_role(_custom_role(authorization, name, where))


def _custom_role(authorization: Authorization, name: str, scope: str) -> Json:
    role = authorization.find_role(name, scope, below=True)
    if role["properties"]["type"] != CUSTOM:
        raise Refused(
            f"'{foreign(name)}' is a built-in role, which stays as it is. Make one of your own with"
            " 'towrope role definition create'.",
            hop=Hop.CLIENT,
        )
    return role


def _named(role: RoleInput) -> str:
    """What says which role it is: its GUID where it has one."""
    return role.name if is_guid(role.name) else role.display_name


def _first_scope(role: RoleInput, authorization: Authorization) -> str:
    return role.assignable_scopes[0] if role.assignable_scopes else authorization.subscription


def _described(role: Json) -> Json:
    """As `az` prints it: two members are called `type`, and both are shown."""
    return dict(sorted({**flat(role), "roleType": role["properties"]["type"]}.items()))
