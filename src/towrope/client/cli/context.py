"""From a command to the server that it is meant for: the signed-in account's `Api`."""

from functools import partial

import click

from towrope.client.api import Api
from towrope.client.cli.progress import waiting
from towrope.client.profile import Account, Folder
from towrope.client.rest import Rest
from towrope.client.sessions import AccessTokens
from towrope.client.trust import context_for
from towrope.wire.errors import Hop, Unauthenticated, foreign

SUBSCRIPTION = "towrope.subscription"
"""Where a command's `--subscription` stands in click's `Context.meta`."""


def account_from_context(folder: Folder, *, user: str = "") -> Account:
    """The account of `--subscription` and of `user`, or the default one."""
    context = click.get_current_context(silent=True)
    wanted = (context.meta.get(SUBSCRIPTION) if context else None) or ""
    profile = folder.load_profile()
    account = profile.find(wanted, user)
    if account is not None:
        return account
    if (wanted or user) and profile.accounts:
        named = f"subscription '{foreign(wanted)}'" if wanted else f"user '{foreign(user)}'"
        raise Unauthenticated(
            f"No account here has the {named}. 'towrope account list' shows those that there are.",
            hop=Hop.CLIENT,
        )
    server = profile.server or "https://HOST"
    where = profile.server or "a server"
    raise Unauthenticated(
        f"Nobody is signed in to {where}. Run 'towrope login --server {server}'.", hop=Hop.CLIENT
    )


def rest_from_context() -> Rest:
    """Requests to the server as the account that the command uses; holds sockets: close it."""
    folder = Folder()
    return rest_of(account_from_context(folder), folder)


def api_from_context() -> Api:
    """The API of the account that the command uses. Raises `Unauthenticated` where there is none.

    It works without a click context too (then it is the default account), and holds sockets: close
    it, or use it in a `with`.
    """
    folder = Folder()
    account = account_from_context(folder)
    return Api(rest_of(account, folder), account)


def rest_of(account: Account, folder: Folder) -> Rest:
    """Requests to the account's server as that account; holds sockets: close it."""
    tls = context_for(account.server, folder)
    tokens = AccessTokens(account, folder=folder, tls=tls)
    return Rest(
        account.server,
        tls=tls,
        token=tokens.get,
        refused=tokens.forget,
        waiting=partial(waiting, f"Waiting for {account.server}"),
    )
