"""Where a provider's endpoints are: the server's own issuer, or one that publishes them.

Of the server's own issuer the paths are known, so that a secret goes to the address that the user
named and verified, never to one that some answer named. Another issuer is asked, and believed only
about itself (RFC 8414 §3.3).
"""

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from towrope.client.oauth.grant import TokenAnswer
from towrope.client.rest import Json, Rest
from towrope.wire.errors import Hop, Malformed, Refused, foreign

CLI_CLIENT = "7f1e5b1a-6d1f-4e0b-9a3e-0c7d5a2f9b10"
"""The client id of this command line at the server's own issuer."""
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID provider; every address is `https`, and reached with `tls`."""

    issuer: str
    """`iss` of its tokens, compared exactly."""
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    assertion_audience: str = ""
    """What a client's signed assertion is for; else the token endpoint."""
    names_itself: bool = False
    """Whether every authorization response carries `iss` (RFC 9207)."""
    offers_offline_access: bool = False
    tls: ssl.SSLContext

    def post(self, endpoint: str, form: dict[str, str], *, repeatable: bool = False) -> Json:
        """The answer; raises `rest.GrantRefused` and its kin where it is a refusal."""
        origin, path = _split(endpoint)
        rest = Rest(origin, tls=self.tls)
        try:
            return rest.json("POST", path, form=form, repeatable=repeatable)
        finally:
            rest.close()

    def redeem(self, form: dict[str, str], *, repeatable: bool = False) -> TokenAnswer:
        """What the token endpoint gives for a grant. Most are good once: never repeated."""
        answer = self.post(self.token_endpoint, form, repeatable=repeatable)
        try:
            return msgspec.convert(answer, TokenAnswer)
        except msgspec.ValidationError:
            origin, _ = _split(self.token_endpoint)
            raise Refused(f"{origin} gave no access token.", hop=Hop.SERVER) from None

    def keys(self) -> Json:
        """Its JSON Web Key Set."""
        return _get(self.jwks_uri, self.tls)


class _Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """OpenID Connect Discovery 1.0 §3, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    authorization_response_iss_parameter_supported: bool = False
    scopes_supported: tuple[str, ...] = ()


def own_issuer(server: str, public_url: str, tenant: str, tls: ssl.SSLContext) -> Provider:
    """The issuer of a server, reached at the address that the user knows it by."""
    base = f"{server}/{check_tenant(tenant)}"
    return Provider(
        issuer=f"{public_url}/{tenant}/v2.0",
        authorization_endpoint=f"{base}/oauth2/v2.0/authorize",
        token_endpoint=f"{base}/oauth2/v2.0/token",
        device_authorization_endpoint=f"{base}/oauth2/v2.0/devicecode",
        revocation_endpoint=f"{base}/oauth2/v2.0/revoke",
        jwks_uri=f"{base}/discovery/v2.0/keys",
        assertion_audience=f"{public_url}/{tenant}/oauth2/v2.0/token",
        names_itself=True,
        offers_offline_access=True,
        tls=tls,
    )


def discover_issuer(issuer: str, tls: ssl.SSLContext) -> Provider:
    """Another issuer, as it describes itself."""
    answer = _get(issuer.rstrip("/") + DISCOVERY, tls)
    try:
        found = msgspec.convert(answer, _Configuration)
    except msgspec.ValidationError:
        raise Refused(
            f"{foreign(issuer)} does not describe itself as an OpenID provider does. Ask the"
            " server's administrator to check the issuer.",
            hop=Hop.SERVER,
        ) from None
    if found.issuer != issuer:
        raise Refused(
            f"The issuer {foreign(issuer)} says that it is {foreign(found.issuer)}. Nothing was"
            " sent to it. Ask the server's administrator to check the issuer.",
            hop=Hop.SERVER,
        )
    _check_addresses(found)
    return Provider(
        issuer=found.issuer,
        authorization_endpoint=found.authorization_endpoint,
        token_endpoint=found.token_endpoint,
        device_authorization_endpoint=found.device_authorization_endpoint,
        revocation_endpoint=found.revocation_endpoint,
        jwks_uri=found.jwks_uri,
        names_itself=found.authorization_response_iss_parameter_supported,
        offers_offline_access="offline_access" in found.scopes_supported,
        tls=tls,
    )


def _check_addresses(found: _Configuration) -> None:
    needed = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
    others = (found.device_authorization_endpoint, found.revocation_endpoint)
    for address in (*needed, *filter(None, others)):
        _split(address)


def check_tenant(text: str) -> str:
    """A tenant's id or domain, which changes no path; raises `Malformed`."""
    is_plain = all(c.isascii() and (c.isalnum() or c in "-.") for c in text)
    if not is_plain or not text.strip("."):
        raise Malformed(
            f"'{foreign(text)}' is no tenant. Expected its id or its domain.", hop=Hop.CLIENT
        )
    return text


def _get(address: str, tls: ssl.SSLContext) -> Json:
    origin, path = _split(address)
    rest = Rest(origin, tls=tls)
    try:
        return rest.json("GET", path)
    finally:
        rest.close()


def _split(address: str) -> tuple[str, str]:
    """An address as its origin, and its path with its query."""
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        is_usable = False
    if not is_usable:
        raise Refused(
            f"'{foreign(address)}' is no address that a secret may go to: expected https://HOST.",
            hop=Hop.SERVER,
        )
    query = f"?{parts.query}" if parts.query else ""
    return f"https://{parts.netloc}", f"{parts.path or '/'}{query}"
