"""`towrope account`: who is signed in, and where."""

import datetime

import click

from towrope.client.account import AccessTokens
from towrope.client.cli.command import command
from towrope.client.cli.context import SUBSCRIPTION, account_from_context
from towrope.client.profile import Account, Folder
from towrope.client.rest import Json
from towrope.client.trust import context_for

COLUMNS = {
    "Name": "name",
    "Server": "server",
    "SubscriptionId": "id",
    "TenantId": "tenantId",
    "IsDefault": "isDefault",
}


def described(account: Account, *, default: str) -> Json:
    """An account as `az account show` prints it, and its server."""
    return {
        "environmentName": "Towrope",
        "id": account.subscription_id,
        "isDefault": account.subscription_id == default,
        "name": account.subscription_name,
        "server": account.server,
        "state": "Enabled",
        "tenantId": account.tenant_id,
        "user": {"name": account.client_id, "type": "servicePrincipal"},
    }


@command("show", example="towrope account show --query server -o tsv", columns=COLUMNS)
def show() -> Json:
    """Show the account in use."""
    folder = Folder()
    account = account_from_context(folder)
    return described(account, default=folder.load_profile().default)


@command("list", example="towrope account list -o table", columns=COLUMNS)
def list_all() -> list[Json]:
    """List the accounts that are signed in."""
    profile = Folder().load_profile()
    return [described(account, default=profile.default) for account in profile.accounts]


@command("set", example="towrope account set -s 0b1f6471-1bf0-4dda-aec3-cb9272f09590")
def set_default() -> None:
    """Choose the account to use, by its --subscription."""
    if not click.get_current_context().meta.get(SUBSCRIPTION):
        raise click.UsageError(
            "Name the account's --subscription; 'towrope account list' shows it."
        )
    folder = Folder()
    account = account_from_context(folder)
    folder.save_profile(folder.load_profile().with_default(account))


@command(
    "get-access-token",
    example="towrope account get-access-token --query accessToken -o tsv",
)
def get_access_token() -> Json:
    """Get a token for the server's API. Whoever has it acts as the account."""
    folder = Folder()
    account = account_from_context(folder)
    tokens = AccessTokens(account, folder=folder, tls=context_for(account.server, folder))
    token = tokens.get_token()
    local = datetime.datetime.fromtimestamp(token.expires_on, datetime.UTC).astimezone()
    return {
        "accessToken": token.access_token,
        "expiresOn": local.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "expires_on": token.expires_on,
        "subscription": account.subscription_id,
        "tenant": account.tenant_id,
        "tokenType": "Bearer",
    }
