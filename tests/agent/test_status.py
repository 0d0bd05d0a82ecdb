"""Errors in the shape that kubectl prints."""

import msgspec
import pytest

from towrope.agent import status
from towrope.wire.errors import (
    Cut,
    Hop,
    Malformed,
    TowropeError,
    Unauthenticated,
    Unreachable,
)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Malformed("m", hop=Hop.AGENT), 400, "BadRequest"),
        (Unauthenticated("m", hop=Hop.AGENT), 401, "Unauthorized"),
        (Cut("m", hop=Hop.APISERVER), 502, "InternalError"),
        (Unreachable("m", hop=Hop.APISERVER), 503, "ServiceUnavailable"),
    ],
)
def test_an_error_is_a_status(error: TowropeError, code: int, reason: str) -> None:
    head, _, body = status.response(status.of_error(error), closes=True).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % code)
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert (b"Retry-After" in head) == (code == 503)
    assert (b"WWW-Authenticate: Bearer" in head) == (code == 401)
    read = msgspec.json.decode(body)
    assert read == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "m",
        "reason": reason,
        "details": read["details"],
        "code": code,
    }
    assert read["details"]["causes"] == [{"reason": "TowropeHop", "message": error.hop}]


def test_kubectl_prints_why_nobody_is_signed_in() -> None:
    refusal = Unauthenticated('of "jörg"\r\nX: y \\', hop=Hop.AGENT)
    head, _, _ = status.response(status.of_error(refusal), closes=True).partition(b"\r\n\r\n")
    expected = '\r\nWarning: 299 towrope "of \\"jörg\\"  X: y \\\\"\r\n'
    assert expected.encode() in head + b"\r\n"
    forbidden = status.response(status.failure(403, "no", hop=Hop.AGENT), closes=True)
    assert b"Warning" not in forbidden


def test_head_gets_no_body() -> None:
    answer = status.response(
        status.failure(408, "slow", hop=Hop.CLIENT), closes=False, with_body=False
    )
    assert answer.endswith(b"\r\n\r\n")
    assert b"Connection" not in answer
