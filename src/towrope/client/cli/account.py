"""`towrope account`: who is signed in, and where."""

import datetime

import click

from towrope.client.cli.command import command
from towrope.client.cli.context import SUBSCRIPTION, account_from_context, api_from_context
from towrope.client.cli.sign_out import sign_out_and_say
from towrope.client.output import Columns
from towrope.client.profile import DEFAULT_CLOUD, Account, Folder, Profile
from towrope.client.rest import Json
from towrope.client.sessions import DEFAULT_SCOPE, AccessTokens, scope_of
from towrope.client.trust import context_for

COLUMNS: Columns = {
    "Name": "name",
    "User": "user.name",
    "Server": "server",
    "SubscriptionId": "id",
    "IsDefault": "isDefault",
}
LOCATION_COLUMNS: Columns = {
    "DisplayName": "displayName",
    "Name": "name",
    "RegionalDisplayName": "regionalDisplayName",
}


def described(account: Account, profile: Profile) -> Json:
    """An account as `az account show` prints it, and its server."""
    cloud = profile.cloud_of(account.server)
    shown = {
        "environmentName": cloud.name if cloud else DEFAULT_CLOUD,
        "homeTenantId": account.tenant_id,
        "id": account.subscription_id,
        "isDefault": account == profile.find(),
        "managedByTenants": [],
        "name": account.subscription_name,
        "server": account.server,
        "state": "Enabled",
        "tenantId": account.tenant_id,
        "user": {
            "name": account.name,
            "type": "user" if account.user else "servicePrincipal",
        },
    }
    return {**shown, "issuer": account.issuer_name} if account.issuer else shown


@command("show", example="towrope account show --query server -o tsv", columns=COLUMNS)
def show() -> Json:
    """Show the account in use."""
    folder = Folder()
    return described(account_from_context(folder), folder.load_profile())


@command("list", example="towrope account list -o table", columns=COLUMNS)
def list_all() -> list[Json]:
    """List the accounts that are signed in."""
    profile = Folder().load_profile()
    ordered = sorted(profile.accounts, key=lambda a: (a.server, a.subscription_name, a.name))
    return [described(account, profile) for account in ordered]


@command(
    "set",
    example="""
    towrope account set -s 0b1f6471-1bf0-4dda-aec3-cb9272f09590
    towrope account set --username alice@example.com
    """,
)
@click.option("--username", metavar="NAME", help="The account's user, or its application id.")
def set_default(username: str | None) -> None:
    """Choose the account to use, by its --subscription or its user."""
    if not username and not click.get_current_context().meta.get(SUBSCRIPTION):
        raise click.UsageError(
            "Name the account's --subscription or --username; 'towrope account list' shows both."
        )
    folder = Folder()
    account = account_from_context(folder, user=username or "")
    folder.change_profile(lambda profile: profile.with_default(account))


@command(
    "list-locations",
    example="towrope account list-locations -o table",
    columns=LOCATION_COLUMNS,
)
def list_locations() -> list[Json]:
    """List the locations in which resources can be kept."""
    with api_from_context() as api:
        return api.list_locations()


@command("clear", example="towrope account clear")
def clear() -> None:
    """Sign out of all accounts, and forget their secrets."""
    folder = Folder()
    for account in folder.load_profile().accounts:
        sign_out_and_say(folder, account)


@command(
    "get-access-token",
    example="""
    towrope account get-access-token --query accessToken -o tsv
    towrope account get-access-token --resource https://towrope.example.com
    """,
)
@click.option("--resource", help="Whom the token is for; else the server's API.")
@click.option("--scope", help="The scope of the token, instead of a resource.")
def get_access_token(resource: str | None, scope: str | None) -> Json:
    """Get a token for the server's API. Whoever has it acts as the account."""
    if resource and scope:
        raise click.UsageError("Give one of --resource and --scope, not both.")
    folder = Folder()
    account = account_from_context(folder)
    wanted = scope or (scope_of(resource.removesuffix(DEFAULT_SCOPE)) if resource else "")
    tls = context_for(account.server, folder)
    token = AccessTokens(account, folder=folder, tls=tls, scope=wanted).get_token()
    local = datetime.datetime.fromtimestamp(token.expires_on, datetime.UTC).astimezone()
    return {
        "accessToken": token.access_token,
        "expiresOn": local.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "expires_on": token.expires_on,
        "subscription": account.subscription_id,
        "tenant": account.tenant_id,
        "tokenType": "Bearer",
    }
