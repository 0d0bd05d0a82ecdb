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
from towrope.client.cli.sign_in import ask_person, authority_options, chosen_authority
from towrope.client.cli.sign_out import sign_out_and_say
from towrope.client.login import Person, ServicePrincipal, sign_in
from towrope.client.profile import Folder
from towrope.client.rest import Json
from towrope.client.secret_store import Credential
from towrope.wire.errors import Hop, TowropeError

SECRET_LIMIT = 4096
CERTIFICATE_LIMIT = 64 * 1024
SERVER_VARIABLE = "TOWROPE_SERVER"
SECRET_VARIABLE = "TOWROPE_CLIENT_SECRET"  # noqa: S105 - its name


@command(
    "login",
    example="""
    towrope login --server https://towrope.example.com
    towrope login --use-device-code
    towrope login --issuer contoso
    towrope login --service-principal -u APP_ID --server https://towrope.example.com
    towrope login --service-principal -u APP_ID -p - --server https://towrope.example.com < secret
    towrope login --service-principal -u APP_ID --certificate key-and-certificate.pem
    """,
    columns=COLUMNS,
)
@click.option("--use-device-code", is_flag=True, help="Sign in with a browser of another device.")
@click.option("--issuer", metavar="NAME", help="Sign in at another issuer that the server trusts.")
@click.option("--service-principal", is_flag=True, help="Sign in as a service principal.")
@click.option("-u", "--username", metavar="APP_ID", help="The service principal's application id.")
@click.option(
    "-p",
    "--password",
    metavar="SECRET|-",
    help="Its secret; '-' reads it from standard input. Other users of the machine see what stands"
    f" here, so leave it out: it is asked for, or taken from {SECRET_VARIABLE}.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="A file (PEM) with its private key and certificate, instead of a secret.",
)
@click.option("-t", "--tenant", help="The tenant's id; else the server's own.")
@click.option(
    "--server",
    envvar=SERVER_VARIABLE,
    show_envvar=True,
    help="The server's https:// address; else the one in use ('towrope cloud set').",
)
@authority_options
@click.option(
    "--allow-no-subscriptions",
    is_flag=True,
    help="Succeed where the server shows no subscription too.",
)
def login(server: str | None, allow_no_subscriptions: bool, **options: Any) -> list[Json]:
    """Sign in to a server, and make it the default.

    A browser opens, or a code is shown where there is none. Refresh tokens and secrets are kept in
    the system's keyring where the extra 'keyring' is installed and TOWROPE_KEYRING is not 'off',
    else in files of TOWROPE_CONFIG_DIR (~/.towrope) that only their owner reads.
    """
    _check(options)
    folder = Folder()
    address = _server(server, folder)
    ca = options["ca_file"], options["ca_fingerprint"]
    authority = chosen_authority(address, folder, *ca)
    accounts = sign_in(
        address,
        _who(options),
        authority=authority,
        folder=folder,
        allow_no_subscriptions=allow_no_subscriptions,
    )
    profile = folder.load_profile()
    return [described(account, profile) for account in accounts]


@command(
    "logout",
    example="""
    towrope logout
    towrope logout --username alice@example.com
    """,
)
@click.option("--username", metavar="NAME", help="The account, by its user; else the default one.")
def logout(username: str | None) -> None:
    """Sign out: end the sign-in at its issuer, and forget the account's secrets."""
    folder = Folder()
    sign_out_and_say(folder, account_from_context(folder, user=username or ""))


def _check(options: dict[str, Any]) -> None:
    """Refuses what does not belong together, before anything is sent."""
    as_application = options["service_principal"]
    if as_application and not options["username"]:
        raise click.UsageError("Give -u with the application id of the --service-principal.")
    if as_application and (options["use_device_code"] or options["issuer"]):
        raise click.UsageError(
            "--use-device-code and --issuer are for people, not for a --service-principal."
        )
    for name in ("username", "password", "certificate"):
        if options[name] and not as_application:
            raise click.UsageError(
                f"--{name} goes with --service-principal; people sign in with a browser."
            )
    if options["password"] and options["certificate"]:
        raise click.UsageError("Give one of --password and --certificate, not both.")


def _who(options: dict[str, Any]) -> ServicePrincipal | Person:
    tenant = options["tenant"]
    if not options["service_principal"]:
        ask = ask_person(use_device_code=options["use_device_code"])
        return Person(ask=ask, tenant=tenant, issuer=options["issuer"] or "")
    if options["certificate"]:
        credential = Credential(certificate=_read_certificate(options["certificate"]))
    else:
        credential = Credential(client_secret=_secret(options["password"]))
    return ServicePrincipal(client_id=options["username"], credential=credential, tenant=tenant)


def _server(given: str | None, folder: Folder) -> str:
    if given:
        return normalize_server(given)
    server = folder.load_profile().server
    if not server:
        raise click.UsageError(
            f"No server is known yet: name it with --server https://HOST, or in {SERVER_VARIABLE}."
        )
    return server


def _read_certificate(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(CERTIFICATE_LIMIT)
    except OSError as error:
        raise TowropeError(
            f"Cannot read the --certificate {path}: {error.strerror}.", hop=Hop.CLIENT
        ) from None


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
