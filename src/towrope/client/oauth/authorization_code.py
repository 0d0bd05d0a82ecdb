"""Signing in with a browser on this machine: authorization code with PKCE (RFC 6749, 7636, 8252).

The browser comes back to a port of the loopback address. What comes there is believed only if it
repeats the state; the code is worth something only together with the verifier, which stays here.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from towrope.client.oauth.grant import SignedIn, Wish, unguessable
from towrope.client.oauth.loopback import Loopback
from towrope.client.oauth.provider import Provider
from towrope.wire.errors import Hop, Refused, Unauthenticated, foreign

WITHIN = 300.0
"""Seconds that a person has."""


def sign_in(
    provider: Provider,
    wish: Wish,
    *,
    show: Callable[[str], None],
    within: float = WITHIN,
) -> SignedIn:
    """Has `show` open an address in a browser, and returns once somebody signed in there."""
    verifier, state, nonce = unguessable(), unguessable(), unguessable()
    with Loopback(state, host=wish.redirect_host) as loopback:
        show(_address(provider, wish, loopback.redirect_uri, verifier, state, nonce))
        response = loopback.wait(within)
        form = {
            "grant_type": "authorization_code",
            "client_id": wish.client_id,
            "code": _code(response, provider),
            "redirect_uri": loopback.redirect_uri,
            "code_verifier": verifier,
        }
        return SignedIn(answer=provider.redeem(form), nonce=nonce)


def _address(
    provider: Provider, wish: Wish, redirect_uri: str, verifier: str, state: str, nonce: str
) -> str:
    asked = {
        "client_id": wish.client_id,
        "response_type": "code",
        "redirect_uri": redirect_uri,
        "scope": wish.scope,
        "state": state,
        "nonce": nonce,
        "code_challenge": _challenge(verifier),
        "code_challenge_method": "S256",
    }
    if wish.login_hint:
        asked["login_hint"] = wish.login_hint
    if wish.asks_consent:
        asked["prompt"] = "consent"
    separator = "&" if "?" in provider.authorization_endpoint else "?"
    return f"{provider.authorization_endpoint}{separator}{urlencode(asked)}"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _code(response: Mapping[str, str], provider: Provider) -> str:
    said = response.get("iss")
    # RFC 9207 §2.4: else the code may be another provider's.
    if said not in (None, provider.issuer) or (said is None and provider.names_itself):
        raise Refused(
            f"The sign-in was answered by another issuer than {foreign(provider.issuer)}. Nothing"
            " was sent to it. Run 'towrope login' again.",
            hop=Hop.CLIENT,
        )
    if "error" in response:
        reason = response.get("error_description") or response["error"]
        raise Unauthenticated(f"Nobody signed in: {foreign(reason)}", hop=Hop.SERVER)
    return response["code"]
