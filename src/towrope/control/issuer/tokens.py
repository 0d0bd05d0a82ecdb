"""Access tokens and id tokens: made for one audience, and verified strictly.

What is verified here is a token of this issuer alone. Whether its subject is still there, and still
has what the token says, is for the caller to see.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from towrope.control.arm_error import unauthenticated
from towrope.control.issuer.signing_keys import ALGORITHM, SigningKeys
from towrope.control.settings import Settings

LIFETIME = 3600
CLOCK_TOLERANCE = 60
TOKEN_LIMIT = 64 * 1024
GROUPS_LIMIT = 200
"""As Entra's: a token says where to ask for more groups, and not which."""
TYPE = "JWT"
USER_SCOPE = "user_impersonation"


class IdentityType(StrEnum):
    """`idtyp`."""

    USER = "user"
    APP = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a token is about, as the directory has it."""

    identity_type: IdentityType
    object_id: str
    display_name: str
    user_principal_name: str | None
    """None: an application."""
    groups: frozenset[str]
    """The ids of all its groups, nested ones too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """To which client a token is given, and since when its subject is signed in."""

    client_id: str
    authenticated_at: int


class AccessClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified access token says."""

    iss: str
    aud: str
    tid: str
    sub: str
    oid: str
    idtyp: IdentityType
    appid: str
    iat: int
    nbf: int
    exp: int
    upn: str | None = None
    groups: tuple[str, ...] | None = None
    """None: more than fit into a token."""
    cnf: dict[str, Any] | None = None
    """The key that whoever shows the token must prove to have (RFC 7800)."""


class Tokens:
    def __init__(
        self, settings: Settings, keys: SigningKeys, *, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self.audience = str(settings.url)
        """Of tokens for this server's own API."""
        self.issuer = f"{settings.url}/{settings.tenant}/v2.0"

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set that anybody may verify with."""
        return self._keys.public_keys()

    def mint_access(
        self,
        subject: Subject,
        issued: Issuance,
        *,
        audience: str,
        confirmation: str | None = None,
    ) -> str:
        """`confirmation`: the id of the key that the token is bound to, where it is."""
        claims = self._claims(subject, issued) | {
            "aud": audience,
            "appid": issued.client_id,
            "azp": issued.client_id,
        }
        if subject.identity_type is IdentityType.USER:
            claims["scp"] = USER_SCOPE
        if confirmation is not None:
            claims["cnf"] = {"kid": confirmation, "xms_ksl": "sw"}
        return self._sign(claims)

    def mint_id(self, subject: Subject, issued: Issuance, *, nonce: str | None) -> str:
        """OpenID Connect Core §2."""
        claims = self._claims(subject, issued) | {"aud": issued.client_id}
        return self._sign(claims | ({"nonce": nonce} if nonce is not None else {}))

    def client_info(self, subject: Subject) -> str:
        """MSAL's name for an account: who, and of which tenant."""
        told = msgspec.json.encode({"uid": subject.object_id, "utid": self._settings.tenant})
        return base64.urlsafe_b64encode(told).rstrip(b"=").decode()

    def verify(self, text: str, *, audience: str) -> AccessClaims:
        """What a good token of ours for `audience` says. Raises `ArmError` (401)."""
        if len(text) > TOKEN_LIMIT:
            raise unauthenticated("The access token is too long.")
        try:
            payload = jws.deserialize_compact(
                text, self._key_of(text), algorithms=[ALGORITHM]
            ).payload
            claims = msgspec.json.decode(payload, type=AccessClaims)
        except (ValueError, TypeError, JoseError, RecursionError) as error:
            raise _not_valid(type(error).__name__) from None
        self._check(claims, audience)
        return claims

    def _key_of(self, text: str) -> Any:
        """The key that the header names. Nothing in a token may bring a key, or ask for more."""
        header = jws.extract_compact(text.encode()).headers()
        if set(header) != {"alg", "typ", "kid"} or header["typ"] != TYPE:
            raise ValueError
        key = self._keys.find(str(header["kid"]))
        if key is None:
            raise _not_valid("its key is not one of this server's")
        return key

    def _check(self, claims: AccessClaims, audience: str) -> None:
        now = self._clock()
        if claims.iss != self.issuer or claims.tid != self._settings.tenant:
            raise _not_valid("another issuer made it")
        if claims.aud != audience:
            raise _not_valid("it was made for something else")
        if claims.sub != claims.oid:
            raise _not_valid("it has two subjects")
        if now - CLOCK_TOLERANCE >= claims.exp:
            raise _not_valid("it has expired")
        if max(claims.nbf, claims.iat) > now + CLOCK_TOLERANCE:
            raise _not_valid("it is not valid yet")
        if claims.cnf is not None:
            raise _not_valid("it is bound to a key, and this API takes bearer tokens alone")

    def _claims(self, subject: Subject, issued: Issuance) -> dict[str, Any]:
        # Whoever signed in during this very second was issued nothing before that.
        now = max(int(self._clock()), issued.authenticated_at)
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "tid": self._settings.tenant,
            "sub": subject.object_id,
            "oid": subject.object_id,
            "idtyp": subject.identity_type.value,
            "ver": "2.0",
            "uti": secrets.token_urlsafe(16),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
        }
        return claims | self._named(subject, issued) | self._groups(subject)

    def _named(self, subject: Subject, issued: Issuance) -> dict[str, Any]:
        if subject.user_principal_name is None:
            return {"app_displayname": subject.display_name}
        return {
            "upn": subject.user_principal_name,
            "preferred_username": subject.user_principal_name,
            "name": subject.display_name,
            "auth_time": issued.authenticated_at,
        }

    def _groups(self, subject: Subject) -> dict[str, Any]:
        if len(subject.groups) <= GROUPS_LIMIT:
            return {"groups": sorted(subject.groups)}
        endpoint = f"{self._settings.url}/v1.0/users/{subject.object_id}/getMemberObjects"
        return {
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": endpoint}},
        }

    def _sign(self, claims: dict[str, Any]) -> str:
        signer = self._keys.active
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": signer.kid}
        return jwt.encode(header, claims, signer.key, algorithms=[ALGORITHM])


def _not_valid(why: str) -> Exception:
    return unauthenticated(f"The access token is not valid: {why}.")
