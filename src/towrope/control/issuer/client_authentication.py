"""Which client posts a form to the issuer, and whether it is that client (RFC 6749 §2.3).

A client without a credential is known by its id alone; what it may have is bound by other means:
PKCE, a device code, a refresh token.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from starlette.requests import Request

from towrope.control.issuer import client_assertion, clients, scopes
from towrope.control.issuer.client_assertion import GoodAssertion
from towrope.control.issuer.endpoints import token_endpoints
from towrope.control.issuer.forms import Form
from towrope.control.issuer.oauth_error import OAuthError, invalid_client, invalid_request, missing
from towrope.control.services import Services
from towrope.control.store import service_principals, used_assertions
from towrope.control.store.service_principals import (
    ApplicationCredential,
    ServicePrincipal,
    secret_hash,
)

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
NOBODYS_SECRET = secret_hash("nobody's")
PURPOSE_FIELDS = ("grant_type", "code", "refresh_token", "req_cnf")
CREDENTIAL_FIELDS = ("client_secret", "client_assertion")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientForm:
    """A form, with the client's id and credential from wherever they were given."""

    fields: Form
    client_id: str

    @property
    def has_credential(self) -> bool:
        return any(name in self.fields for name in CREDENTIAL_FIELDS)


def client_form(request: Request, form: Form) -> ClientForm:
    """Raises `OAuthError` where no client is named, or one credential too many is given."""
    basic = _basic(request.headers.get("authorization", ""))
    if basic is not None:
        if any(name in form for name in CREDENTIAL_FIELDS):
            raise invalid_request("The client gives more than one credential.")
        if form.get("client_id", basic[0]) != basic[0]:
            raise invalid_request("The client gives two different ids.")
        form = {**form, "client_id": basic[0], "client_secret": basic[1]}
    if all(name in form for name in CREDENTIAL_FIELDS):
        raise invalid_request("The client gives more than one credential.")
    if not form.get("client_id"):
        raise missing("client_id")
    return ClientForm(fields=form, client_id=form["client_id"].lower())


def _basic(header: str) -> tuple[str, str] | None:
    """Id and secret of an Authorization header, each encoded as in a form (RFC 6749 §2.3.1)."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_request("The Authorization header is not Basic authentication.") from None
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


async def identify(services: Services, form: ClientForm) -> str:
    """The id of a client that need not have a credential, but where it gives one, a good one.

    Raises `OAuthError`.
    """
    if form.has_credential:
        return (await authenticate(services, form)).app_id
    async with services.database.reading() as connection:
        client = await clients.find(connection, form.client_id)
    if client is None:
        raise OAuthError(
            "unauthorized_client", 700016, "The application was not found in the directory."
        )
    return client.client_id


async def authenticate(services: Services, form: ClientForm) -> ServicePrincipal:
    """The application whose credential is given. Raises `OAuthError` (`invalid_client`).

    An unknown client takes the same work as a wrong secret.
    """
    now = int(services.clock())
    async with services.database.reading() as connection:
        found = await service_principals.find(connection, form.client_id)
        known = await service_principals.credentials_of(connection, form.client_id)
    current = [each for each in known if each.starts <= now < each.ends]
    if "client_assertion" in form.fields:
        asserted = _asserted(services, form, current)
        is_right = asserted is not None and await _is_first(services, form, asserted)
    else:
        is_right = _is_secret(form.fields.get("client_secret", ""), current)
    if not is_right or found is None or not found.account_enabled:
        raise invalid_client()
    return found


def _is_secret(given: str, current: Sequence[ApplicationCredential]) -> bool:
    hashed = secret_hash(given)
    hashes = [each.secret_hash or NOBODYS_SECRET for each in current] or [NOBODYS_SECRET]
    is_equal = sum(hmac.compare_digest(hashed, each) for each in hashes) > 0
    return is_equal and hashed != NOBODYS_SECRET


def _asserted(
    services: Services, form: ClientForm, current: Sequence[ApplicationCredential]
) -> GoodAssertion | None:
    if form.fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise invalid_request(f"The client_assertion_type must be '{ASSERTION_TYPE}'.")
    certificates = [each.certificate for each in current if each.certificate is not None]
    return client_assertion.verify(
        form.fields["client_assertion"],
        certificates,
        client_id=form.client_id,
        audiences=token_endpoints(services.settings) | {services.tokens.issuer},
        now=services.clock(),
    )


async def _is_first(services: Services, form: ClientForm, asserted: GoodAssertion) -> bool:
    """Whether the assertion was not used before for what it is used for."""
    resource = scopes.parse(form.fields.get("scope", "")).resource or str(services.settings.url)
    purpose = [resource.lower(), *(form.fields.get(name, "") for name in PURPOSE_FIELDS)]
    used = client_assertion.use_hash(form.client_id, asserted.jti, purpose=purpose)
    async with services.database.writing() as connection:
        return await used_assertions.add(
            connection, used, expires_at=asserted.expires_at, now=int(services.clock())
        )
