"""From a command to role definitions and role assignments, and what their commands share."""

from collections.abc import Callable

import click

from towrope.client.authorization import Authorization
from towrope.client.cli.command import Function
from towrope.client.cli.context import account_from_context, rest_of
from towrope.client.directory import is_guid
from towrope.client.principals import Principal, find_principal
from towrope.client.profile import Folder
from towrope.client.rest import Json

PRINCIPAL_TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup")


def authorization_from_context() -> Authorization:
    """As the account in use sees it; close it, or use it in a `with`."""
    folder = Folder()
    account = account_from_context(folder)
    return Authorization(rest_of(account, folder), account)


def scope_options(function: Function) -> Function:
    """`--scope` and `-g`. A default group is not used: where a role holds is said each time."""
    for option in (
        click.option("-g", "--resource-group", help="The resource group, in place of a scope."),
        click.option(
            "--scope",
            metavar="ID",
            help="The id of a cluster, group or subscription, a cluster's id with"
            " /namespaces/NAME, or / for the whole server.",
        ),
    ):
        function = option(function)
    return function


def assignee_options(function: Function) -> Function:
    for option in (
        click.option(
            "--assignee-object-id",
            metavar="ID",
            help="The object id, in place of --assignee: nobody is looked for.",
        ),
        click.option(
            "--assignee",
            metavar="NAME_OR_ID",
            help="A user's name, an object id, or an application id.",
        ),
    ):
        function = option(function)
    return function


def role_option(*, required: bool) -> Callable[[Function], Function]:
    return click.option(
        "--role", required=required, metavar="NAME_OR_ID", help="The role's name or id."
    )


def chosen_scope(
    authorization: Authorization, scope: str | None, resource_group: str | None
) -> str | None:
    """What the options name; None where none is given."""
    if scope and resource_group:
        raise click.UsageError("Give one of --scope and -g, not both.")
    if resource_group:
        return f"{authorization.subscription}/resourceGroups/{resource_group}"
    return scope


def chosen_principal(
    authorization: Authorization,
    assignee: str | None,
    object_id: str | None,
    kind: str | None = None,
) -> Principal | None:
    """Whom the options name; None where nobody is."""
    if assignee and object_id:
        raise click.UsageError("Give one of --assignee and --assignee-object-id, not both.")
    if object_id:
        if not is_guid(object_id):
            raise click.UsageError("--assignee-object-id is a GUID; --assignee takes names too.")
        return Principal(object_id=object_id.lower(), kind=kind or "")
    if not assignee:
        return None
    found = find_principal(authorization.directory, assignee)
    return Principal(object_id=found.object_id, kind=kind or found.kind)


def short_scope(row: Json) -> str:
    """Where something is assigned, as short as a person knows it by; `-o json` has the whole."""
    scope: str = row["scope"]
    segments = scope.strip("/").split("/")
    pairs = zip(segments[::2], segments[1::2], strict=False)
    names = [name for kind, name in pairs if kind.lower() not in ("subscriptions", "providers")]
    return "/".join(names) or scope
