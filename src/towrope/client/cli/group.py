"""`towrope group`: resource groups."""

import click

from towrope.client.cli.command import (
    command,
    confirm,
    location_option,
    no_wait_option,
    tags_option,
    yes_option,
)
from towrope.client.cli.context import api_from_context
from towrope.client.rest import Json

LOCATION = "local"
"""The one that every server has."""
COLUMNS = {"Name": "name", "Location": "location"}

_name = click.option(
    "-n", "-g", "--name", "--resource-group", "name", required=True, help="The resource group."
)


@command("create", example="towrope group create -n shops -l local", columns=COLUMNS)
@_name
@location_option(f"Where it is kept; else '{LOCATION}'.")
@tags_option
def create(name: str, location: str | None, tags: dict[str, str]) -> Json:
    """Create a resource group. One that is there keeps what is in it."""
    with api_from_context() as api:
        return api.put_resource_group(name, location=location or LOCATION, tags=tags)


@command("list", example="towrope group list -o table", columns=COLUMNS)
def list_all() -> list[Json]:
    """List the resource groups of the subscription."""
    with api_from_context() as api:
        return api.list_resource_groups()


@command("show", example="towrope group show -n shops", columns=COLUMNS)
@_name
def show(name: str) -> Json:
    """Show a resource group."""
    with api_from_context() as api:
        return api.get_resource_group(name)


@command("delete", example="towrope group delete -n shops --yes")
@_name
@yes_option
@no_wait_option
def delete(name: str, yes: bool, no_wait: bool) -> None:
    """Delete a resource group with everything in it."""
    confirm(f"Delete the resource group '{name}' and everything in it?", yes=yes)
    with api_from_context() as api:
        api.delete_resource_group(name, wait=not no_wait)
