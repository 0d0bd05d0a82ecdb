"""The directory, sign-in and trusted issuers.

A service principal may have several credentials from here on; the one that it had goes with it, and
the administrator becomes a member of the group of administrators.
"""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADMINISTRATORS = "62e90394-69f5-4237-9190-012177145e10"
TEN_YEARS = 10 * 365 * 24 * 3600


def upgrade() -> None:
    _make_tables()
    _widen_service_principals()


def _widen_service_principals() -> None:
    now = int(time.time())
    connection = op.get_bind()
    known = _table("service_principals", "app_id", "object_id", "secret_hash", "display_name")
    rows = list(connection.execute(sa.select(known)))
    with op.batch_alter_table("service_principals") as batch:
        batch.add_column(sa.Column("application_object_id", sa.String(36)))
        batch.add_column(
            sa.Column("account_enabled", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch.add_column(
            sa.Column("valid_from", sa.BigInteger(), server_default="0", nullable=False)
        )
        batch.add_column(
            sa.Column("created", sa.BigInteger(), server_default=str(now), nullable=False)
        )
    widened = _table("service_principals", "app_id", "application_object_id")
    for row in rows:
        connection.execute(
            widened.update()
            .where(widened.c.app_id == row.app_id)
            .values(application_object_id=str(uuid.uuid4()))
        )
    with op.batch_alter_table("service_principals") as batch:
        batch.alter_column("application_object_id", existing_type=sa.String(36), nullable=False)
        for name in ("account_enabled", "valid_from", "created"):
            batch.alter_column(name, server_default=None)
        batch.create_unique_constraint(
            op.f("uq_service_principals_application_object_id"), ["application_object_id"]
        )
        batch.drop_column("secret_hash")
    # Not before: SQLite makes the table anew, and what refers to its rows goes with them.
    for row in rows:
        _keep_credential(connection, row, now)


def _keep_credential(connection: sa.Connection, row: sa.Row[tuple[str, ...]], now: int) -> None:
    credentials = _table(
        "application_credentials", "key_id", "app_id", "secret_hash", "starts", "ends"
    )
    connection.execute(
        credentials.insert().values(
            key_id=str(uuid.uuid4()),
            app_id=row.app_id,
            secret_hash=row.secret_hash,
            starts=now,
            ends=now + TEN_YEARS,
        )
    )
    if row.display_name != "administrator":
        return
    groups = _table("groups", "object_id", "key", "display_name", "mail_nickname", "created")
    connection.execute(
        groups.insert().values(
            object_id=ADMINISTRATORS,
            key="towrope administrators",
            display_name="Towrope Administrators",
            mail_nickname="administrators",
            created=now,
        )
    )
    members = _table("group_members", "group_id", "member_id", "member_kind")
    connection.execute(
        members.insert().values(
            group_id=ADMINISTRATORS, member_id=row.object_id, member_kind="ServicePrincipal"
        )
    )


def _table(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def _make_tables() -> None:
    op.create_table(
        "authorization_codes",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=36), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("code_challenge", sa.String(length=128), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("family", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_authorization_codes")),
    )
    op.create_index(
        op.f("ix_authorization_codes_expires_at"),
        "authorization_codes",
        ["expires_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_authorization_codes_object_id"), "authorization_codes", ["object_id"], unique=False
    )

    op.create_table(
        "device_codes",
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("user_code_hash", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=True),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=True),
        sa.Column("asked_from", sa.String(length=64), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_device_codes")),
        sa.UniqueConstraint("user_code_hash", name=op.f("uq_device_codes_user_code_hash")),
    )
    op.create_index(
        op.f("ix_device_codes_expires_at"), "device_codes", ["expires_at"], unique=False
    )
    op.create_index(op.f("ix_device_codes_object_id"), "device_codes", ["object_id"], unique=False)

    op.create_table(
        "directory_state",
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_directory_state")),
    )
    op.create_table(
        "groups",
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("display_name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("mail_nickname", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_groups")),
    )
    op.create_index(op.f("ix_groups_key"), "groups", ["key"], unique=False)

    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("family", sa.String(length=36), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(
        op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"], unique=False
    )
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"], unique=False)
    op.create_index(
        op.f("ix_refresh_tokens_object_id"), "refresh_tokens", ["object_id"], unique=False
    )

    op.create_table(
        "sign_in_failures",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_failures")),
    )
    op.create_index(
        op.f("ix_sign_in_failures_expires_at"), "sign_in_failures", ["expires_at"], unique=False
    )

    op.create_table(
        "sign_in_sessions",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_sign_in_sessions")),
    )
    op.create_index(
        op.f("ix_sign_in_sessions_expires_at"), "sign_in_sessions", ["expires_at"], unique=False
    )
    op.create_index(
        op.f("ix_sign_in_sessions_object_id"), "sign_in_sessions", ["object_id"], unique=False
    )

    op.create_table(
        "trusted_issuers",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("discovered", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_trusted_issuers")),
    )
    op.create_table(
        "used_assertions",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_used_assertions")),
    )
    op.create_index(
        op.f("ix_used_assertions_expires_at"), "used_assertions", ["expires_at"], unique=False
    )

    op.create_table(
        "users",
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("user_principal_name", sa.String(length=256), nullable=False),
        sa.Column("display_name", sa.String(length=256), nullable=False),
        sa.Column("given_name", sa.String(length=64), nullable=True),
        sa.Column("surname", sa.String(length=64), nullable=True),
        sa.Column("mail", sa.String(length=256), nullable=True),
        sa.Column("account_enabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("object_id", name=op.f("pk_users")),
        sa.UniqueConstraint("key", name=op.f("uq_users_key")),
    )
    op.create_table(
        "application_credentials",
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("app_id", sa.String(length=36), nullable=False),
        sa.Column("display_name", sa.String(length=256), nullable=True),
        sa.Column("secret_hash", sa.String(length=64), nullable=True),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("hint", sa.String(length=3), nullable=True),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["service_principals.app_id"],
            name=op.f("fk_application_credentials_service_principals"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_application_credentials")),
    )
    op.create_index(
        op.f("ix_application_credentials_app_id"),
        "application_credentials",
        ["app_id"],
        unique=False,
    )

    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("member_id", sa.String(length=36), nullable=False),
        sa.Column("member_kind", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.object_id"],
            name=op.f("fk_group_members_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("group_id", "member_id", name=op.f("pk_group_members")),
    )
    op.create_index(
        op.f("ix_group_members_member_id"), "group_members", ["member_id"], unique=False
    )
