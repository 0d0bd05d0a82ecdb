"""`towrope ad sp`: service principals, which are programs that sign in by themselves."""

import datetime

import click

from towrope.client.cli.ad_context import directory_from_context, filter_option
from towrope.client.cli.ad_credential import Wanted, credential_options, give
from towrope.client.cli.authorization_context import authorization_from_context
from towrope.client.cli.command import Words, command
from towrope.client.directory import Directory, equals, quoted, starts_with
from towrope.client.principals import Principal
from towrope.client.rest import Conflict, Json
from towrope.wire.errors import Hop

COLUMNS = {
    "DisplayName": "displayName",
    "AppId": "appId",
    "CreatedDateTime": "createdDateTime",
}
SHOWN = 100

_id = click.option(
    "--id", "name", metavar="ID", required=True, help="Its application id or object id."
)


@command(
    "create-for-rbac",
    example="""
    towrope ad sp create-for-rbac -n shop-deployer
    towrope ad sp create-for-rbac -n shop-deployer --create-cert
    towrope ad sp create-for-rbac -n shop-deployer --role Contributor --scopes $GROUP_ID
    """,
)
@click.option(
    "-n",
    "--name",
    "--display-name",
    "name",
    help="Its display name; else towrope-cli- and the time. One that is there gets a new credential"
    " in place of those that it has.",
)
@credential_options
@click.option("--role", metavar="NAME_OR_ID", help="A role that it gets at each of --scopes.")
@click.option("--scopes", cls=Words, metavar="ID...", help="Where, separated by spaces.")
def create_for_rbac(
    name: str | None, wanted: Wanted, role: str | None, scopes: tuple[str, ...]
) -> Json:
    """Create a service principal with a credential, which is shown this once."""
    if bool(role) is not bool(scopes):
        raise click.UsageError("A role holds somewhere: give both of --role and --scopes.")
    now = datetime.datetime.now(datetime.UTC)
    display_name = name or f"towrope-cli-{now:%Y-%m-%d-%H-%M-%S}"
    with authorization_from_context() as authorization:
        # A slip in the role leaves nothing behind.
        roles = [(authorization.find_role(role, each), each) for each in scopes] if role else []
        directory = authorization.directory
        principal = _existing(directory, display_name) if name else None
        if principal is None:
            principal = directory.create_service_principal(display_name)
        holder = Principal(object_id=principal["id"], kind="ServicePrincipal")
        for definition, scope in roles:
            authorization.create_assignment(role=definition, principal=holder, scope=scope)
        return give(directory, principal, wanted, named=True)


def _existing(directory: Directory, name: str) -> Json | None:
    found = directory.list_service_principals([equals("displayName", name)])
    if len(found) > 1:
        raise Conflict(
            f"More than one service principal has the name '{name}'. Give another name, or use"
            " 'towrope ad sp credential reset' with the one's application id.",
            hop=Hop.CLIENT,
        )
    if found:
        click.echo(f"'{name}' is there already; it gets a new credential.", err=True)
    return found[0] if found else None


@command("list", example="towrope ad sp list --display-name shop -o table", columns=COLUMNS)
@click.option("--all", "everything", is_flag=True, help=f"All, not only the first {SHOWN}.")
@click.option("--display-name", help="Those whose display name begins so.")
@click.option("--spn", metavar="APP_ID", help="The one with this application id.")
@filter_option
def list_all(
    everything: bool, display_name: str | None, spn: str | None, conditions: str | None
) -> list[Json]:
    """List service principals."""
    wanted = [conditions] if conditions else []
    wanted += [f"servicePrincipalNames/any(c:c eq {quoted(spn)})"] if spn else []
    wanted += [starts_with("displayName", display_name)] if display_name else []
    limit = None if everything or wanted else SHOWN + 1
    with directory_from_context() as directory:
        found = directory.list_service_principals(wanted, limit=limit)
    if limit is not None and len(found) == limit:
        click.echo(f"These are the first {SHOWN}; --all lists every one.", err=True)
        return found[:SHOWN]
    return found


@command("show", example="towrope ad sp show --id APP_ID --query id -o tsv", columns=COLUMNS)
@_id
def show(name: str) -> Json:
    """Show a service principal."""
    with directory_from_context() as directory:
        return directory.find_service_principal(name)


@command("delete", example="towrope ad sp delete --id APP_ID")
@_id
def delete(name: str) -> None:
    """Delete a service principal, with its application and its credentials."""
    with directory_from_context() as directory:
        directory.delete_service_principal(directory.find_service_principal(name)["id"])
