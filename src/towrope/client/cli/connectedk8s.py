"""`towrope connectedk8s show|list|update`: what the server knows of connected clusters."""

import click
from click.core import ParameterSource

from towrope.client.cli.command import (
    command,
    group_filter_option,
    group_option,
    name_option,
    tags_option,
)
from towrope.client.cli.context import api_from_context
from towrope.client.cli.resource_ids import ids_option
from towrope.client.output import CLUSTER_COLUMNS, flat
from towrope.client.rest import Json
from towrope.wire.names import CLUSTER_TYPE


@command(
    "list",
    example="""
    towrope connectedk8s list -o table
    towrope connectedk8s list -g shops --query "[].{name:name, status:connectivityStatus}"
    """,
    columns=CLUSTER_COLUMNS,
)
@group_filter_option
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
@ids_option(CLUSTER_TYPE, "name")
@name_option("connected cluster")
@group_option
def show(name: str, resource_group: str) -> Json:
    """Show a connected cluster."""
    with api_from_context() as api:
        return flat(api.get_cluster(resource_group, name))


@command(
    "update",
    example="""
    towrope connectedk8s update -n shop-17 -g shops --tags team=tills floor=2
    towrope connectedk8s update --ids $CLUSTER_ID --tags ""
    """,
    columns=CLUSTER_COLUMNS,
)
@ids_option(CLUSTER_TYPE, "name")
@name_option("connected cluster")
@group_option
@tags_option
@click.pass_context
def update(context: click.Context, name: str, resource_group: str, tags: dict[str, str]) -> Json:
    """Change a connected cluster's tags, in place of those that it has."""
    if context.get_parameter_source("tags") is ParameterSource.DEFAULT:
        raise click.UsageError("There is nothing to change. Give --tags KEY=VALUE...", context)
    with api_from_context() as api:
        return flat(api.patch_cluster(resource_group, name, {"tags": tags}))
