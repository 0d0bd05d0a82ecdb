"""`towrope connectedk8s delete`."""

from pathlib import Path

import click

from towrope.client.api import Api
from towrope.client.cli.command import (
    command,
    confirm,
    group_option,
    kubeconfig_options,
    name_option,
    no_wait_option,
    yes_option,
)
from towrope.client.cli.context import api_from_context
from towrope.client.cli.progress import progress
from towrope.client.cli.resource_ids import ids_option
from towrope.client.disconnection import (
    check_cluster_side,
    refuse_own_kubeconfig,
    remove_from_cluster,
)
from towrope.client.kubernetes import find_target, open_cluster
from towrope.wire.errors import NotFound
from towrope.wire.names import CLUSTER_TYPE


@command(
    "delete",
    example="""
    towrope connectedk8s delete -n shop-17 -g shops
    towrope connectedk8s delete -n shop-17 -g shops --force --yes
    """,
)
@ids_option(CLUSTER_TYPE, "name")
@name_option("connected cluster")
@group_option
@kubeconfig_options
@yes_option
@no_wait_option
@click.option(
    "--force",
    is_flag=True,
    help="Delete the server's resource only, for a cluster that is gone.",
)
def delete(
    name: str,
    resource_group: str,
    kube_config: Path | None,
    kube_context: str | None,
    yes: bool,
    no_wait: bool,
    force: bool,
) -> None:
    """Disconnect a cluster: delete its resource, and remove the agent from it."""
    with api_from_context() as api:
        if force:
            confirm(f"Delete '{name}', and leave its cluster as it is?", yes=yes)
            api.delete_cluster(resource_group, name, wait=not no_wait)
            return
        target = find_target(kube_config, kube_context)
        refuse_own_kubeconfig(target, "delete")
        with open_cluster(target) as client:
            check_cluster_side(client, target, resource_id=api.cluster_id(resource_group, name))
            confirm(f"Disconnect '{name}' (context '{target.context}')?", yes=yes)
            with progress() as tell:
                tell(f"Deleting {name} from the resource group {resource_group}")
                _delete_resource(api, resource_group, name, wait=not no_wait)
                tell("Removing the agent from the cluster")
                remove_from_cluster(client, wait=not no_wait)


def _delete_resource(api: Api, resource_group: str, name: str, *, wait: bool) -> None:
    """One that is gone already leaves the cluster's side to be removed."""
    try:
        api.delete_cluster(resource_group, name, wait=wait)
    except NotFound:
        return
