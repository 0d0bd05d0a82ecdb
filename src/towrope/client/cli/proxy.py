"""`towrope connectedk8s proxy`: kubectl to a connected cluster, from this machine."""

import asyncio
import binascii
import os
import re
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import click

from towrope.client import kubeconfig
from towrope.client.api import Api, ClusterUserCredential
from towrope.client.cli.command import command, group_option, name_option
from towrope.client.cli.context import api_from_context
from towrope.client.credential_plugin import plugin_for
from towrope.client.profile import Folder
from towrope.client.proxy.port import DEFAULT_PORT
from towrope.client.proxy.session import Voice, Wish, run
from towrope.client.sessions import AccessTokens, scope_of
from towrope.wire.errors import Forbidden, Hop, NotFound, TowropeError, foreign

TOKEN = re.compile(r"[!#-&(-~]+")
"""What an HTTP field carries unquoted; wider than RFC 6750 §2.1, as some distributions' tokens."""
TOKEN_LIMIT = 64 * 1024
CONNECTED = "Connected"


@command(
    "proxy",
    example="""
    towrope connectedk8s proxy -n shop-17 -g shops
    towrope connectedk8s proxy -n shop-17 -g shops --token-file token
    kubectl create token demo-user | towrope connectedk8s proxy -n shop-17 -g shops --token -
    towrope connectedk8s proxy -n shop-17 -g shops --token-file token --file - > kubeconfig
    """,
)
@name_option("connected cluster")
@group_option
@click.option(
    "--token",
    help="Service account token to use for authentication, '-' to read it from standard input;"
    " without one, kubectl acts as the account that is signed in."
    " Other users of this machine can see a token on a command line: prefer --token-file, '-' or"
    " the environment variable TOWROPE_TOKEN.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="A file that holds the service account token.",
)
@click.option("--kube-context", help="If specified, overwrite the default context name.")
@click.option(
    "--file",
    "-f",
    help="Kubernetes configuration file to update: the first of KUBECONFIG, else ~/.kube/config."
    " Use '-' to print YAML to standard output instead.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of 127.0.0.1 to listen on; 0 takes one that is free. Proxies for several clusters"
    " share one port.",
)
def proxy(
    name: str,
    resource_group: str,
    token: str | None,
    token_file: Path | None,
    kube_context: str | None,
    file: str | None,
    port: int,
) -> None:
    """Give kubectl access to a connected cluster.

    It listens on a local port, adds a context for the cluster to the kubeconfig and makes it the
    current one, and takes it out again when it is stopped. The context holds no secret: kubectl
    asks 'towrope get-token' for the credential of the signed-in account.
    """
    given = _given_token(token, token_file)
    bearer = check_token(given) if given is not None else None
    wish = Wish(
        port=port,
        file=_file(file),
        folder=Folder().path / "proxy",
        token=bearer,
        context=kube_context,
    )
    voice = Voice(
        output=lambda text: click.echo(text, nl=False),
        inform=lambda text: click.echo(text, err=wish.file is None),
        warn=lambda text: click.echo(text, err=True),
    )
    method = "Token" if bearer else "AAD"
    with api_from_context() as api:

        def fetch() -> ClusterUserCredential:
            return api.list_cluster_user_credential(
                resource_group, name, authentication_method=method
            )

        check_connected(api, resource_group, name)
        if bearer is None:
            cluster = api.cluster_id(resource_group, name)
            _bring_token(api, cluster)
            wish = replace(wish, plugin=plugin_for(api.account, cluster))
        credential = fetch()
        asyncio.run(
            run(wish, credential, lambda: asyncio.to_thread(fetch), tls=api.tls, voice=voice)
        )


def check_connected(api: Api, resource_group: str, name: str) -> None:
    """Raises `NotFound` unless the cluster exists and its agent is connected.

    The role that lets somebody reach a cluster does not let them read it; to them, the relay says
    whether the agent is there.
    """
    try:
        properties = api.get_cluster(resource_group, name).get("properties") or {}
    except Forbidden:
        return
    status = properties.get("connectivityStatus") or "Connecting"
    if status != CONNECTED:
        raise NotFound(
            "Cannot connect to the hybrid connection because no agent is connected in the target"
            f" arc resource: the status of '{name}' is {foreign(str(status))}. Check that the agent"
            " runs in the cluster ('kubectl get pods -n towrope') and can reach the server.",
            hop=Hop.AGENT,
        )


def _bring_token(api: Api, cluster_id: str) -> None:
    """So that the first kubectl finds one, and what stands in its way is said here and now."""
    scope = scope_of(cluster_id)
    AccessTokens(api.account, folder=Folder(), tls=api.tls, scope=scope).get_token()


def _file(file: str | None) -> Path | None:
    if file == "-":
        return None
    return Path(file).expanduser() if file else kubeconfig.default_path()


def _given_token(token: str | None, token_file: Path | None) -> str | None:
    if token is not None and token_file is not None:
        raise click.UsageError("Give the token with --token or with --token-file, not with both.")
    if token_file is not None:
        return _read_token(token_file)
    if token == "-":  # noqa: S105 - it stands for the standard input
        return sys.stdin.read(TOKEN_LIMIT + 1)
    return token if token is not None else os.environ.get("TOWROPE_TOKEN")


def _read_token(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(TOKEN_LIMIT + 1)
    except OSError as error:
        raise TowropeError(
            f"Cannot read the --token-file {path}: {error.strerror}.", hop=Hop.CLIENT
        ) from None


def check_token(text: str) -> str:
    """The token without space around it. Raises `click.UsageError`, which never shows it."""
    token = text.strip()
    if not token:
        raise click.UsageError("The token is empty. Check the command that should print it.")
    if len(token) > TOKEN_LIMIT or not TOKEN.fullmatch(token):
        raise click.UsageError(
            "The token is malformed: expected one word of printable ASCII, without quotes. Check"
            " that it was copied whole, and alone."
        )
    if _is_encoded_twice(token):
        raise click.UsageError(
            "The token is still base64-encoded, as it stands in its Secret. Decode it first:"
            " kubectl get secret NAME -o jsonpath='{.data.token}' | base64 --decode"
        )
    return token


def _is_encoded_twice(token: str) -> bool:
    try:
        return b64decode(token, validate=True).startswith(b"eyJ")
    except binascii.Error:
        return False
