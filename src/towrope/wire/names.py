"""Names that more than one program needs: clusters, hybrid connections, cluster objects."""

import hashlib
import re
import uuid

CLUSTER_TYPE = "Microsoft.Kubernetes/connectedClusters"
CLUSTER_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
"""Arc's rule for the name of a connected cluster."""

# The rules of a connected cluster's hybrid connection; tokens for them are minted, never listed.
LISTEN_RULE = "towrope-listener"
SEND_RULE = "towrope-sender"

# Objects that `connect` installs and the agent uses.
NAMESPACE = "towrope"
AGENT_NAME = "towrope-agent"
"""Of the Deployment, service account, Role, ClusterRole, bindings and ConfigMap."""
ONBOARDING_SECRET = "towrope-onboarding"  # noqa: S105 - its name
"""Holds `privateKey`: the one-time key (PEM), used once to enrol and deleted then."""
IDENTITY_SECRET = "towrope-agent-identity"  # noqa: S105 - its name
"""Made by the agent: `agent.key`, `ca.crt`, `ca.key` (PEM). None of the keys leaves the cluster."""
LEASE_NAME = "towrope-agent"

# Keys of the `extra` by which the apiserver knows a caller. Where impersonation is constrained
# (KEP-5284) it takes none without a domain.
EXTRA_DOMAIN = "towrope.dev/"
OBJECT_ID_EXTRA = f"{EXTRA_DOMAIN}oid"
IMPERSONATOR_EXTRA = f"{EXTRA_DOMAIN}impersonator"
"""Who acts as somebody else (`kubectl --as`)."""

RESERVED_PREFIX = "towrope:"
"""How the names begin that the agent alone gives; no token may bring one."""


def object_id_group(object_id: str, *, is_external: bool = False) -> str:
    """The group that a verified caller is in alone, or with the other members of a group of this
    object id: what bindings made from role assignments name. See `external_object_id`.

    What another issuer than the server's own vouches for is `is_external`: it may say any id, and
    never means one of the server's directory.
    """
    kind = "external-oid" if is_external else "oid"
    return f"{RESERVED_PREFIX}{kind}:{object_id.lower()}"


def external_object_id(issuer: str, subject: str) -> str:
    """The object id of a principal whose OpenID provider gives none: of its `iss` and `sub`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{issuer}\n{subject}"))


# Members of the ConfigMap.
CONFIG_SERVER = "server"
CONFIG_SERVER_CA = "server-ca.crt"
CONFIG_RESOURCE_ID = "resourceId"


def cluster_id(subscription: str, resource_group: str, name: str) -> str:
    """The resource id of a connected cluster."""
    return (
        f"/subscriptions/{subscription}/resourceGroups/{resource_group}"
        f"/providers/{CLUSTER_TYPE}/{name}"
    )


def cluster_hash(resource_id: str) -> str:
    """SHA-256 of the lower-case resource id, hexadecimal: what Arc's relay and kubeconfigs use."""
    return hashlib.sha256(resource_id.lower().encode()).hexdigest()


def hybrid_connection(resource_id: str, *, created_ns: int) -> str:
    """The hybrid connection of a cluster; another one once the cluster is connected anew."""
    return f"{CLUSTER_TYPE.lower()}/{cluster_hash(resource_id)}/{created_ns}"


def is_of_cluster(hybrid_connection_name: str) -> bool:
    """Whether a hybrid connection is a connected cluster's; no other can have such a name."""
    return hybrid_connection_name.lower().startswith(f"{CLUSTER_TYPE.lower()}/")


def tls_server_name(resource_id: str, *, domain: str) -> str:
    """The name in the certificate of the cluster's agent, and the SNI that chooses the cluster.

    A DNS label has 63 characters at most, so half of the hash: 128 bits.
    """
    return f"{cluster_hash(resource_id)[:32]}.{domain}"
