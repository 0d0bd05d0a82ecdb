"""What an agent makes in its cluster of role assignments, as `kubectl`'s side of it sees it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from lightkube.core.client import Client
from lightkube.resources.rbac_authorization_v1 import ClusterRole, ClusterRoleBinding, RoleBinding

from towrope.client.kubernetes import absent_as_none
from towrope.wire.policy_names import MANAGED_BY, MANAGED_BY_LABEL

PolicyObject = ClusterRole | ClusterRoleBinding | RoleBinding
_LABELS: dict[str, Any] = {MANAGED_BY_LABEL: MANAGED_BY}


def policy_objects(client: Client) -> Iterator[PolicyObject]:
    """Those that are there; bindings first, which are what gives a right."""
    yield from client.list(ClusterRoleBinding, labels=_LABELS)
    yield from client.list(RoleBinding, namespace="*", labels=_LABELS)
    yield from client.list(ClusterRole, labels=_LABELS)


def delete_policy_objects(client: Client) -> None:
    """One by one, each by its name: nothing of others goes with them."""
    for each in list(policy_objects(client)):
        metadata = each.metadata
        assert metadata is not None
        assert metadata.name is not None
        if isinstance(each, RoleBinding):
            delete = partial(
                client.delete, RoleBinding, metadata.name, namespace=metadata.namespace
            )
        else:
            delete = partial(client.delete, type(each), metadata.name)
        absent_as_none(delete)
