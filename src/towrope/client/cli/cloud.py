"""`towrope cloud`: servers by name, as `az` knows clouds."""

from pathlib import Path

import click
import msgspec

from towrope.client import first_contact
from towrope.client.account import discover, normalize_server
from towrope.client.cli.command import command
from towrope.client.cli.sign_in import authority_options, chosen_authority
from towrope.client.profile import Cloud, Folder, Profile
from towrope.client.rest import Conflict, Json, Rest
from towrope.wire.errors import Hop, NotFound, foreign

COLUMNS = {"IsActive": "isActive", "Name": "name", "Server": "endpoints.resourceManager"}

_name = click.option("-n", "--name", required=True, help="The name of the cloud.")


def described(cloud: Cloud, profile: Profile) -> Json:
    """A cloud as `az cloud show` prints it."""
    return {
        "endpoints": {
            "activeDirectory": cloud.login_endpoint,
            "activeDirectoryResourceId": cloud.audience,
            "microsoftGraphResourceId": cloud.graph,
            "resourceManager": cloud.server,
        },
        "isActive": cloud.server == profile.server,
        "name": cloud.name,
        "profile": "latest",
        "suffixes": {},
    }


@command(
    "register",
    example="""
    towrope cloud register -n work --endpoint-resource-manager https://towrope.example.com
    """,
    columns=COLUMNS,
)
@_name
@click.option("--endpoint-resource-manager", "server", required=True, help="Its https:// address.")
@authority_options
def register(name: str, server: str, ca_file: Path | None, ca_fingerprint: str | None) -> Json:
    """Give a server a name."""
    folder = Folder()
    address = normalize_server(server)
    _check_free(folder.load_profile(), name, address)
    authority = chosen_authority(address, folder, ca_file, ca_fingerprint)
    rest = Rest(address, tls=first_contact.trusting(authority))
    try:
        found = discover(rest)
    finally:
        rest.close()
    cloud = Cloud(
        name=name,
        server=address,
        login_endpoint=found.authentication.login_endpoint,
        audience=found.authentication.audiences[0],
        graph=found.microsoft_graph_resource_id,
    )

    def added(profile: Profile) -> Profile:
        _check_free(profile, name, address)
        return msgspec.structs.replace(profile, clouds=(*profile.clouds, cloud))

    first_contact.remember(folder, address, authority)
    return described(cloud, folder.change_profile(added))


@command("set", example="towrope cloud set -n work")
@_name
def set_active(name: str) -> None:
    """Choose the server to use: what follows is done there, and 'towrope login' signs in to it."""

    def active(profile: Profile) -> Profile:
        return msgspec.structs.replace(profile, server=_find(profile, name).server)

    Folder().change_profile(active)


@command("list", example="towrope cloud list -o table", columns=COLUMNS)
def list_all() -> list[Json]:
    """List the servers that have a name."""
    profile = Folder().load_profile()
    return [described(cloud, profile) for cloud in profile.clouds]


@command(
    "show",
    example="""
    towrope cloud show
    towrope cloud show -n work --query endpoints.resourceManager -o tsv
    """,
    columns=COLUMNS,
)
@click.option("-n", "--name", help="The name of the cloud; else the one in use.")
def show(name: str | None) -> Json:
    """Show a server that has a name."""
    profile = Folder().load_profile()
    cloud = _find(profile, name) if name else profile.cloud_of(profile.server)
    if cloud is None:
        raise NotFound(
            "The server in use has no name. 'towrope cloud list' shows those that have.",
            hop=Hop.CLIENT,
        )
    return described(cloud, profile)


@command("unregister", example="towrope cloud unregister -n work")
@_name
def unregister(name: str) -> None:
    """Forget the name of a server. Accounts that are signed in to it stay."""
    folder = Folder()
    cloud = _find(folder.load_profile(), name)

    def without(profile: Profile) -> Profile:
        left = tuple(each for each in profile.clouds if each != cloud)
        return msgspec.structs.replace(profile, clouds=left)

    profile = folder.change_profile(without)
    if not any(each.server == cloud.server for each in profile.accounts):
        folder.forget_authority(cloud.server)


def _find(profile: Profile, name: str) -> Cloud:
    found = profile.cloud(name)
    if found is None:
        raise NotFound(
            f"No cloud is called '{foreign(name)}'. 'towrope cloud list' shows those that there"
            " are.",
            hop=Hop.CLIENT,
        )
    return found


def _check_free(profile: Profile, name: str, server: str) -> None:
    taken = profile.cloud(name) or profile.cloud_of(server)
    if taken is not None:
        raise Conflict(
            f"'{taken.name}' is registered already, for {taken.server}. Unregister it first, or"
            " use it.",
            hop=Hop.CLIENT,
        )
