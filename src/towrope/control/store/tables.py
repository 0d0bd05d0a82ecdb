"""The tables. A name is compared without case by its `key` (lower case) and shown as first given.

Nothing here is usable as a credential: of secrets there are hashes, of key pairs the public half.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _group() -> Column[str]:
    return Column(
        "group_key",
        String(90),
        ForeignKey("resource_groups.key", ondelete="CASCADE"),
        primary_key=True,
    )


resource_groups = Table(
    "resource_groups",
    metadata,
    Column("key", String(90), primary_key=True),
    Column("name", String(90), nullable=False),
    Column("location", String(64), nullable=False),
    Column("tags", JSON, nullable=False),
)

connected_clusters = Table(
    "connected_clusters",
    metadata,
    _group(),
    Column("key", String(63), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("location", String(64), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("identity_type", String(32), nullable=False),
    Column("principal_id", String(36), nullable=False),
    Column("kind", String(64)),
    # What the caller set, in ARM's names; the members that a query needs are columns.
    Column("properties", JSON, nullable=False),
    # What the agent reported, in ARM's names.
    Column("facts", JSON, nullable=False),
    Column("onboarding_public_key", Text, nullable=False),
    Column("agent_public_key", Text),
    Column("ca_certificate", Text),
    Column("created_ns", BigInteger, nullable=False),
    Column("hybrid_connection", String(260), nullable=False, unique=True),
    Column("connectivity_status", String(32), nullable=False),
    Column("last_connectivity", BigInteger),
)

hybrid_connections = Table(
    "hybrid_connections",
    metadata,
    # A name is a path at the relay, so it is one on the whole server, whatever its namespace.
    Column("key", String(260), primary_key=True),
    Column("name", String(260), nullable=False),
    Column(
        "group_key",
        String(90),
        ForeignKey("resource_groups.key", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("namespace_key", String(50), nullable=False),
    Column("namespace", String(50), nullable=False),
    Column("user_metadata", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

authorization_rules = Table(
    "authorization_rules",
    metadata,
    Column("hybrid_connection_key", String(260), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("name", String(256), nullable=False),
    Column("rights", JSON, nullable=False),
    ForeignKeyConstraint(["hybrid_connection_key"], ["hybrid_connections.key"], ondelete="CASCADE"),
)

service_principals = Table(
    "service_principals",
    metadata,
    Column("app_id", String(36), primary_key=True),
    Column("object_id", String(36), nullable=False, unique=True),
    Column("display_name", String(256), nullable=False),
    Column("secret_hash", String(64), nullable=False),
)
