"""`towrope role assignment`: who has which role where."""

from typing import Any

import click

from towrope.client.authorization import Authorization, covers, role_id, scope_key
from towrope.client.cli.authorization_context import (
    PRINCIPAL_TYPES,
    assignee_options,
    authorization_from_context,
    chosen_principal,
    chosen_scope,
    role_option,
    scope_options,
    short_scope,
)
from towrope.client.cli.command import Words, command
from towrope.client.output import Columns, flat
from towrope.client.principals import Principal, principal_names
from towrope.client.rest import Json
from towrope.wire.errors import Hop, NotFound

COLUMNS: Columns = {
    "Principal": "principalName",
    "Role": "roleDefinitionName",
    "Scope": short_scope,
}


@command(
    "create",
    example="""
    towrope role assignment create --role "Azure Arc Kubernetes Viewer" \
--assignee ada@example.com --scope $CLUSTER_ID
    towrope role assignment create --role Reader --assignee-object-id $GROUP_ID \
--assignee-principal-type Group -g shops
    """,
    columns=COLUMNS,
)
@role_option(required=True)
@assignee_options
@click.option(
    "--assignee-principal-type",
    type=click.Choice(PRINCIPAL_TYPES, case_sensitive=False),
    help="What the assignee is; needed for somebody whom the directory does not know.",
)
@scope_options
@click.option("-n", "--name", metavar="GUID", help="The assignment's own name; else a new one.")
@click.option("--description", help="Why it is there.")
def create(role: str, name: str | None, description: str | None, **options: Any) -> Json:
    """Give somebody a role. One that is there already is shown."""
    with authorization_from_context() as authorization:
        scope = chosen_scope(authorization, options["scope"], options["resource_group"])
        if scope is None:
            raise click.UsageError("Say where it holds: --scope with a resource's id, or -g.")
        definition = authorization.find_role(role, scope)
        made = authorization.create_assignment(
            role=definition,
            principal=_required_principal(authorization, options),
            scope=scope,
            name=name or "",
            description=description,
        )
        return _described(authorization, [made])[0]


@command(
    "list",
    example="""
    towrope role assignment list --all -o table
    towrope role assignment list --assignee ada@example.com --scope $CLUSTER_ID \
--include-inherited --include-groups
    """,
    columns=COLUMNS,
)
@assignee_options
@role_option(required=False)
@scope_options
@click.option("--all", "everywhere", is_flag=True, help="In the whole subscription.")
@click.option("--include-inherited", is_flag=True, help="Those of the scopes above too.")
@click.option("--include-groups", is_flag=True, help="Those of the assignee's groups too.")
def list_all(**options: Any) -> list[Json]:
    """List role assignments: at the subscription, or where --scope or -g say."""
    with authorization_from_context() as authorization:
        return _described(authorization, _search(authorization, options))


@command(
    "delete",
    example="""
    towrope role assignment delete --role "Azure Arc Kubernetes Viewer" \
--assignee ada@example.com --scope $CLUSTER_ID
    towrope role assignment delete --ids $ASSIGNMENT_ID
    """,
)
@click.option("--ids", cls=Words, metavar="ID...", help="Ids of assignments, and nothing else.")
@assignee_options
@role_option(required=False)
@scope_options
@click.option("--include-inherited", is_flag=True, help="Those of the scopes above too.")
@click.option("-y", "--yes", is_flag=True, help="For az's sake: nothing is asked.")
def delete(ids: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Take roles away. What they allowed, running streams included, ends at once."""
    named = [name for name, value in options.items() if value]
    if ids and named:
        raise click.UsageError("Give --ids, or what the assignments are of; not both.")
    if not ids and not named:
        raise click.UsageError("Say which: --ids, --assignee, --role, --scope or -g.")
    with authorization_from_context() as authorization:
        wanted = ids or [each["id"] for each in _search(authorization, options)]
        if not wanted:
            raise NotFound(
                "No role assignment matches. 'towrope role assignment list --all -o table' shows"
                " those that there are.",
                hop=Hop.SERVER,
            )
        for each in wanted:
            authorization.delete_assignment(each)


def _required_principal(authorization: Authorization, options: Json) -> Principal:
    found = chosen_principal(
        authorization,
        options["assignee"],
        options["assignee_object_id"],
        options["assignee_principal_type"],
    )
    if found is None:
        raise click.UsageError("Say whose it is: --assignee, or --assignee-object-id.")
    return found


def _search(authorization: Authorization, options: Json) -> list[Json]:
    """As `az`: at one scope, with those above on request; everywhere with `--all`."""
    scope = chosen_scope(authorization, options["scope"], options["resource_group"])
    everywhere = options.get("everywhere", False)
    if everywhere and scope is not None:
        raise click.UsageError("Give --all, or where to look; not both.")
    principal = chosen_principal(authorization, options["assignee"], options["assignee_object_id"])
    scope = scope or authorization.subscription
    found = authorization.list_assignments(scope, _condition(principal, options))
    if not everywhere:
        inherited = options["include_inherited"]
        found = [each for each in found if _is_at(each, scope, include_inherited=inherited)]
    if options["role"]:
        role = authorization.find_role(options["role"], scope, below=True)["name"].lower()
        found = [each for each in found if role_id(each) == role]
    return found


def _condition(principal: Principal | None, options: Json) -> str:
    """What the server can leave out; the most of it comes first, for Azure combines no two."""
    if principal is None:
        return "" if options.get("everywhere") else "atScope()"
    if options.get("include_groups"):
        return f"assignedTo('{principal.object_id}')"
    return f"principalId eq '{principal.object_id}'"


def _is_at(assignment: Json, scope: str, *, include_inherited: bool) -> bool:
    found: str = assignment["properties"]["scope"]
    return covers(found, scope) if include_inherited else scope_key(found) == scope_key(scope)


def _described(authorization: Authorization, assignments: list[Json]) -> list[Json]:
    """With the names of roles and principals beside their ids, as `az` prints them."""
    if not assignments:
        return []
    roles = authorization.list_roles(authorization.subscription, below=True)
    role_names = {each["name"].lower(): each["properties"]["roleName"] for each in roles}
    ids = list(dict.fromkeys(each["properties"]["principalId"] for each in assignments))
    names = principal_names(authorization.directory, ids)
    described = [
        {
            **flat(each),
            "principalName": names.get(each["properties"]["principalId"], ""),
            "roleDefinitionName": role_names.get(role_id(each), ""),
        }
        for each in assignments
    ]
    return [dict(sorted(each.items())) for each in described]
