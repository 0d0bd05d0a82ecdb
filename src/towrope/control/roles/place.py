"""Where in a cluster holds what is assigned at a scope."""

from dataclasses import dataclass

from towrope.control.roles.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    namespace: str = ""
    """Empty: everywhere in the cluster."""


def place_of(scope: Scope, cluster: Scope) -> Place | None:
    """None: nowhere in the cluster with this resource id."""
    if scope.namespace is not None:
        holder, namespace = scope.namespace
        is_here = holder.covers(cluster) and cluster.covers(holder)
        # ARM compares without case; Kubernetes has lower case alone.
        return Place(namespace=namespace.lower()) if is_here else None
    return Place() if scope.covers(cluster) else None
