"""`towrope get-token`: the long way of the credential plugin, when no token is kept that lasts."""

import os
import sys
import time
from typing import Any

import click
import msgspec

from towrope.client.cli.command import command
from towrope.client.cli.sign_in import ask_person
from towrope.client.get_token import INFO_VARIABLE, api_version
from towrope.client.login import sign_in_again
from towrope.client.profile import Account, Folder, Profile
from towrope.client.rest import Json
from towrope.client.sessions import AccessTokens, SignInNeeded, scope_of
from towrope.client.trust import context_for
from towrope.wire.errors import Hop, foreign


class _Spec(msgspec.Struct, frozen=True, kw_only=True):
    interactive: bool = False


class _ExecInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What kubectl says about itself in KUBERNETES_EXEC_INFO."""

    spec: _Spec = _Spec()


@command(
    "get-token",
    example="""
    towrope get-token --cluster "$CLUSTER_ID"
    towrope get-token --cluster "$CLUSTER_ID" --server https://towrope.example.com --account alice
    """,
)
@click.option("--cluster", required=True, metavar="RESOURCE_ID", help="The connected cluster.")
@click.option("--server", help="The server's https:// address; else the one in use.")
@click.option("--account", help="The user, or the application id; else the account in use.")
@click.option("--issuer", help="Where the user signed in, if not at the server.")
def get_token(cluster: str, server: str | None, account: str | None, issuer: str | None) -> Json:
    """Print a token for a cluster, as kubectl takes it from its credential plugin.

    The kubeconfig of 'towrope connectedk8s proxy' runs it. Where somebody has to sign in, it says
    so; on a terminal it starts the sign-in. TOWROPE_CONFIG_DIR is where the accounts are kept.
    """
    if not cluster.startswith("/"):
        raise click.UsageError(
            "The --cluster is not a resource id. 'towrope connectedk8s show' prints it."
        )
    folder = Folder()
    found = _find(folder.load_profile(), server, account, issuer or "")
    tls = context_for(found.server, folder)
    tokens = AccessTokens(found, folder=folder, tls=tls, scope=scope_of(cluster))
    try:
        token = tokens.get_token()
    except SignInNeeded as needed:
        if not found.user or not _can_ask():
            raise
        click.echo(needed.message, err=True)
        sign_in_again(found, ask_person(use_device_code=False), folder=folder, tls=tls)
        token = tokens.get_token()
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.expires_on))
    return {
        "apiVersion": api_version(),
        "kind": "ExecCredential",
        "status": {"expirationTimestamp": until, "token": token.access_token},
    }


def _find(profile: Profile, server: str | None, user: str | None, issuer: str) -> Account:
    """The account that a kubeconfig names, or the one in use."""
    if server is None:
        found = profile.find("", user or "")
    else:
        there = msgspec.structs.replace(
            profile,
            server=server,
            accounts=tuple(
                each
                for each in profile.accounts
                if (each.server, each.issuer_name) == (server, issuer)
            ),
        )
        found = there.find("", user or "")
    if found is not None:
        return found
    who = foreign(user) if user else "Nobody"
    where = foreign(server or profile.server or "a server")
    login = f"towrope login --server {foreign(server or profile.server or 'https://HOST')}"
    login += f" --issuer {foreign(issuer)}" if issuer else ""
    raise SignInNeeded(
        f"{who} is {'not ' if user else ''}signed in to {where}. Run '{login}'.", hop=Hop.CLIENT
    )


def _can_ask() -> bool:
    """Whether kubectl left its terminal to us, and somebody is there."""
    try:
        info: Any = msgspec.json.decode(os.environ.get(INFO_VARIABLE, ""), type=_ExecInfo)
    except msgspec.DecodeError:
        return False
    return bool(info.spec.interactive) and sys.stdin.isatty() and sys.stderr.isatty()
