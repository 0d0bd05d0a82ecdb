"""`properties` of a connected cluster: what a caller may set, what is checked, and what is shown.

A member that is not known here is kept as it came: a newer client may know more than this server.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from towrope.control.arm_error import invalid_content
from towrope.control.json_body import NotDecodable
from towrope.control.store.clusters import Cluster

READ_ONLY = frozenset(
    {
        "agentPublicKeyCertificate",
        "agentVersion",
        "connectivityStatus",
        "kubernetesVersion",
        "lastConnectivityTime",
        "managedIdentityCertificateExpirationTime",
        "miscellaneousProperties",
        "offering",
        "provisioningState",
        "totalCoreCount",
        "totalNodeCount",
    }
)
"""Members that are ours to say, or set once; what a caller puts there is left out."""
READ_ONLY_INSIDE = {
    "arcAgentProfile": ("agentState", "agentErrors"),
    "oidcIssuerProfile": ("issuerUrl",),
}
DEFAULTS = {"privateLinkState": "Disabled", "azureHybridBenefit": "NotApplicable"}


class _AadProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    enable_azure_rbac: bool | None = msgspec.field(name="enableAzureRBAC", default=None)
    admin_group_object_ids: list[str] | None = msgspec.field(
        name="adminGroupObjectIDs", default=None
    )
    tenant_id: str | None = msgspec.field(name="tenantID", default=None)


class _ArcAgentProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    agent_auto_upgrade: Literal["Enabled", "Disabled"] | None = None
    desired_agent_version: str | None = None


class _Settable(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The members whose values are checked."""

    distribution: str | None = None
    distribution_version: str | None = None
    infrastructure: str | None = None
    azure_hybrid_benefit: Literal["True", "False", "NotApplicable"] | None = None
    private_link_state: Literal["Enabled", "Disabled"] | None = None
    private_link_scope_resource_id: str | None = None
    aad_profile: _AadProfile | None = None
    arc_agent_profile: _ArcAgentProfile | None = None
    oidc_issuer_profile: dict[str, Any] | None = None
    security_profile: dict[str, Any] | None = None
    gateway: dict[str, Any] | None = None


def settable(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the `properties` of a PUT. Raises `ArmError` or `NotDecodable`."""
    kept = {k: v for k, v in given.items() if k not in READ_ONLY and v is not None}
    checked = _checked(kept)
    if checked.aad_profile is not None and checked.aad_profile.admin_group_object_ids:
        raise invalid_content(
            "'adminGroupObjectIDs' must be empty: assign the groups the role 'Azure Arc Kubernetes"
            " Cluster Admin' at the cluster instead."
        )
    for name, members in READ_ONLY_INSIDE.items():
        if isinstance(inside := kept.get(name), dict):
            kept[name] = {k: v for k, v in inside.items() if k not in members}
    return kept


def changed(there: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`there` after a PATCH, which leaves alone what it does not name, and removes what it says is
    null (RFC 7396 §2). Raises `ArmError` or `NotDecodable`."""
    return settable(_merged(there, change))


def shown(cluster: Cluster) -> dict[str, Any]:
    properties = {
        **DEFAULTS,
        **cluster.facts,
        **cluster.properties,
        "agentPublicKeyCertificate": cluster.onboarding_public_key,
        "connectivityStatus": cluster.connectivity_status,
        "provisioningState": "Succeeded",
    }
    if cluster.last_connectivity is not None:
        seen = datetime.fromtimestamp(cluster.last_connectivity, UTC)
        properties["lastConnectivityTime"] = seen.isoformat().replace("+00:00", "Z")
    return properties


def _checked(kept: Mapping[str, Any]) -> _Settable:
    try:
        return msgspec.convert(kept, _Settable)
    except msgspec.ValidationError as error:
        raise NotDecodable(f"in 'properties', {error}") from None


def _merged(there: Any, change: Any) -> Any:
    if not isinstance(change, Mapping):
        return change
    merged = dict(there) if isinstance(there, Mapping) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
