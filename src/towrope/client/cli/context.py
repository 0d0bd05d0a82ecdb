"""From a command to the server that it is meant for: the signed-in account's `Api`."""

import click

from towrope.client.account import AccessTokens
from towrope.client.api import Api
from towrope.client.profile import Account, Folder
from towrope.client.rest import Rest
from towrope.client.trust import context_for
from towrope.wire.errors import Hop, Unauthenticated

SUBSCRIPTION = "towrope.subscription"
"""Where a command's `--subscription` stands in click's `Context.meta`."""


def account_from_context(folder: Folder) -> Account:
    """The account of `--subscription`, or the default one."""
    context = click.get_current_context(silent=True)
    wanted = context.meta.get(SUBSCRIPTION) if context else None
    profile = folder.load_profile()
    account = profile.find(wanted or "")
    if account is not None:
        return account
    if wanted and profile.accounts:
        raise Unauthenticated(
            f"No account here has the subscription '{wanted}'. 'towrope account list' shows those"
            " that there are.",
            hop=Hop.CLIENT,
        )
    raise Unauthenticated(
        "Nobody is signed in to a server. Run 'towrope login --service-principal -u APP_ID"
        " --server https://HOST'.",
        hop=Hop.CLIENT,
    )


def api_from_context() -> Api:
    """The API of the account that the command uses. Raises `Unauthenticated` where there is none.

    It works without a click context too (then it is the default account), and holds sockets: close
    it, or use it in a `with`.
    """
    folder = Folder()
    account = account_from_context(folder)
    tls = context_for(account.server, folder)
    tokens = AccessTokens(account, folder=folder, tls=tls)
    rest = Rest(account.server, tls=tls, token=tokens.get, refused=tokens.forget)
    return Api(rest, account)
