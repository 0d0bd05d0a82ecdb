"""`towrope connectedk8s enable-features` and `disable-features`."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from towrope.client.cli.command import (
    Function,
    Words,
    command,
    confirm,
    group_option,
    kubeconfig_options,
    name_option,
    yes_option,
)
from towrope.client.cli.context import api_from_context
from towrope.client.cli.progress import progress
from towrope.client.disconnection import check_cluster_side, refuse_own_kubeconfig
from towrope.client.features import disable_azure_rbac, enable_azure_rbac
from towrope.client.kubernetes import find_target, open_cluster
from towrope.client.output import CLUSTER_COLUMNS, flat
from towrope.client.rest import Json
from towrope.wire.errors import Hop, Refused


class Feature(StrEnum):
    """As Arc calls them."""

    CLUSTER_CONNECT = "cluster-connect"
    AZURE_RBAC = "azure-rbac"
    CUSTOM_LOCATIONS = "custom-locations"


Switch = Callable[..., Json]

_features = click.option(
    "--features",
    cls=Words,
    type=click.Choice([each.value for each in Feature], case_sensitive=False),
    required=True,
    help="Which, separated by spaces.",
)


def _options(function: Function) -> Function:
    return name_option("connected cluster")(
        group_option(_features(kubeconfig_options(yes_option(function))))
    )


@command(
    "enable-features",
    example="""
    towrope connectedk8s enable-features -n shop-17 -g shops --features azure-rbac
    """,
    columns=CLUSTER_COLUMNS,
)
@_options
def enable(features: tuple[str, ...], yes: bool, **where: Any) -> Json:
    """Enable features of a connected cluster. With azure-rbac, role assignments decide what people
    may do in it, beside its own RBAC."""
    wanted = _checked(features)
    if Feature.CLUSTER_CONNECT in wanted:
        click.echo("cluster-connect is always enabled.", err=True)
    if Feature.AZURE_RBAC in wanted:
        return _switched(enable_azure_rbac, "enable-features", **where)
    with api_from_context() as api:
        return flat(api.get_cluster(where["resource_group"], where["name"]))


@command(
    "disable-features",
    example="""
    towrope connectedk8s disable-features -n shop-17 -g shops --features azure-rbac --yes
    """,
    columns=CLUSTER_COLUMNS,
)
@_options
def disable(features: tuple[str, ...], yes: bool, **where: Any) -> Json:
    """Disable features of a connected cluster. With azure-rbac, what role assignments allow in it
    ends, and its own RBAC alone decides."""
    wanted = _checked(features)
    if Feature.CLUSTER_CONNECT in wanted:
        raise Refused(
            "cluster-connect cannot be disabled: a connected cluster is reached by nothing else."
            " 'towrope connectedk8s delete' disconnects it.",
            hop=Hop.CLIENT,
        )
    confirm(f"Disable Azure RBAC of '{where['name']}'? Whoever is in by it is out.", yes=yes)
    return _switched(disable_azure_rbac, "disable-features", **where)


def _checked(features: Sequence[str]) -> set[Feature]:
    wanted = {Feature(each) for each in features}
    if Feature.CUSTOM_LOCATIONS in wanted:
        raise Refused(
            "Custom locations are not there yet, so custom-locations cannot be switched. Leave it"
            " out.",
            hop=Hop.CLIENT,
        )
    return wanted


def _switched(
    switch: Switch,
    verb: str,
    *,
    resource_group: str,
    name: str,
    kube_config: Path | None,
    kube_context: str | None,
) -> Json:
    """Both sides of the connected cluster at once: the server's resource, and the cluster."""
    target = find_target(kube_config, kube_context)
    refuse_own_kubeconfig(target, verb)
    with api_from_context() as api, open_cluster(target) as client, progress() as tell:
        resource_id = api.cluster_id(resource_group, name)
        check_cluster_side(client, target, resource_id=resource_id)
        return flat(switch(api, client, resource_group=resource_group, name=name, tell=tell))
