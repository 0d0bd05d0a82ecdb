"""`towrope relay hyco`: hybrid connections that are not clusters, as in `az relay`."""

from collections.abc import Callable
from typing import Any

import click

from towrope.client.cli.command import command, confirm, group_option, yes_option
from towrope.client.cli.context import api_from_context
from towrope.client.cli.resource_ids import ids_option
from towrope.client.output import flat
from towrope.client.rest import Json

COLUMNS = {"Name": "name", "ResourceGroup": "resourceGroup", "ListenerCount": "listenerCount"}

_KIND = "Microsoft.Relay/namespaces/hybridConnections"

namespace_option = click.option("--namespace-name", required=True, help="The relay's namespace.")
_name = click.option("-n", "--name", required=True, help="The hybrid connection.")


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    return group_option(namespace_option(_name(function)))


@command(
    "create",
    example="towrope relay hyco create -g shops --namespace-name shop-relay -n printer",
    columns=COLUMNS,
)
@_options
@click.option(
    "--requires-client-authorization",
    type=bool,
    default=True,
    show_default=True,
    help="Whether senders need a token.",
)
@click.option("--user-metadata", help="Any text that is kept with it.")
def create(
    resource_group: str,
    namespace_name: str,
    name: str,
    requires_client_authorization: bool,
    user_metadata: str | None,
) -> Json:
    """Create a hybrid connection."""
    properties: Json = {"requiresClientAuthorization": requires_client_authorization}
    if user_metadata is not None:
        properties["userMetadata"] = user_metadata
    with api_from_context() as api:
        return flat(api.put_hybrid_connection(resource_group, namespace_name, name, properties))


@command(
    "list",
    example="towrope relay hyco list -g shops --namespace-name shop-relay -o table",
    columns=COLUMNS,
)
@group_option
@namespace_option
def list_all(resource_group: str, namespace_name: str) -> list[Json]:
    """List hybrid connections."""
    with api_from_context() as api:
        return [flat(each) for each in api.list_hybrid_connections(resource_group, namespace_name)]


@command(
    "show",
    example="towrope relay hyco show -g shops --namespace-name shop-relay -n printer",
    columns=COLUMNS,
)
@ids_option(_KIND, "namespace_name", "name")
@_options
def show(resource_group: str, namespace_name: str, name: str) -> Json:
    """Show a hybrid connection."""
    with api_from_context() as api:
        return flat(api.get_hybrid_connection(resource_group, namespace_name, name))


@command(
    "delete",
    example="towrope relay hyco delete -g shops --namespace-name shop-relay -n printer --yes",
)
@ids_option(_KIND, "namespace_name", "name")
@_options
@yes_option
def delete(resource_group: str, namespace_name: str, name: str, yes: bool) -> None:
    """Delete a hybrid connection; its streams end."""
    confirm(f"Delete the hybrid connection '{name}'?", yes=yes)
    with api_from_context() as api:
        api.delete_hybrid_connection(resource_group, namespace_name, name)
