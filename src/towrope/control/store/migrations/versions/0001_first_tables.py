"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "resource_groups",
        sa.Column("key", sa.String(length=90), nullable=False),
        sa.Column("name", sa.String(length=90), nullable=False),
        sa.Column("location", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_resource_groups")),
    )
    op.create_table(
        "service_principals",
        sa.Column("app_id", sa.String(length=36), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("display_name", sa.String(length=256), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_service_principals")),
        sa.UniqueConstraint("object_id", name=op.f("uq_service_principals_object_id")),
    )
    op.create_table(
        "connected_clusters",
        sa.Column("group_key", sa.String(length=90), nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("location", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("identity_type", sa.String(length=32), nullable=False),
        sa.Column("principal_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=True),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("onboarding_public_key", sa.Text(), nullable=False),
        sa.Column("agent_public_key", sa.Text(), nullable=True),
        sa.Column("ca_certificate", sa.Text(), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("hybrid_connection", sa.String(length=260), nullable=False),
        sa.Column("connectivity_status", sa.String(length=32), nullable=False),
        sa.Column("last_connectivity", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_key"],
            ["resource_groups.key"],
            name=op.f("fk_connected_clusters_resource_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_key", "key", name=op.f("pk_connected_clusters")),
        sa.UniqueConstraint(
            "hybrid_connection", name=op.f("uq_connected_clusters_hybrid_connection")
        ),
    )
    op.create_table(
        "hybrid_connections",
        sa.Column("key", sa.String(length=260), nullable=False),
        sa.Column("name", sa.String(length=260), nullable=False),
        sa.Column("group_key", sa.String(length=90), nullable=False),
        sa.Column("namespace_key", sa.String(length=50), nullable=False),
        sa.Column("namespace", sa.String(length=50), nullable=False),
        sa.Column("user_metadata", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_key"],
            ["resource_groups.key"],
            name=op.f("fk_hybrid_connections_resource_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_hybrid_connections")),
    )
    op.create_index(
        op.f("ix_hybrid_connections_group_key"), "hybrid_connections", ["group_key"], unique=False
    )
    op.create_table(
        "authorization_rules",
        sa.Column("hybrid_connection_key", sa.String(length=260), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("rights", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hybrid_connection_key"],
            ["hybrid_connections.key"],
            name=op.f("fk_authorization_rules_hybrid_connections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "hybrid_connection_key", "key", name=op.f("pk_authorization_rules")
        ),
    )
