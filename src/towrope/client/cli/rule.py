"""`towrope relay hyco authorization-rule`: who may listen and send."""

from collections.abc import Callable
from typing import Any

import click

from towrope.client.cli.command import Words, command, confirm, group_option, yes_option
from towrope.client.cli.context import api_from_context
from towrope.client.cli.relay import namespace_option
from towrope.client.cli.resource_ids import ids_option
from towrope.client.output import flat
from towrope.client.rest import Json

COLUMNS = {"Name": "name", "ResourceGroup": "resourceGroup"}

_KIND = "Microsoft.Relay/namespaces/hybridConnections/authorizationRules"
_WHERE = "-g shops --namespace-name shop-relay --hybrid-connection-name printer"

_hybrid = click.option(
    "--hybrid-connection-name", required=True, help="The hybrid connection of the rule."
)
_name = click.option("-n", "--name", required=True, help="The authorization rule.")


def _scope(function: Callable[..., Any]) -> Callable[..., Any]:
    return group_option(namespace_option(_hybrid(function)))


@command(
    "create",
    example=f"towrope relay hyco authorization-rule create {_WHERE} -n send --rights Send",
    columns=COLUMNS,
)
@_scope
@_name
@click.option(
    "--rights",
    cls=Words,
    type=click.Choice(["Listen", "Send", "Manage"], case_sensitive=False),
    required=True,
    help="What it allows, separated by spaces. Manage needs the other two.",
)
def create(
    resource_group: str,
    namespace_name: str,
    hybrid_connection_name: str,
    name: str,
    rights: tuple[str, ...],
) -> Json:
    """Create an authorization rule."""
    with api_from_context() as api:
        return flat(
            api.put_rule(resource_group, namespace_name, hybrid_connection_name, name, rights)
        )


@command(
    "list",
    example=f"towrope relay hyco authorization-rule list {_WHERE}",
    columns=COLUMNS,
)
@_scope
def list_all(resource_group: str, namespace_name: str, hybrid_connection_name: str) -> list[Json]:
    """List the authorization rules of a hybrid connection."""
    with api_from_context() as api:
        rules = api.list_rules(resource_group, namespace_name, hybrid_connection_name)
        return [flat(rule) for rule in rules]


@command(
    "show",
    example=f"towrope relay hyco authorization-rule show {_WHERE} -n send",
    columns=COLUMNS,
)
@ids_option(_KIND, "namespace_name", "hybrid_connection_name", "name")
@_scope
@_name
def show(resource_group: str, namespace_name: str, hybrid_connection_name: str, name: str) -> Json:
    """Show an authorization rule."""
    with api_from_context() as api:
        return flat(api.get_rule(resource_group, namespace_name, hybrid_connection_name, name))


@command(
    "delete",
    example=f"towrope relay hyco authorization-rule delete {_WHERE} -n send --yes",
)
@ids_option(_KIND, "namespace_name", "hybrid_connection_name", "name")
@_scope
@_name
@yes_option
def delete(
    resource_group: str, namespace_name: str, hybrid_connection_name: str, name: str, yes: bool
) -> None:
    """Delete an authorization rule; its keys are worth nothing any more."""
    confirm(f"Delete the authorization rule '{name}'?", yes=yes)
    with api_from_context() as api:
        api.delete_rule(resource_group, namespace_name, hybrid_connection_name, name)


@command(
    "list",
    example=f"towrope relay hyco authorization-rule keys list {_WHERE} -n send"
    " --query primaryKey -o tsv",
)
@_scope
@_name
def list_keys(
    resource_group: str, namespace_name: str, hybrid_connection_name: str, name: str
) -> Json:
    """List the keys of an authorization rule. Whoever has one acts by the rule."""
    with api_from_context() as api:
        return api.list_keys(resource_group, namespace_name, hybrid_connection_name, name)
