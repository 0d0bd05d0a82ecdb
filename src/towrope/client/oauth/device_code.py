"""Signing in on another device (RFC 8628): a code is shown, and waited for until it is used."""

import time
from collections.abc import Callable

import msgspec

from towrope.client.oauth.grant import SignedIn, TokenAnswer, Wish
from towrope.client.oauth.provider import Provider
from towrope.client.rest import GrantRefused
from towrope.wire.errors import Hop, Refused, Unauthenticated, Unreachable, foreign

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST_INTERVAL = 60.0
LONGEST_LIFE = 1800.0
SLOWER_BY = 5.0


class _DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8628 §3.2; `message` is Entra's."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float = 900
    interval: float = 5
    message: str = ""


def sign_in(
    provider: Provider,
    wish: Wish,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> SignedIn:
    """Says what to do by `say`, and returns once it was done. Raises where it is not."""
    asked = _ask(provider, wish)
    say(
        foreign(asked.message)
        or f"To sign in, open {foreign(asked.verification_uri)} in a browser and enter the code"
        f" {foreign(asked.user_code)}."
    )
    deadline = clock() + min(max(asked.expires_in, 0.0), LONGEST_LIFE)
    interval = _bounded(asked.interval)
    while clock() + interval < deadline:
        sleep(interval)
        answer, interval = _poll(provider, wish, asked.device_code, interval)
        if answer is not None:
            return SignedIn(answer=answer, nonce=None)
    raise _expired()


def _ask(provider: Provider, wish: Wish) -> _DeviceAnswer:
    if not provider.device_authorization_endpoint:
        raise Refused(
            f"{foreign(provider.issuer)} offers no sign-in by device code. Run 'towrope login'"
            " where there is a browser.",
            hop=Hop.CLIENT,
        )
    form = {"client_id": wish.client_id, "scope": wish.scope}
    answer = provider.post(provider.device_authorization_endpoint, form, repeatable=True)
    try:
        return msgspec.convert(answer, _DeviceAnswer)
    except msgspec.ValidationError:
        raise Refused(f"{foreign(provider.issuer)} gave no device code.", hop=Hop.SERVER) from None


def _poll(
    provider: Provider, wish: Wish, device_code: str, interval: float
) -> tuple[TokenAnswer | None, float]:
    """The answer, if there is one yet, and how long to wait before the next time."""
    form = {"grant_type": GRANT_TYPE, "client_id": wish.client_id, "device_code": device_code}
    try:
        return provider.redeem(form), interval
    except Unreachable:
        # RFC 8628 §3.5: with longer and longer waits.
        return None, _bounded(interval * 2)
    except GrantRefused as refused:
        if refused.code == "authorization_pending":
            return None, interval
        if refused.code == "slow_down":
            return None, _bounded(interval + SLOWER_BY)
        if refused.code == "expired_token":
            raise _expired() from None
        if refused.code in ("access_denied", "authorization_declined"):
            raise Unauthenticated("The sign-in was declined.", hop=Hop.SERVER) from None
        raise


def _bounded(interval: float) -> float:
    return min(max(interval, 0.0), LONGEST_INTERVAL)


def _expired() -> Unauthenticated:
    return Unauthenticated(
        "Nobody signed in before the code ended. Run 'towrope login' again.", hop=Hop.SERVER
    )
