"""A sign-in by device code, at the provider's pace."""

from dataclasses import replace

import pytest

from tests.client.conftest import Answer, Scripted
from tests.client.oauth.conftest import WISH
from towrope.client.oauth.device_code import sign_in
from towrope.client.oauth.grant import SignedIn
from towrope.client.oauth.provider import Provider
from towrope.client.rest import GrantRefused
from towrope.wire.errors import Refused, Unauthenticated

CODES = {
    "device_code": "d3vice",
    "user_code": "AB-CD",
    "verification_uri": "https://issuer.example/device",
    "expires_in": 60,
    "interval": 5,
}
TOKENS = Answer(body={"access_token": "a"})


def error(code: str) -> Answer:
    return Answer(status=400, body={"error": code, "error_description": "Told."})


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.said: list[str] = []

    def now(self) -> float:
        return sum(self.slept)

    def run(self, provider: Provider) -> SignedIn:
        return sign_in(
            provider, WISH, say=self.said.append, sleep=self.slept.append, clock=self.now
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_provider_is_asked_until_the_code_was_used(
    clock: Clock, provider: Provider, scripted: Scripted
) -> None:
    pending = error("authorization_pending")
    scripted.answers = [Answer(body=CODES), pending, error("slow_down"), pending, TOKENS]
    signed_in = clock.run(provider)
    assert signed_in.answer.access_token == "a"
    assert signed_in.nonce is None
    assert clock.slept == [5, 5, 10, 10]
    (said,) = clock.said
    assert "https://issuer.example/device" in said
    assert "AB-CD" in said
    assert "d3vice" not in said
    assert b"scope=api%2F.default+openid" in scripted.asked[0].body
    assert all(b"device_code=d3vice" in asked.body for asked in scripted.asked[1:])


def test_providers_own_words(clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={**CODES, "message": "Go there.\x1b"}), TOKENS]
    clock.run(provider)
    assert clock.said == ["Go there.�"]


def test_provider_that_cannot_be_reached_for_a_while(
    clock: Clock, provider: Provider, scripted: Scripted
) -> None:
    scripted.answers = [Answer(body=CODES), Answer(status=503), TOKENS]
    clock.run(provider)
    assert clock.slept == [5, 10]


@pytest.mark.parametrize("code", ["access_denied", "authorization_declined"])
def test_declined(code: str, clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=CODES), error(code)]
    with pytest.raises(Unauthenticated, match="declined"):
        clock.run(provider)


def test_code_has_ended(clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=CODES), error("expired_token")]
    with pytest.raises(Unauthenticated, match="Nobody signed in"):
        clock.run(provider)


def test_nobody_waits_for_ever(clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=CODES), error("authorization_pending")]
    with pytest.raises(Unauthenticated, match="Nobody signed in"):
        clock.run(provider)
    assert clock.now() < 60


def test_other_refusals_end_it(clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body=CODES), error("invalid_grant")]
    with pytest.raises(GrantRefused, match="Told"):
        clock.run(provider)


def test_odd_pace_is_bounded(clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={**CODES, "interval": -5, "expires_in": 1e9}), TOKENS]
    clock.run(provider)
    assert clock.slept == [0]
    scripted.answers = [Answer(body={**CODES, "interval": 1e9, "expires_in": 1e9}), TOKENS]
    clock.run(provider)
    assert clock.slept == [0, 60]


def test_no_device_code(clock: Clock, provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"device_code": "d"})]
    with pytest.raises(Refused, match="gave no device code"):
        clock.run(provider)
    without = replace(provider, device_authorization_endpoint="")
    with pytest.raises(Refused, match="offers no sign-in by device code"):
        clock.run(without)
