"""`towrope connectedk8s show|list`: what the server knows of connected clusters."""

import click

from towrope.client.cli.command import command, group_option, name_option
from towrope.client.cli.context import api_from_context
from towrope.client.output import CLUSTER_COLUMNS, flat
from towrope.client.rest import Json


@command(
    "list",
    example="""
    towrope connectedk8s list -o table
    towrope connectedk8s list -g shops --query "[].{name:name, status:connectivityStatus}"
    """,
    columns=CLUSTER_COLUMNS,
)
@click.option("-g", "--resource-group", help="The resource group; else all of them.")
def list_all(resource_group: str | None) -> list[Json]:
    """List connected clusters."""
    with api_from_context() as api:
        return [flat(cluster) for cluster in api.list_clusters(resource_group)]


@command(
    "show",
    example="""
    towrope connectedk8s show -n shop-17 -g shops
    towrope connectedk8s show -n shop-17 -g shops --query connectivityStatus -o tsv
    """,
    columns=CLUSTER_COLUMNS,
)
@name_option("connected cluster")
@group_option
def show(name: str, resource_group: str) -> Json:
    """Show a connected cluster."""
    with api_from_context() as api:
        return flat(api.get_cluster(resource_group, name))
