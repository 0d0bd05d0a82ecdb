"""`towrope login` and `towrope logout`."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from towrope.client.account import normalize_server
from towrope.client.cli.account import COLUMNS, described
from towrope.client.cli.command import command, is_interactive
from towrope.client.cli.context import account_from_context
from towrope.client.login import ServicePrincipal, choose_authority, sign_in, sign_out
from towrope.client.profile import Folder
from towrope.client.rest import Json

SECRET_LIMIT = 4096
SERVER_VARIABLE = "TOWROPE_SERVER"
SECRET_VARIABLE = "TOWROPE_CLIENT_SECRET"  # noqa: S105 - its name


@command(
    "login",
    example="""
    towrope login --service-principal -u APP_ID --server https://towrope.example.com
    towrope login --service-principal -u APP_ID -p - --server https://towrope.example.com < secret
    """,
    columns=COLUMNS,
)
@click.option("--service-principal", is_flag=True, help="Sign in as a service principal.")
@click.option("-u", "--username", metavar="APP_ID", help="The service principal's application id.")
@click.option(
    "-p",
    "--password",
    metavar="SECRET|-",
    help="Its secret; '-' reads it from standard input. Other users of the machine see what stands"
    f" here, so leave it out: it is asked for, or taken from {SECRET_VARIABLE}.",
)
@click.option("-t", "--tenant", help="The tenant's id; else the server's own.")
@click.option(
    "--server", envvar=SERVER_VARIABLE, show_envvar=True, help="The server's https:// address."
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    help="The authority (PEM) of the server's certificate, where the system does not know it.",
)
@click.option(
    "--ca-fingerprint",
    metavar="SHA256:HEX",
    help="The fingerprint of the authority that the server offers.",
)
def login(service_principal: bool, username: str | None, **options: Any) -> list[Json]:
    """Sign in to a server, and make it the default."""
    if not service_principal or not username:
        raise click.UsageError("Give --service-principal, and -u with its application id.")
    if options["ca_file"] and options["ca_fingerprint"]:
        raise click.UsageError("Give one of --ca-file and --ca-fingerprint, not both.")
    folder = Folder()
    server = _server(options["server"], folder)
    authority = choose_authority(
        server,
        folder,
        ca_file=options["ca_file"],
        ca_fingerprint=options["ca_fingerprint"],
        accept=_asking(server) if is_interactive() else None,
    )
    principal = ServicePrincipal(
        client_id=username,
        client_secret=_secret(options["password"]),
        tenant=options["tenant"],
    )
    accounts = sign_in(server, principal, authority=authority, folder=folder)
    default = folder.load_profile().default
    return [described(account, default=default) for account in accounts]


@command("logout", example="towrope logout")
def logout() -> None:
    """Sign out of the default account, and forget its secrets."""
    folder = Folder()
    sign_out(folder, account_from_context(folder))


def _server(given: str | None, folder: Folder) -> str:
    if given:
        return normalize_server(given)
    account = folder.load_profile().find()
    if account is None:
        raise click.UsageError(
            f"No server is known yet: name it with --server https://HOST, or in {SERVER_VARIABLE}."
        )
    return account.server


def _asking(server: str) -> Any:
    def accept(fingerprint: str) -> bool:
        click.echo(
            f"The certificate of {server} comes from an authority that is unknown here:\n"
            f"  {fingerprint}\n"
            "Compare it with what the server printed at its start.",
            err=True,
        )
        return click.confirm("Trust it for this server?", err=True)

    return accept


def _secret(given: str | None) -> str:
    secret = _read_secret() if given == "-" else given or os.environ.get(SECRET_VARIABLE)
    if not secret and given is None and is_interactive():
        secret = click.prompt("Secret", hide_input=True, err=True)
    if not secret:
        raise click.UsageError(
            f"The secret is missing: give it on standard input with -p -, or in {SECRET_VARIABLE}."
        )
    return secret


def _read_secret() -> str:
    """The first line of standard input, so that `echo` and files with a newline at the end work."""
    return sys.stdin.readline(SECRET_LIMIT).strip("\r\n")
