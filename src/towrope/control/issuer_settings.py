"""What an administrator says about an issuer, and what follows from it.

`checked` turns what was sent into settings that everything else may rely on. Nothing is fetched
here, and no secret is here.
"""

import re
import ssl
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from towrope.control.arm_error import ArmError, invalid_content, invalid_name
from towrope.wire.agent_api import IssuerKind
from towrope.wire.errors import foreign
from towrope.wire.reserved_names import begins_reserved, is_presentable

OWN_NAME = "towrope"
"""Of the server's own issuer; no other may have it."""
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Asymmetric ones only: with a symmetric one whoever verifies can sign."""
ENTRA_LOGIN = "https://login.microsoftonline.com"
ENTRA_V1 = "https://sts.windows.net"
GRAPH = "https://graph.microsoft.com"
SIGN_IN_SCOPES = ("openid", "profile", "offline_access")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")  # RFC 6749 §3.3
_CLAIM = re.compile(r"[\x21-\x7e]{1,128}")
_URL = re.compile(r"[\x21-\x7e]{1,512}")
_MOST_VALUES = 16
_MOST_TEXT = 256
_MOST_PEM = 64 * 1024


class GraphSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the groups of a caller are asked for, and as which application."""

    client_id: str
    endpoint: str = GRAPH


class GivenGraph(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    client_id: str
    client_secret: str | None = None
    """Never shown, so it may be left out when nothing of what it is for changes."""
    endpoint: str = GRAPH

    def __repr__(self) -> str:
        return f"GivenGraph(client_id={self.client_id!r})"


class Given(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`properties` as they are sent. What is read-only may be sent back, and is not looked at."""

    kind: IssuerKind = IssuerKind.OIDC
    issuer_url: str = ""
    audiences: tuple[str, ...] = ()
    client_id: str = ""
    scopes: tuple[str, ...] | None = None
    username_claims: tuple[str, ...] | None = None
    groups_claim: str = "groups"
    username_prefix: str | None = None
    groups_prefix: str | None = None
    algorithms: tuple[str, ...] | None = None
    tenant_id: str = ""
    jwks_uri: str = ""
    ca_certificate: str = ""
    graph: GivenGraph | None = None
    discovered: Any = None
    provisioning_state: Any = None


class IssuerSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """As they are kept and shown."""

    kind: IssuerKind
    issuer_url: str
    """The issuer; for Entra, the authority that issues for all tenants."""
    audiences: tuple[str, ...]
    client_id: str
    """Of the public client that people sign in with; empty where nobody does."""
    scopes: tuple[str, ...]
    username_claims: tuple[str, ...]
    groups_claim: str
    username_prefix: str
    groups_prefix: str
    algorithms: tuple[str, ...]
    tenant_id: str = ""
    jwks_uri: str = ""
    """Where the keys are, if that is on another host than the issuer."""
    ca_certificate: str = ""
    graph: GraphSettings | None = None

    @property
    def authority(self) -> str:
        """Who signs people in, by its address."""
        if self.kind is IssuerKind.ENTRA:
            return f"{self.issuer_url}/{self.tenant_id}/v2.0"
        return self.issuer_url

    @property
    def issuers(self) -> tuple[str, ...]:
        """The values of `iss`. Entra's do not depend on the host that its keys come from."""
        if self.kind is not IssuerKind.ENTRA:
            return (self.issuer_url,)
        tenant = self.tenant_id
        known = (f"{ENTRA_V1}/{tenant}/", f"{ENTRA_LOGIN}/{tenant}/v2.0", self.authority)
        return tuple(dict.fromkeys(known))

    @property
    def token_url(self) -> str:
        """Entra's token endpoint."""
        return f"{self.issuer_url}/{self.tenant_id}/oauth2/v2.0/token"


def checked_name(name: str) -> str:
    """Raises `ArmError`."""
    if not NAME.fullmatch(name):
        rule = "1 to 63 letters, digits, '-', '_' and '.', the first a letter or a digit"
        raise invalid_name(foreign(name), rule)
    if name.lower() == OWN_NAME:
        raise invalid_name(name, "it is the name of the server's own issuer")
    return name


def checked(name: str, given: Given) -> IssuerSettings:
    """The settings of the issuer `name`. Raises `ArmError` that names the first fault."""
    if given.kind is IssuerKind.ENTRA:
        return _entra(given)
    if given.kind is IssuerKind.OIDC:
        return _oidc(name, given)
    raise invalid_content("The property 'kind' must be 'oidc' or 'entra'.")


def _oidc(name: str, given: Given) -> IssuerSettings:
    if given.tenant_id or given.graph is not None:
        raise invalid_content("'tenantId' and 'graph' are for the kind 'entra' only.")
    url = https_url(given.issuer_url, "issuerUrl").geturl()
    prefix = f"{name}:"
    return _settings(
        given,
        issuer_url=url,
        username_claims=("sub",),
        # Names of one issuer are no names of another; who wants them plain says so.
        prefixes=(prefix, prefix),
        algorithms=("RS256", "ES256"),
        scopes=SIGN_IN_SCOPES,
    )


def _entra(given: Given) -> IssuerSettings:
    if not GUID.fullmatch(given.tenant_id.lower()):
        raise invalid_content("'tenantId' must be the tenant's id, a GUID, for the kind 'entra'.")
    url = https_origin(given.issuer_url or ENTRA_LOGIN, "issuerUrl")
    audience = given.audiences[0] if given.audiences else ""
    own = () if audience == given.client_id else (f"{audience}/.default",)
    return _settings(
        given,
        issuer_url=url,
        username_claims=("upn", "oid"),
        prefixes=("", ""),
        algorithms=("RS256",),
        scopes=(*own, *SIGN_IN_SCOPES),
    )


def _settings(
    given: Given,
    *,
    issuer_url: str,
    username_claims: tuple[str, ...],
    prefixes: tuple[str, str],
    algorithms: tuple[str, ...],
    scopes: tuple[str, ...],
) -> IssuerSettings:
    if not given.audiences:
        raise invalid_content("'audiences' is required: whom the issuer makes its tokens for.")
    username, groups = (
        default if said is None else said
        for said, default in zip(
            (given.username_prefix, given.groups_prefix), prefixes, strict=True
        )
    )
    return IssuerSettings(
        kind=given.kind,
        issuer_url=issuer_url,
        audiences=_texts(given.audiences, "audiences"),
        client_id=_texts((given.client_id,), "clientId")[0] if given.client_id else "",
        scopes=_matching(given.scopes or scopes, _SCOPE, "scopes"),
        username_claims=_matching(
            given.username_claims or username_claims, _CLAIM, "usernameClaims"
        ),
        groups_claim=_matching((given.groups_claim,), _CLAIM, "groupsClaim")[0],
        username_prefix=_prefix(username, "usernamePrefix"),
        groups_prefix=_prefix(groups, "groupsPrefix"),
        algorithms=_algorithms(given.algorithms or algorithms),
        tenant_id=given.tenant_id.lower(),
        jwks_uri=_keys_url(given.jwks_uri),
        ca_certificate=_authority(given.ca_certificate),
        graph=_graph(given.graph),
    )


def _texts(values: tuple[str, ...], name: str) -> tuple[str, ...]:
    if len(values) > _MOST_VALUES or not all(
        is_presentable(value) and len(value) <= _MOST_TEXT for value in values
    ):
        raise invalid_content(
            f"'{name}' must be 1 to {_MOST_TEXT} printable characters without white space around"
            f" them, at most {_MOST_VALUES} values."
        )
    return tuple(dict.fromkeys(values))


def _matching(values: tuple[str, ...], shape: re.Pattern[str], name: str) -> tuple[str, ...]:
    if len(values) > _MOST_VALUES or not all(shape.fullmatch(value) for value in values):
        raise invalid_content(
            f"'{name}' must be printable ASCII without white space, at most {_MOST_VALUES} values."
        )
    return tuple(dict.fromkeys(values))


def _prefix(prefix: str, name: str) -> str:
    if prefix and (not prefix.isprintable() or prefix != prefix.lstrip() or len(prefix) > 64):
        raise invalid_content(
            f"'{name}' must be at most 64 printable characters without white space before them."
        )
    if begins_reserved(prefix):
        raise invalid_content(
            f"'{name}' must not make names that start with 'system:' or 'towrope:', which no issuer"
            " may give; choose another prefix."
        )
    return prefix


def _algorithms(values: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [value for value in values if value not in ALGORITHMS]
    if unknown:
        raise invalid_content(
            f"The algorithm '{foreign(unknown[0])}' is not allowed; expected some of"
            f" {', '.join(ALGORITHMS)}."
        )
    return tuple(dict.fromkeys(values))


def _authority(pem: str) -> str:
    if not pem:
        return ""
    if len(pem) > _MOST_PEM or not pem.isascii() or "PRIVATE KEY" in pem:
        raise _no_certificate()
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise _no_certificate() from None
    return pem


def _no_certificate() -> ArmError:
    return invalid_content("'caCertificate' must be certificates (PEM), without a private key.")


def _keys_url(text: str) -> str:
    return https_url(text, "jwksUri", may_have_query=True).geturl() if text else ""


def _graph(given: GivenGraph | None) -> GraphSettings | None:
    if given is None:
        return None
    if not GUID.fullmatch(given.client_id.lower()):
        raise invalid_content("'graph.clientId' must be the application's id, a GUID.")
    endpoint = https_origin(given.endpoint, "graph.endpoint")
    return GraphSettings(client_id=given.client_id.lower(), endpoint=endpoint)


def https_url(text: str, name: str, *, may_have_query: bool = False) -> SplitResult:
    """`text`, an `https` URL that names a place and nothing else. Raises `ArmError`."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise _bad_url(text, name) from None
    plain = _URL.fullmatch(text) is not None and "\\" not in text
    if not plain or parts.scheme != "https" or not parts.hostname:
        raise _bad_url(text, name)
    if "@" in parts.netloc or "#" in text or ("?" in text and not may_have_query):
        raise _bad_url(text, name)
    return parts


def https_origin(text: str, name: str) -> str:
    """`https://HOST[:PORT]`, without a slash at its end. Raises `ArmError`."""
    parts = https_url(text.rstrip("/"), name)
    if parts.path:
        raise _bad_url(text, name)
    return parts.geturl()


def _bad_url(text: str, name: str) -> ArmError:
    return invalid_content(
        f"'{name}' must be an https:// URL without user, query and fragment, but is"
        f" '{foreign(text)}'."
    )
