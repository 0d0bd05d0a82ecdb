"""What the agent and the control plane say to each other over REST, under `/agent/v1/`.

    POST /agent/v1/enroll      authenticated by the onboarding key, whose owner names its new key
    POST /agent/v1/heartbeat   facts; the reply is what the agent has to know
    POST /agent/v1/listen      a listener's token for the cluster's hybrid connection

Each request carries `Authorization: Bearer` with a signed assertion (see `wire.assertion`).
"""

import msgspec

PREFIX = "/agent/v1"
HEARTBEAT_EVERY = 300.0
"""Seconds; Arc's agents report as often."""


class Enroll(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Repeating it with the same key is harmless; with another key it is refused with 409."""

    public_key: str
    """The agent's own key, PEM (SubjectPublicKeyInfo, ECDSA P-256)."""
    ca_certificate: str
    """The cluster's own authority, PEM, which callers get in their kubeconfig."""


class Configuration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the control plane tells an agent about itself."""

    resource_id: str
    tls_server_name: str
    """The DNS name that the agent's certificate must bear."""


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
