"""Disconnecting a cluster: the server's resource first, then what is in the cluster.

In that order, so that somebody who may not delete the resource does not take the agent away.
"""

import re
import time
from functools import partial

from lightkube.core.client import Client
from lightkube.resources.core_v1 import Namespace

from towrope.client.kubernetes import Target, absent_as_none
from towrope.client.manifests import cluster_scoped
from towrope.client.policy_cleanup import delete_policy_objects
from towrope.client.preflight import connected_as, described
from towrope.client.rest import Conflict
from towrope.wire import names
from towrope.wire.errors import Hop, NotFound, Refused, Unreachable, foreign

NAMESPACE_WITHIN = 120.0
POLL_EVERY = 1.0
OWN_SERVER = re.compile(r"https://(127\.0\.0\.1|localhost|\[::1\]):[0-9]{1,5}/?")
OWN_NAME = re.compile(r"[0-9a-f]{32}\..+")


def is_own_kubeconfig(target: Target) -> bool:
    """Whether the kubeconfig is one that `proxy` wrote: the agent would saw off its own branch."""
    name = str(target.cluster.get("tls-server-name", ""))
    return bool(OWN_SERVER.fullmatch(target.server) and OWN_NAME.fullmatch(name))


def refuse_own_kubeconfig(target: Target, verb: str) -> None:
    if is_own_kubeconfig(target):
        raise Refused(
            f"towrope connectedk8s {verb} is not supported when using the Cluster Connect"
            " kubeconfig.",
            hop=Hop.CLIENT,
        )


def check_cluster_side(client: Client, target: Target, *, resource_id: str) -> None:
    """Raises unless the kubeconfig's cluster is the one that is connected as `resource_id`."""
    found = connected_as(client)
    if found is None:
        raise NotFound(
            f"The cluster of the context '{foreign(target.context)}' is not connected, so there is"
            " no agent to remove from it. Name the right cluster with --kube-config and"
            " --kube-context, or delete only the server's resource with --force.",
            hop=Hop.APISERVER,
        )
    if found.lower() != resource_id.lower():
        raise Conflict(
            f"The cluster of the context '{foreign(target.context)}' is connected as"
            f" {described(found)}, and not as {described(resource_id)}. Name the right cluster with"
            " --kube-config and --kube-context.",
            hop=Hop.APISERVER,
        )


def remove_from_cluster(client: Client, *, wait: bool = True) -> None:
    """Removes all that `connect` and the agent made; what is gone already is no error."""
    for kind, name in cluster_scoped():
        absent_as_none(partial(client.delete, kind, name))
    absent_as_none(lambda: client.delete(Namespace, names.NAMESPACE))
    # The agent has lost its rights by now, so that it makes none of these anew.
    delete_policy_objects(client)
    deadline = time.monotonic() + NAMESPACE_WITHIN
    while wait and absent_as_none(lambda: client.get(Namespace, names.NAMESPACE)) is not None:
        if time.monotonic() >= deadline:
            raise Unreachable(
                f"The namespace {names.NAMESPACE} is still being deleted after"
                f" {NAMESPACE_WITHIN:.0f} s. Look at 'kubectl get namespace {names.NAMESPACE} -o"
                " yaml'.",
                hop=Hop.APISERVER,
            )
        time.sleep(POLL_EVERY)
