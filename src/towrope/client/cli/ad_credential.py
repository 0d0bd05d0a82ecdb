"""`towrope ad sp credential`: the secrets and certificates of a service principal."""

import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from towrope.client.certificate import make_certificate, read_certificate, years_after
from towrope.client.cli.ad_context import directory_from_context
from towrope.client.cli.command import Function, command
from towrope.client.directory import Directory
from towrope.client.rest import Json
from towrope.wire.errors import Hop, NotFound

COLUMNS = {
    "DisplayName": "displayName",
    "KeyId": "keyId",
    "StartDateTime": "startDateTime",
    "EndDateTime": "endDateTime",
}
LONGEST_YEARS = 99
WARNING = (
    "The output holds a credential, which is not shown again. Keep it out of code, and of what is"
    " under version control."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which credential is to be made."""

    years: int
    create_cert: bool
    cert: str | None
    display_name: str | None = None


def credential_options(function: Function) -> Function:
    """`--years`, `--create-cert` and `--cert`, as one argument `wanted`."""

    @functools.wraps(function)
    def gathered(*, years: int, create_cert: bool, cert: str | None, **others: Any) -> Any:
        if create_cert and cert:
            raise click.UsageError("Give one of --create-cert and --cert, not both.")
        wanted = Wanted(years=years, create_cert=create_cert, cert=cert)
        return function(wanted=wanted, **others)

    options: list[Callable[[Function], Function]] = [
        click.option(
            "--years",
            type=click.IntRange(1, LONGEST_YEARS),
            default=1,
            show_default=True,
            help="How long it is good.",
        ),
        click.option(
            "--create-cert",
            is_flag=True,
            help="A key with a certificate in place of a secret, in a file of your home folder.",
        ),
        click.option(
            "--cert",
            metavar="PEM|@FILE",
            help="A certificate of yours in place of a secret, without its private key.",
        ),
    ]
    decorated: Function = gathered
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def give(
    directory: Directory,
    principal: Json,
    wanted: Wanted,
    *,
    append: bool = False,
    named: bool = False,
) -> Json:
    """Makes the credential, and then takes away those that there were, but for `append`."""
    result: Json = {"appId": principal["appId"], "password": None}
    if named:
        result["displayName"] = principal["displayName"]
    if wanted.create_cert or wanted.cert:
        result |= _give_certificate(directory, principal, wanted, append=append)
    else:
        result["password"] = _give_password(directory, principal, wanted)
    if not append:
        for each in principal["passwordCredentials"]:
            directory.remove_password(principal["id"], each["keyId"])
    if not wanted.cert:
        click.echo(WARNING, err=True)
    result["tenant"] = principal["appOwnerOrganizationId"]
    return dict(sorted(result.items()))


def _give_password(directory: Directory, principal: Json, wanted: Wanted) -> str:
    now = datetime.datetime.now(datetime.UTC)
    body = {"endDateTime": f"{years_after(now, wanted.years):%Y-%m-%dT%H:%M:%SZ}"}
    if wanted.display_name is not None:
        body["displayName"] = wanted.display_name
    secret: str = directory.add_password(principal["id"], body)["secretText"]
    return secret


def _give_certificate(
    directory: Directory, principal: Json, wanted: Wanted, *, append: bool
) -> Json:
    told: Json = {}
    if wanted.cert:
        credential = read_certificate(wanted.cert)
    else:
        credential, path = make_certificate(Path.home(), years=wanted.years)
        told["fileWithCertAndPrivateKey"] = str(path)
    if wanted.display_name is not None:
        credential["displayName"] = wanted.display_name
    kept = principal["keyCredentials"] if append else []
    directory.set_certificates(principal["id"], [*kept, credential])
    return told


_id = click.option(
    "--id", "name", metavar="ID", required=True, help="Its application id or object id."
)
_cert = click.option("--cert", "is_cert", is_flag=True, help="Certificates, in place of secrets.")


@command(
    "reset",
    example="""
    towrope ad sp credential reset --id APP_ID
    towrope ad sp credential reset --id APP_ID --append --years 2
    """,
)
@_id
@click.option("--append", is_flag=True, help="Keep those that there are.")
@click.option("--display-name", help="What the credential is called.")
@credential_options
def reset(name: str, append: bool, display_name: str | None, wanted: Wanted) -> Json:
    """Give a service principal a new credential, in place of those that it has."""
    named = Wanted(
        years=wanted.years,
        create_cert=wanted.create_cert,
        cert=wanted.cert,
        display_name=display_name,
    )
    with directory_from_context() as directory:
        return give(directory, directory.find_service_principal(name), named, append=append)


@command("list", example="towrope ad sp credential list --id APP_ID -o table", columns=COLUMNS)
@_id
@_cert
def list_all(name: str, is_cert: bool) -> list[Json]:
    """List the secrets of a service principal, or its certificates; never what they are."""
    with directory_from_context() as directory:
        found: list[Json] = directory.find_service_principal(name)[_member(is_cert)]
        return found


@command("delete", example="towrope ad sp credential delete --id APP_ID --key-id KEY_ID")
@_id
@click.option("--key-id", required=True, help="Which; 'towrope ad sp credential list' shows it.")
@_cert
def delete(name: str, key_id: str, is_cert: bool) -> None:
    """Take a credential from a service principal, and end what it signed in to."""
    with directory_from_context() as directory:
        principal = directory.find_service_principal(name)
        there = principal[_member(is_cert)]
        left = [each for each in there if each["keyId"] != key_id.lower()]
        if len(left) == len(there):
            raise NotFound(
                f"The service principal has no such credential: '{key_id}'. 'towrope ad sp"
                " credential list' shows those that it has.",
                hop=Hop.SERVER,
            )
        if is_cert:
            directory.set_certificates(principal["id"], left)
        else:
            directory.remove_password(principal["id"], key_id)


def _member(is_cert: bool) -> str:
    return "keyCredentials" if is_cert else "passwordCredentials"
