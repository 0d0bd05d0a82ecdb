"""`towrope connectedk8s connect`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from towrope.client.cli.command import (
    command,
    group_option,
    is_interactive,
    kubeconfig_options,
    location_option,
    no_wait_option,
    tags_option,
)
from towrope.client.cli.context import api_from_context
from towrope.client.cli.progress import progress
from towrope.client.disconnection import refuse_own_kubeconfig
from towrope.client.kubernetes import find_target, open_cluster
from towrope.client.onboarding import (
    Wanted,
    check_server_side,
    new_onboarding_key,
    onboard,
    resource_body,
)
from towrope.client.output import CLUSTER_COLUMNS, flat
from towrope.client.preflight import check
from towrope.client.profile import Folder
from towrope.client.readiness import wait_until_connected
from towrope.client.rest import Json
from towrope.wire.names import CLUSTER_NAME

ONBOARDING_TIMEOUT = 1200


def _checked_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if CLUSTER_NAME.fullmatch(value) is None:
        raise click.BadParameter(
            "a connected cluster's name has 1 to 63 letters, digits, '-' and '_'.",
            context,
            parameter,
        )
    return value


@command(
    "connect",
    example="""
    towrope connectedk8s connect -n shop-17 -g shops
    towrope connectedk8s connect -n shop-17 -g shops --kube-context kind-shop --tags team=tills
    """,
    columns=CLUSTER_COLUMNS,
)
@click.option("-n", "--name", required=True, callback=_checked_name, help="The cluster's new name.")
@group_option
@kubeconfig_options
@location_option("Where it is kept; else the resource group's location.")
@tags_option
@no_wait_option
@click.option(
    "--onboarding-timeout",
    type=click.IntRange(min=1),
    default=ONBOARDING_TIMEOUT,
    show_default=True,
    help="Seconds to wait until the agent is connected.",
)
@click.option("--distribution", help="The kind of Kubernetes; else it is guessed.")
@click.option("--infrastructure", help="Where it runs; else it is guessed.")
@click.option("--agent-image", help="The agent's image.")
@click.option(
    "--agent",
    type=click.Choice(["pod", "local"]),
    default="pod",
    hidden=True,
    help="'local': install no Deployment, for 'towrope agent --kubeconfig' beside the cluster.",
)
@click.option("-y", "--yes", is_flag=True, help="Take over a resource of that name.")
def connect(
    name: str,
    resource_group: str,
    kube_config: Path | None,
    kube_context: str | None,
    **options: Any,
) -> Json:
    """Connect a cluster: register it, install the agent, and wait until it is connected."""
    wanted = Wanted(
        resource_group=resource_group,
        name=name,
        location=options["location"],
        tags=options["tags"],
        distribution=options["distribution"],
        infrastructure=options["infrastructure"],
        image=options["agent_image"],
        deploys_agent=options["agent"] == "pod",
    )
    target = find_target(kube_config, kube_context)
    refuse_own_kubeconfig(target, "connect")
    with api_from_context() as api, open_cluster(target) as client, progress() as tell:
        facts = check(client, resource_id=api.cluster_id(resource_group, name))
        group = check_server_side(api, wanted, facts, take_over=_asking(yes=options["yes"]))
        key = new_onboarding_key()
        resource = onboard(
            api,
            client,
            replace(wanted, impersonation=facts.impersonation),
            body=resource_body(wanted, facts, group=group, key=key),
            authority=Folder().load_authority(api.server),
            key=key,
            tell=tell,
        )
        if options["no_wait"]:
            return flat(resource)
        tell("Waiting until the agent is connected")
        return flat(
            wait_until_connected(
                api,
                client,
                resource_group=resource_group,
                name=name,
                within=options["onboarding_timeout"],
            )
        )


def _asking(*, yes: bool) -> Callable[[str], bool]:
    def take_over(name: str) -> bool:
        if yes or not is_interactive():
            return yes
        question = f"'{name}' is there already. Take it over for this cluster?"
        return click.confirm(question, err=True)

    return take_over
