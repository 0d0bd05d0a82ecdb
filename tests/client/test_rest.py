"""Requests to a server: what is tried again, what is not, and what is said when it fails."""

import ssl
from collections.abc import Iterator
from http import HTTPStatus

import httpx2
import pytest
import stamina

from tests.client.conftest import Answer, Scripted
from towrope.client.rest import LONGEST_WAIT, Conflict, Rest, Untrusted, retry_after
from towrope.wire.errors import (
    Forbidden,
    Hop,
    NotFound,
    Refused,
    TowropeError,
    Unauthenticated,
    Unreachable,
)

ARM_ERROR = {"error": {"code": "Odd", "message": "The name is odd."}}


@pytest.fixture(autouse=True)
def quick_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def rest(scripted: Scripted) -> Iterator[Rest]:
    made = Rest(scripted.url, tls=scripted.tls)
    yield made
    made.close()


def test_asks_and_reads(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(body={"name": "a"})]
    assert rest.json("PUT", "/x", query={"api-version": "1"}, body={"a": 1}) == {"name": "a"}
    asked = scripted.asked[0]
    assert (asked.method, asked.path, asked.body) == ("PUT", "/x?api-version=1", b'{"a":1}')
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-ms-client-request-id"]
    assert asked.headers["user-agent"].startswith("towrope/")


def test_empty_answer(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=204, body="")]
    assert rest.json("DELETE", "/x") == {}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_server_is_asked_again(status: int, scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=status), Answer(status=status), Answer(body={"name": "a"})]
    assert rest.json("GET", "/x") == {"name": "a"}
    assert len(scripted.asked) == 3


def test_busy_server_is_given_up(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=503, body=ARM_ERROR)]
    with pytest.raises(Unreachable, match="busy or not ready: HTTP 503: The name is odd"):
        rest.json("GET", "/x")
    assert len(scripted.asked) == 4


def test_post_is_not_repeated_unless_it_may(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=503)]
    with pytest.raises(Unreachable):
        rest.json("POST", "/x")
    assert len(scripted.asked) == 1
    scripted.answers = [Answer(status=503), Answer()]
    rest.json("POST", "/x", repeatable=True)
    assert len(scripted.asked) == 3


@pytest.mark.parametrize(
    ("header", "waits"),
    [("2", 2.0), ("999", LONGEST_WAIT), ("soon", None), ("-1", None), (None, None)],
)
def test_retry_after_is_obeyed_within_bounds(header: str | None, waits: float | None) -> None:
    headers = {} if header is None else {"retry-after": header}
    assert retry_after(httpx2.Response(503, headers=headers)) == waits


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (500, Refused),
    ],
)
def test_refusals_keep_the_servers_sentence(
    status: int, kind: type[TowropeError], scripted: Scripted, rest: Rest
) -> None:
    scripted.answers = [Answer(status=status, body=ARM_ERROR)]
    with pytest.raises(kind, match="The name is odd") as caught:
        rest.json("PUT", "/x", body={})
    assert type(caught.value) is kind
    assert caught.value.hop is Hop.SERVER
    assert len(scripted.asked) == 1


def test_a_missing_right_says_whom_to_ask(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=403, body=ARM_ERROR)]
    with pytest.raises(Forbidden, match="Ask somebody who assigns roles"):
        rest.json("GET", "/x")


def test_oauth_errors_are_read_too(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [
        Answer(status=401, body={"error": "invalid_client", "error_description": "No such client"})
    ]
    with pytest.raises(Unauthenticated, match=r"No such client\. Sign in again"):
        rest.json("POST", "/token", form={"a": "b"})


def test_foreign_text_is_bounded_and_printable(scripted: Scripted, rest: Rest) -> None:
    message = "\x1b[31m" + "x" * 10_000
    scripted.answers = [Answer(status=400, body={"error": {"message": message}})]
    with pytest.raises(Refused) as caught:
        rest.json("GET", "/x")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", [200, 403, 404, 302])
def test_something_else_than_a_towrope_server(status: int, scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=status, body="<html>", headers={"content-type": "text/html"})]
    with pytest.raises(Refused, match="does not answer as a Towrope server"):
        rest.json("GET", "/x")


def test_redirects_are_not_followed(scripted: Scripted, rest: Rest) -> None:
    scripted.answers = [Answer(status=307, headers={"location": f"{scripted.url}/other"})]
    with pytest.raises(Refused):
        rest.json("GET", "/x")
    assert len(scripted.asked) == 1


def test_refused_token_is_replaced_once(scripted: Scripted) -> None:
    tokens = ["old"]
    rest = Rest(
        scripted.url,
        tls=scripted.tls,
        token=lambda: tokens[-1],
        refused=lambda: tokens.append("new"),
    )
    scripted.answers = [Answer(status=401), Answer(body={"name": "a"})]
    assert rest.json("GET", "/x") == {"name": "a"}
    scripted.answers = [Answer(status=401)]
    with pytest.raises(Unauthenticated):
        rest.json("GET", "/x")
    rest.close()
    sent = [asked.headers["authorization"] for asked in scripted.asked]
    assert sent == ["Bearer old"] + ["Bearer new"] * 3


def test_unknown_authority_is_not_trusted_and_not_tried_again(scripted: Scripted) -> None:
    rest = Rest(scripted.url, tls=ssl.create_default_context())
    with pytest.raises(Untrusted, match="--ca-fingerprint"):
        rest.json("GET", "/x")
    rest.close()
    assert scripted.asked == []


def test_name_that_is_not_in_the_certificate(scripted: Scripted) -> None:
    url = scripted.url.replace("127.0.0.1", "127.0.0.2")
    rest = Rest(url, tls=scripted.tls)
    # Linux answers on all of 127/8; elsewhere it is unreachable, which is refused as well.
    with pytest.raises(Unreachable):
        rest.json("GET", "/x")
    rest.close()
    assert scripted.asked == []


def test_nobody_there(scripted: Scripted) -> None:
    scripted.close()
    rest = Rest(scripted.url, tls=scripted.tls)
    with pytest.raises(Unreachable, match="connection refused") as caught:
        rest.json("GET", "/x")
    rest.close()
    assert caught.value.status is HTTPStatus.BAD_GATEWAY


def test_loopback_needs_no_proxy(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever HTTPS_PROXY says: nobody answers at the one named here."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    rest = Rest(scripted.url, tls=scripted.tls)
    assert rest.json("GET", "/x") == {}
    rest.close()


def test_proxy_is_used_for_the_rest(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    rest = Rest("https://towrope.invalid", tls=scripted.tls)
    with pytest.raises(Unreachable, match="connection refused"):
        rest.json("GET", "/x")
    rest.close()
