"""Azure RBAC for a connected cluster: role assignments become native RBAC there.

The agent needs rights of its own for that, which nobody but the cluster's administrator can give.
So they are given, and taken away, with the user's kubeconfig; the switch itself is the resource's.
"""

import time
from collections.abc import Callable
from functools import partial

from lightkube.core.client import Client

from towrope.client.api import Api
from towrope.client.kubernetes import FIELD_MANAGER, absent_as_none
from towrope.client.manifests import azure_rbac, azure_rbac_scoped
from towrope.client.policy_cleanup import policy_objects
from towrope.client.rest import Json
from towrope.wire.errors import Hop, TowropeError, Unreachable
from towrope.wire.policy_names import SELECTOR

REMOVED_WITHIN = 60.0
POLL_EVERY = 0.2

Tell = Callable[[str], None]


def enable_azure_rbac(
    api: Api, client: Client, *, resource_group: str, name: str, tell: Tell
) -> Json:
    """Where the switch is refused, the agent keeps no right for it."""
    was_on = _is_on(api.get_cluster(resource_group, name))
    tell("Giving the agent the rights to make roles and bindings")
    for each in azure_rbac():
        client.apply(each, field_manager=FIELD_MANAGER, force=True)
    tell(f"Switching Azure RBAC on for {name}")
    try:
        return _switch(api, resource_group, name, on=True)
    except TowropeError:
        if not was_on:
            _take_rights(client)
        raise


def disable_azure_rbac(
    api: Api, client: Client, *, resource_group: str, name: str, tell: Tell
) -> Json:
    """The agent removes what it made, and then loses the right to make more."""
    tell(f"Switching Azure RBAC off for {name}")
    resource = _switch(api, resource_group, name, on=False)
    tell("Waiting until the agent has removed its roles and bindings")
    _wait_until_removed(client)
    _take_rights(client)
    return resource


def _take_rights(client: Client) -> None:
    for kind, name in azure_rbac_scoped():
        absent_as_none(partial(client.delete, kind, name))


def _is_on(resource: Json) -> bool:
    profile = resource["properties"].get("aadProfile") or {}
    return profile.get("enableAzureRBAC") is True


def _switch(api: Api, resource_group: str, name: str, *, on: bool) -> Json:
    body = {"properties": {"aadProfile": {"enableAzureRBAC": on}}}
    return api.patch_cluster(resource_group, name, body)


def _wait_until_removed(client: Client) -> None:
    deadline = time.monotonic() + REMOVED_WITHIN
    while any(True for _ in policy_objects(client)):
        if time.monotonic() >= deadline:
            raise Unreachable(
                f"Azure RBAC is off, but the agent has not removed its roles and bindings within"
                f" {REMOVED_WITHIN:.0f} s. Is it connected? Run this again once it is, or remove"
                " them: 'kubectl delete clusterrolebindings,rolebindings,clusterroles -A -l"
                f" {SELECTOR}'.",
                hop=Hop.AGENT,
            )
        time.sleep(POLL_EVERY)
