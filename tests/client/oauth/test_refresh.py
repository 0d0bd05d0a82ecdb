"""A refresh token is sent once."""

from urllib.parse import parse_qs

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.oauth.provider import Provider
from towrope.client.oauth.refresh import refresh
from towrope.wire.errors import Unreachable


def test_refresh(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(body={"access_token": "a", "refresh_token": "r-2"})]
    assert refresh(provider, "client", "r-1", "api/.default").refresh_token == "r-2"
    assert parse_qs(scripted.asked[0].body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["client"],
        "refresh_token": ["r-1"],
        "scope": ["api/.default"],
    }


def test_lost_answer_is_not_asked_for_again(provider: Provider, scripted: Scripted) -> None:
    scripted.answers = [Answer(status=502), Answer(body={"access_token": "a"})]
    with pytest.raises(Unreachable):
        refresh(provider, "client", "r-1", "api/.default")
    assert len(scripted.asked) == 1
