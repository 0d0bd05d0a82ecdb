"""The authorization endpoint without its pages: what is asked, and what the client is answered.

`parse` reads a request, `grant` answers once somebody has signed in, `refuse` answers otherwise.
Nothing is sent to an address before it is known to be the client's own (RFC 6749 §4.1.2.1): where
it is not, `PageError` is for the person to read.
"""

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlencode

from towrope.control.issuer import clients, redirects, scopes
from towrope.control.issuer.clients import Client
from towrope.control.issuer.oauth_error import OAuthError, invalid_request
from towrope.control.issuer.scopes import Scope
from towrope.control.services import Services
from towrope.control.store import authorization_codes
from towrope.control.store.authorization_codes import AuthorizationCode, code_hash
from towrope.wire.errors import foreign

CODE_LIFETIME = 300
"""Seconds: where no script runs, the person has to press a button on the way back."""
CODE_BYTES = 32
STATE_LIMIT = 4096
NONCE_LIMIT = 512
HINT_LIMIT = 256
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 §4.2, of SHA-256
_MAX_AGE = re.compile(r"[0-9]{1,9}")

Parameters = Sequence[tuple[str, str]]


class ResponseMode(StrEnum):
    QUERY = "query"
    FRAGMENT = "fragment"
    FORM_POST = "form_post"


class Prompt(StrEnum):
    """OpenID Connect Core §3.1.2.1."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"
    SELECT_ACCOUNT = "select_account"
    CREATE = "create"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A good request. The scope names a resource that there is."""

    client: Client
    redirect_uri: str
    scope: Scope
    response_mode: ResponseMode
    state: str | None
    nonce: str | None
    code_challenge: str
    prompts: frozenset[Prompt]
    login_hint: str
    """The user name to offer; empty: none."""
    domain_hint: str
    max_age: int | None
    """Seconds that the sign-in may be old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """What the browser takes to the client: by `location`, or by a form with `parameters`."""

    redirect_uri: str
    response_mode: ResponseMode
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def location(self) -> str:
        """Where to redirect to, for the modes `query` and `fragment`."""
        mark = "#" if self.response_mode is ResponseMode.FRAGMENT else "?"
        return f"{self.redirect_uri}{mark}{urlencode(self.parameters)}"


class PageError(Exception):
    """For the person to read: there is no address that it could be sent to."""

    def __init__(self, cause: OAuthError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class RedirectError(Exception):
    """For the client: `response` tells it what is wrong."""

    def __init__(self, cause: OAuthError, response: AuthorizationResponse) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.response = response


async def parse(services: Services, parameters: Parameters) -> AuthorizationRequest:
    """Raises `PageError` or `RedirectError`."""
    given = dict(parameters)
    repeated = {name for name, count in Counter(n for n, _ in parameters).items() if count > 1}
    client = await _client(services, given, repeated)
    redirect_uri = _redirect_uri(given, repeated)
    try:
        if repeated:
            raise invalid_request("A parameter is given more than once.")
        request = _request(given, client, redirect_uri)
        async with services.database.reading() as connection:
            await scopes.audience(connection, services.settings, request.scope)
    except OAuthError as cause:
        state = given.get("state") if "state" not in repeated else None
        response = AuthorizationResponse(
            redirect_uri=redirect_uri,
            response_mode=_mode_of_errors(given),
            parameters=_error(services, cause, state),
        )
        raise RedirectError(cause, response) from None
    return request


async def grant(
    services: Services, request: AuthorizationRequest, *, object_id: str, authenticated_at: int
) -> AuthorizationResponse:
    """A code for the user that has signed in, who is asked for nothing more."""
    code = secrets.token_urlsafe(CODE_BYTES)
    now = int(services.clock())
    kept = AuthorizationCode(
        code_hash=code_hash(code),
        client_id=request.client.client_id,
        redirect_uri=request.redirect_uri,
        scope=request.scope.text,
        object_id=object_id,
        nonce=request.nonce,
        code_challenge=request.code_challenge,
        authenticated_at=authenticated_at,
        expires_at=now + CODE_LIFETIME,
    )
    async with services.database.writing() as connection:
        await authorization_codes.add(connection, kept, now=now)
    return _response(request, {"code": code} | _shared(services, request.state))


def refuse(
    services: Services, request: AuthorizationRequest, cause: OAuthError
) -> AuthorizationResponse:
    """Tells the client that there is no code, as `login_required()` or `access_denied()`."""
    return _response(request, _error(services, cause, request.state))


def login_required() -> OAuthError:
    return OAuthError(
        "login_required", 50058, "Nobody is signed in, and the request forbids to ask."
    )


def access_denied() -> OAuthError:
    return OAuthError("access_denied", 65004, "The sign-in was cancelled.")


async def _client(services: Services, given: Mapping[str, str], repeated: set[str]) -> Client:
    client_id = given.get("client_id", "")
    if not client_id or "client_id" in repeated:
        raise PageError(invalid_request("The request does not name one client_id.", code=900144))
    async with services.database.reading() as connection:
        client = await clients.find(connection, client_id)
    if client is None:
        raise PageError(
            OAuthError(
                "unauthorized_client",
                700016,
                f"Application with identifier '{foreign(client_id)}' was not found in the"
                " directory.",
            )
        )
    return client


def _redirect_uri(given: Mapping[str, str], repeated: set[str]) -> str:
    redirect_uri = given.get("redirect_uri", "")
    if "redirect_uri" in repeated or not redirects.is_loopback(redirect_uri):
        raise PageError(
            invalid_request(
                f"The redirect URI '{foreign(redirect_uri)}' is not allowed. Expected"
                " 'http://localhost[:PORT][/PATH]': a program on your own machine.",
                code=50011,
            )
        )
    return redirect_uri


def _request(given: Mapping[str, str], client: Client, redirect_uri: str) -> AuthorizationRequest:
    """Raises `OAuthError`."""
    if given.get("response_type") != "code":
        raise OAuthError(
            "unsupported_response_type", 700054, "The response_type must be 'code', and no other."
        )
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scope=scopes.parse(given.get("scope", "")),
        response_mode=_mode(given),
        state=_bounded(given, "state", STATE_LIMIT),
        nonce=_bounded(given, "nonce", NONCE_LIMIT),
        code_challenge=_challenge(given),
        prompts=_prompts(given.get("prompt", "")),
        login_hint=_bounded(given, "login_hint", HINT_LIMIT) or "",
        domain_hint=_bounded(given, "domain_hint", HINT_LIMIT) or "",
        max_age=_max_age(given.get("max_age")),
    )


def _mode(given: Mapping[str, str]) -> ResponseMode:
    try:
        return ResponseMode(given.get("response_mode", ResponseMode.QUERY))
    except ValueError:
        raise invalid_request(
            "The response_mode must be 'query', 'fragment' or 'form_post'.", code=90023
        ) from None


def _mode_of_errors(given: Mapping[str, str]) -> ResponseMode:
    try:
        return _mode(given)
    except OAuthError:
        return ResponseMode.QUERY


def _bounded(given: Mapping[str, str], name: str, limit: int) -> str | None:
    value = given.get(name)
    if value is not None and len(value) > limit:
        raise invalid_request(f"The parameter '{name}' is longer than {limit} characters.")
    return value


def _challenge(given: Mapping[str, str]) -> str:
    """RFC 7636, S256 alone: 'plain' would show the verifier to whoever sees the request."""
    if given.get("code_challenge_method") != "S256":
        raise invalid_request("The code_challenge_method must be 'S256'.", code=501491)
    challenge = given.get("code_challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        raise invalid_request(
            "The code_challenge must be the SHA-256 of a code_verifier, base64url.", code=501491
        )
    return challenge


def _prompts(text: str) -> frozenset[Prompt]:
    try:
        prompts = frozenset(Prompt(word) for word in text.split())
    except ValueError:
        raise invalid_request("The value of 'prompt' is unknown.", code=90023) from None
    if Prompt.NONE in prompts and len(prompts) > 1:
        raise invalid_request("The prompt 'none' stands alone.", code=90023)
    return prompts


def _max_age(text: str | None) -> int | None:
    if text is not None and not _MAX_AGE.fullmatch(text):
        raise invalid_request("The parameter 'max_age' must be a number of seconds.")
    return int(text) if text is not None else None


def _shared(services: Services, state: str | None) -> dict[str, str]:
    """What success and failure both tell; `iss` is RFC 9207's, against mixed-up servers."""
    kept = {"state": state} if state is not None else {}
    return kept | {"iss": services.tokens.issuer}


def _error(services: Services, cause: OAuthError, state: str | None) -> dict[str, str]:
    told = {"error": cause.error, "error_description": cause.description}
    return told | _shared(services, state)


def _response(
    request: AuthorizationRequest, parameters: Mapping[str, str]
) -> AuthorizationResponse:
    return AuthorizationResponse(
        redirect_uri=request.redirect_uri,
        response_mode=request.response_mode,
        parameters=parameters,
    )
