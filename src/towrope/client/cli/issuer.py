"""`towrope issuer`: the OpenID providers whose people and programs may sign in."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from towrope.client.cli.command import Words, command, confirm, is_interactive, yes_option
from towrope.client.cli.context import rest_from_context
from towrope.client.issuers import Issuers
from towrope.client.output import flat
from towrope.client.rest import Json
from towrope.client.trust import read_authority

COLUMNS = {"Name": "name", "Kind": "kind", "Issuer": "issuer", "LastFetched": "lastFetched"}
SECRET_VARIABLE = "TOWROPE_GRAPH_CLIENT_SECRET"  # noqa: S105 - its name
SECRET_LIMIT = 4096

_name = click.option("-n", "--name", required=True, help="The trusted issuer.")


@command(
    "add",
    example="""
    towrope issuer add -n dex --issuer-url https://dex.example.com --audience towrope -c towrope
    towrope issuer add -n contoso --kind entra --tenant TENANT_ID --audience APP_ID -c APP_ID
    towrope issuer add -n contoso --kind entra --tenant TENANT_ID --audience APP_ID -c APP_ID --graph-client-id APP_ID < secret
    """,  # noqa: E501 - a command is one line
    columns=COLUMNS,
)
@_name
@click.option(
    "--kind",
    type=click.Choice(["oidc", "entra"], case_sensitive=False),
    default="oidc",
    show_default=True,
    help="What it is: any OpenID provider, or a Microsoft Entra tenant.",
)
@click.option(
    "--issuer-url",
    help="The issuer, as its tokens name it; for Entra, the authority of a national cloud.",
)
@click.option("-t", "--tenant", help="The id of the Entra tenant.")
@click.option(
    "--audience",
    "audiences",
    cls=Words,
    required=True,
    help="Whom it makes its tokens for, separated by spaces; one of them must be in a token.",
)
@click.option(
    "-c",
    "--client-id",
    default="",
    help="The public client that people sign in with. Without it nobody signs in by 'login'.",
)
@click.option("--scope", "scopes", cls=Words, help="What to ask for at sign-in.")
@click.option(
    "--username-claim",
    "username_claims",
    cls=Words,
    help="The claim that names the user; of several, the first that is there.",
)
@click.option("--groups-claim", help="The claim that lists the groups.")
@click.option(
    "--username-prefix",
    help="Before each user's name; else the issuer's name and a colon, for Entra nothing.",
)
@click.option("--groups-prefix", help="Before each group's name; else as for users.")
@click.option("--algorithm", "algorithms", cls=Words, help="The algorithms that it signs by.")
@click.option("--jwks-uri", help="Where its keys are, if that is on another host.")
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    help="The authority (PEM) of its certificate, where the system does not know it.",
)
@click.option(
    "--graph-client-id",
    help="The application that asks Microsoft Graph for the groups of those with more than fit into"
    f" a token. Its secret is read from standard input, or from {SECRET_VARIABLE}.",
)
@click.option("--graph-endpoint", help="Microsoft Graph in a national cloud.")
def add(name: str, **options: Any) -> Json:
    """Trust an issuer, or change one that is trusted."""
    properties = _properties(options)
    with closing(rest_from_context()) as rest:
        return _shown(Issuers(rest).put(name, properties))


@command("list", example="towrope issuer list -o table", columns=COLUMNS)
def list_all() -> list[Json]:
    """List the trusted issuers."""
    with closing(rest_from_context()) as rest:
        return [_shown(issuer) for issuer in Issuers(rest).list_all()]


@command("show", example="towrope issuer show -n dex", columns=COLUMNS)
@_name
def show(name: str) -> Json:
    """Show a trusted issuer, and what was last fetched from it."""
    with closing(rest_from_context()) as rest:
        return _shown(Issuers(rest).get(name))


@command("remove", example="towrope issuer remove -n dex --yes")
@_name
@yes_option
def remove(name: str, yes: bool) -> None:
    """Trust an issuer no more; its tokens are worth nothing from then on."""
    confirm(f"Remove the issuer '{name}'? Nobody can use its tokens any more.", yes=yes)
    with closing(rest_from_context()) as rest:
        Issuers(rest).remove(name)


def _properties(options: Json) -> Json:
    """What was given; the server knows what the rest is."""
    plain = {
        "kind": options["kind"],
        "issuerUrl": options["issuer_url"],
        "tenantId": options["tenant"],
        "audiences": list(options["audiences"]),
        "clientId": options["client_id"],
        "scopes": list(options["scopes"]),
        "usernameClaims": list(options["username_claims"]),
        "groupsClaim": options["groups_claim"],
        "algorithms": list(options["algorithms"]),
        "jwksUri": options["jwks_uri"],
        "caCertificate": _authority(options["ca_file"]),
        "graph": _graph(options["graph_client_id"], options["graph_endpoint"]),
    }
    given = {name: value for name, value in plain.items() if value}
    # An empty prefix is a choice.
    prefixes = {
        "usernamePrefix": options["username_prefix"],
        "groupsPrefix": options["groups_prefix"],
    }
    return given | {name: value for name, value in prefixes.items() if value is not None}


def _authority(path: Path | None) -> str:
    return "" if path is None else read_authority(path).decode()


def _graph(client_id: str | None, endpoint: str | None) -> Json:
    if client_id is None:
        if endpoint is not None:
            raise click.UsageError("Give --graph-client-id with --graph-endpoint.")
        return {}
    secret = _secret()
    known = {"clientId": client_id, "clientSecret": secret, "endpoint": endpoint}
    return {name: value for name, value in known.items() if value}


def _secret() -> str:
    """Empty: the one that the server has stays."""
    found = os.environ.get(SECRET_VARIABLE)
    if found:
        return found
    if is_interactive():
        prompt = "Secret of the application (empty: as it is)"
        asked: str = click.prompt(prompt, hide_input=True, err=True, default="", show_default=False)
        return asked
    return sys.stdin.readline(SECRET_LIMIT).strip("\r\n")


def _shown(issuer: Json) -> Json:
    """As `az` would: properties beside the name, and what was fetched beside those."""
    lifted = flat(issuer)
    lifted.pop("resourceGroup", None)
    discovered = lifted.pop("discovered", None) or {}
    names = discovered.get("issuers") or [""]
    added = {"issuer": names[-1], "lastFetched": discovered.get("lastFetched")}
    return dict(sorted({**lifted, **discovered, **added}.items()))
