"""What the agent and the control plane say to each other over REST, under `/agent/v1/`.

    POST /agent/v1/enroll      authenticated by the onboarding key, whose owner names its new key
    POST /agent/v1/heartbeat   facts; the reply is what the agent has to know
    POST /agent/v1/configuration  the same reply, when something changed or a key is unknown
    POST /agent/v1/principal   whether a principal is still there, and which groups it is in
    POST /agent/v1/policy      which roles hold in the cluster, and whose they are
    POST /agent/v1/listen      a listener's token for the cluster's hybrid connection

Each request carries `Authorization: Bearer` with a signed assertion (see `wire.assertion`). A
`notify` message on the control channel says with its kind what changed: `TRUST` the configuration,
`POLICY` the policy.
"""

from enum import StrEnum
from typing import Any

import msgspec

PREFIX = "/agent/v1"
HEARTBEAT_EVERY = 300.0
"""Seconds; Arc's agents report as often."""
TRUST = "trust"
"""The kind of `notify` by which an agent learns that its `Trust` is no longer current."""
POLICY = "policy"
"""The kind of `notify` by which an agent learns that its `Policy` is no longer current."""
GROUPS_LIMIT = 4096
"""Groups that one `ResolvePrincipal` may name."""


class Enroll(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Repeating it with the same key is harmless; with another key it is refused with 409."""

    public_key: str
    """The agent's own key, PEM (SubjectPublicKeyInfo, ECDSA P-256)."""
    ca_certificate: str
    """The cluster's own authority, PEM, which callers get in their kubeconfig."""


class IssuerKind(StrEnum):
    TOWROPE = "towrope"
    """The server's own: tokens for one cluster, and a directory that the server can ask."""
    ENTRA = "entra"
    OIDC = "oidc"


class TrustedIssuer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An OpenID provider whose tokens the agent verifies by itself, and how it reads them."""

    name: str
    kind: IssuerKind
    issuers: tuple[str, ...]
    """The values of `iss`, compared exactly; Entra has one for each version of its tokens."""
    audiences: tuple[str, ...]
    """One of them must be in `aud`. For the server's own tokens: the cluster's resource id."""
    algorithms: tuple[str, ...]
    """Of signatures; nothing else is looked at. Never `none`, never a symmetric one."""
    keys: dict[str, Any]
    """The JSON Web Key Set (RFC 7517), public keys only."""
    username_claims: tuple[str, ...] = ("upn", "oid")
    """The first that is there names the user."""
    groups_claim: str = "groups"
    username_prefix: str = ""
    groups_prefix: str = ""
    tenant: str = ""
    """What `tid` must be; empty where the issuer has no tenants."""


class Trust(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose tokens are good at one cluster."""

    issuers: tuple[TrustedIssuer, ...] = ()
    directory_changed_at: int = 0
    """Unix seconds, by the server's clock. The server's own tokens that were issued at or before
    it may say what is no longer so: their principal is to be resolved."""


class Configuration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the control plane tells an agent about itself."""

    resource_id: str
    tls_server_name: str
    """The DNS name that the agent's certificate must bear."""
    trust: Trust = Trust()


class UnknownKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token of a trusted issuer names a key that is not in its key set."""

    issuer: str
    """`TrustedIssuer.name`."""
    key_id: str


class FetchConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The server looks for unknown keys at the issuer itself, though not for every request."""

    unknown_keys: tuple[UnknownKey, ...] = ()


class ResolvePrincipal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Asked for a token that does not say all groups, or whose content may be out of date.

    The caller's token itself is never sent: the server must not be able to use it.
    """

    issuer: str
    """`TrustedIssuer.name`."""
    object_id: str
    """`oid`, or `sub` of an issuer that has no `oid`."""
    is_application: bool
    issued_at: int
    """The token's `iat`."""
    groups: tuple[str, ...] = ()
    """The groups that the cluster's bindings name, without the issuer's prefix."""


class ResolvedPrincipal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    is_active: bool
    """False: deleted, disabled, or signed out everywhere since the token was issued."""
    groups: tuple[str, ...] | None
    """Those of the groups asked about that the principal is in, nested ones too; None where that
    cannot be told."""
    reason: str = ""
    """Why it cannot be told: a sentence for the caller."""


class PolicyPermission(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The part of a role's permission that holds inside a cluster, see `wire.data_actions`."""

    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


class PolicyRole(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    """The role definition's GUID, in lower case."""
    name: str
    permissions: tuple[PolicyPermission, ...]


class PolicyGrant(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A role in the cluster, or in one namespace of it, for one principal."""

    assignment: str
    """The role assignment's GUID, in lower case."""
    role: str
    """`PolicyRole.id`."""
    principal: str
    """An object id."""
    is_group: bool = False
    is_external: bool = False
    """Not of the server's own directory: another issuer vouches for the principal."""
    namespace: str = ""
    """Empty: the whole cluster."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All role assignments that touch one cluster. Each grant's role is among `roles`."""

    version: str
    """Of its content: equal where nothing differs, whoever computed it."""
    is_enforced: bool = False
    """Whether role assignments decide (mode "rbac"). Otherwise native RBAC alone does, and there
    are no roles and no grants here."""
    roles: tuple[PolicyRole, ...] = ()
    grants: tuple[PolicyGrant, ...] = ()


class FetchPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    version: str = ""
    """Of the policy that the agent has; the answer is 204 without a body where it is current."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Facts, named as the resource's properties. `ca_certificate` heals a restored server."""

    agent_version: str
    kubernetes_version: str = ""
    total_node_count: int = 0
    total_core_count: int = 0
    distribution: str = "generic"
    infrastructure: str = "generic"
    ca_certificate: str = ""


class Listen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where and how to listen."""

    relay: str
    """The relay's address, `wss://host:port`."""
    hybrid_connection_name: str
    token: str
    expires_at: int
    """Unix seconds at which `token` ends."""
