"""Role definitions and role assignments.

Whoever could read and reach everything before cannot any more: rights are assigned from here on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "role_definitions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(512), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("assignable_scopes", sa.JSON(), nullable=False),
        *_authorship(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_definitions")),
        sa.UniqueConstraint("key", name=op.f("uq_role_definitions_key")),
    )
    op.create_table(
        "role_assignments",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.String(512), nullable=False),
        sa.Column(
            "scope_key",
            sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("role_id", sa.String(36), nullable=False),
        sa.Column("principal_id", sa.String(36), nullable=False),
        sa.Column("principal_kind", sa.String(20), nullable=False),
        sa.Column("is_external", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text()),
        *_authorship(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_assignments")),
        sa.UniqueConstraint(
            "principal_id",
            "role_id",
            "scope_key",
            name=op.f("uq_role_assignments_principal_id_role_id_scope_key"),
        ),
    )
    for column in ("scope_key", "role_id", "principal_id"):
        op.create_index(op.f(f"ix_role_assignments_{column}"), "role_assignments", [column])


def _authorship() -> list[sa.Column[object]]:
    return [
        sa.Column("created_on", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(36), nullable=False),
        sa.Column("updated_on", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(36), nullable=False),
    ]
