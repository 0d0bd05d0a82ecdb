"""The port that the browser comes back to takes one good answer, and nothing else."""

import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest

from towrope.client.oauth.loopback import FORM_LIMIT, Loopback
from towrope.wire.errors import Unauthenticated

GOOD = {"state": "s", "code": "c"}


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with Loopback("s") as made:
        yield made


def get(loopback: Loopback, answer: object, **options: object) -> httpx2.Response:
    uri = loopback.redirect_uri
    return httpx2.get(uri, params=answer, trust_env=False, **options)  # type: ignore[arg-type]  # what a page could send


def test_answer_as_a_query(loopback: Loopback) -> None:
    answer = get(loopback, GOOD)
    assert answer.status_code == 200
    assert "You may close this window" in answer.text
    assert "script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert loopback.wait(5) == GOOD


def test_answer_as_a_posted_form(loopback: Loopback) -> None:
    answer = httpx2.post(loopback.redirect_uri, data=GOOD, trust_env=False)
    assert answer.status_code == 200
    assert loopback.wait(5) == GOOD


def test_refusal_is_an_answer(loopback: Loopback) -> None:
    answer = get(loopback, {"state": "s", "error": "access_denied"})
    assert "did not succeed" in answer.text
    assert loopback.wait(5)["error"] == "access_denied"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"code": "c"},
        {"state": "x", "code": "c"},
        {"state": "x", "error": "e"},
        {"state": "s"},
        {"state": "é", "code": "c"},
        [("state", "s"), ("code", "c"), ("code", "d")],
        [("state", "s"), ("state", "s"), ("code", "c")],
        [("state", "s"), ("code", "c"), *((f"n{i}", "v") for i in range(40))],
    ],
)
def test_strange_answers_do_not_end_the_wait(answer: object, loopback: Loopback) -> None:
    assert get(loopback, answer).status_code == 400
    get(loopback, GOOD)
    assert loopback.wait(5) == GOOD


def test_second_answer_is_turned_away(loopback: Loopback) -> None:
    get(loopback, GOOD)
    assert get(loopback, {"state": "s", "code": "other"}).status_code == 409
    assert loopback.wait(5) == GOOD


def test_other_places_and_names(loopback: Loopback) -> None:
    assert httpx2.get(f"{loopback.redirect_uri}favicon.ico", trust_env=False).status_code == 404
    assert get(loopback, GOOD, headers={"host": "evil.example"}).status_code == 404
    with pytest.raises(Unauthenticated):
        loopback.wait(0)


@pytest.mark.parametrize("length", [str(FORM_LIMIT + 1), "-1", "x", "²"])
def test_form_that_is_too_long(length: str, loopback: Loopback) -> None:
    address, _, port = loopback.authority.partition(":")
    with socket.create_connection((address, int(port)), timeout=20) as connection:
        head = f"POST / HTTP/1.1\r\nHost: {loopback.authority}\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode("latin-1"))
        assert b" 413 " in connection.recv(1024)


def test_silent_connection_holds_nobody_up(loopback: Loopback) -> None:
    """Browsers open connections ahead of need."""
    port = int(loopback.authority.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        get(loopback, GOOD)
        assert loopback.wait(5) == GOOD


def test_nobody_comes(loopback: Loopback) -> None:
    with pytest.raises(Unauthenticated, match="--use-device-code"):
        loopback.wait(0)


def test_port_is_closed_at_the_end() -> None:
    before = threading.active_count()
    with Loopback("s", host="localhost") as loopback:
        assert loopback.redirect_uri.startswith("http://localhost:")
        port = int(loopback.authority.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert threading.active_count() == before
