"""The tables. A name is compared without case by its `key` (lower case) and shown as first given.

Nothing here is usable as a credential: of secrets there are hashes, of key pairs the public half.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _bytewise(length: int) -> String:
    """Text in the order of its bytes, whatever the language that a database is set to."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


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

# The directory. Object ids are GUIDs in lower case; times are Unix seconds.

users = Table(
    "users",
    metadata,
    Column("object_id", String(36), primary_key=True),
    Column("key", String(256), nullable=False, unique=True),  # the name in lower case
    Column("user_principal_name", String(256), nullable=False),
    Column("display_name", String(256), nullable=False),
    Column("given_name", String(64)),
    Column("surname", String(64)),
    Column("mail", String(256)),
    Column("account_enabled", Boolean, nullable=False),
    # Argon2id, in its own notation; none: this account cannot sign in by password.
    Column("password_hash", String(256)),
    Column("must_change_password", Boolean, nullable=False),
    # What was issued to the user before is not good any more.
    Column("valid_from", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("object_id", String(36), primary_key=True),
    Column("key", String(256), nullable=False, index=True),  # the display name in lower case
    Column("display_name", String(256), nullable=False),
    Column("description", Text),
    Column("mail_nickname", String(64), nullable=False),
    Column("created", BigInteger, nullable=False),
)

group_members = Table(
    "group_members",
    metadata,
    Column(
        "group_id",
        String(36),
        ForeignKey("groups.object_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    # A user, a group or a service principal; removing one removes its memberships.
    Column("member_id", String(36), primary_key=True, index=True),
    Column("member_kind", String(20), nullable=False),
)

service_principals = Table(
    "service_principals",
    metadata,
    Column("app_id", String(36), primary_key=True),
    Column("object_id", String(36), nullable=False, unique=True),
    Column("application_object_id", String(36), nullable=False, unique=True),
    Column("display_name", String(256), nullable=False),
    Column("account_enabled", Boolean, nullable=False),
    Column("valid_from", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
)

application_credentials = Table(
    "application_credentials",
    metadata,
    Column("key_id", String(36), primary_key=True),
    Column(
        "app_id",
        String(36),
        ForeignKey("service_principals.app_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("display_name", String(256)),
    # One of these two: the SHA-256 of a random secret of 256 bits, or a certificate (PEM).
    Column("secret_hash", String(64)),
    Column("certificate", Text),
    Column("hint", String(3)),
    Column("starts", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
)

# Who may do what. An assignment's principal may be of a trusted issuer, so nothing refers to one.

role_definitions = Table(
    "role_definitions",
    metadata,
    # Custom ones; a GUID in lower case. The built-in ones are in the code.
    Column("id", String(36), primary_key=True),
    Column("key", String(512), nullable=False, unique=True),  # the name in lower case
    Column("name", String(512), nullable=False),
    Column("description", Text, nullable=False),
    # A list of objects as ARM has them: actions, notActions, dataActions, notDataActions.
    Column("permissions", JSON, nullable=False),
    Column("assignable_scopes", JSON, nullable=False),
    Column("created_on", BigInteger, nullable=False),
    Column("created_by", String(36), nullable=False),
    Column("updated_on", BigInteger, nullable=False),
    Column("updated_by", String(36), nullable=False),
)

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("scope", String(512), nullable=False),
    # Without a slash at its end, in lower case; the root is "/". Compared byte by byte, so that
    # all below a scope are a range.
    Column("scope_key", _bytewise(512), nullable=False, index=True),
    Column("role_id", String(36), nullable=False, index=True),
    Column("principal_id", String(36), nullable=False, index=True),
    Column("principal_kind", String(20), nullable=False),
    # Not of this server's directory. An id that another issuer says is never one of its own.
    Column("is_external", Boolean, nullable=False),
    Column("description", Text),
    Column("created_on", BigInteger, nullable=False),
    Column("created_by", String(36), nullable=False),
    Column("updated_on", BigInteger, nullable=False),
    Column("updated_by", String(36), nullable=False),
    UniqueConstraint("principal_id", "role_id", "scope_key"),
)

directory_state = Table(
    "directory_state",
    metadata,
    Column("key", String(16), primary_key=True),  # one row: "directory"
    # When somebody last lost something that a token may still say.
    Column("changed_at", BigInteger, nullable=False),
)

trusted_issuers = Table(
    "trusted_issuers",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    # What the administrator set, and what was fetched from the issuer: each a JSON object.
    Column("properties", JSON, nullable=False),
    Column("discovered", JSON, nullable=False),
    Column("fetched_at", BigInteger, nullable=False),
    # A client secret for the issuer's directory, sealed with the installation's master key.
    Column("sealed_secret", Text),
)

# Signing in. Of what is a credential, here is the SHA-256.

sign_in_sessions = Table(
    "sign_in_sessions",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("object_id", String(36), nullable=False, index=True),
    Column("authenticated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("key", String(64), primary_key=True),  # the SHA-256 of what is counted
    Column("failures", Integer, nullable=False),
    Column("locked_until", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

authorization_codes = Table(
    "authorization_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("client_id", String(36), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("object_id", String(36), nullable=False, index=True),
    Column("nonce", Text),
    Column("code_challenge", String(128), nullable=False),
    Column("authenticated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    # Set once it was redeemed: the family of the refresh tokens that it gave.
    Column("family", String(36)),
)

device_codes = Table(
    "device_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("user_code_hash", String(64), nullable=False, unique=True),
    Column("client_id", String(36), nullable=False),
    Column("scope", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("object_id", String(36), index=True),
    Column("authenticated_at", BigInteger),
    # The address that asked, for the person who is to approve it.
    Column("asked_from", String(64), nullable=False),
    Column("polled_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    # All that came from one sign-in; the reuse of one ends them all.
    Column("family", String(36), nullable=False, index=True),
    Column("object_id", String(36), nullable=False, index=True),
    Column("client_id", String(36), nullable=False),
    Column("scope", Text, nullable=False),
    Column("authenticated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
)

used_assertions = Table(
    "used_assertions",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)
