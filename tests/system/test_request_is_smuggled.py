"""Ambiguous requests through the whole chain get 400, and reach no apiserver."""

import pytest

from tests.fixtures.cluster import Cluster
from tests.fixtures.installation import Installation, Proxy
from tests.fixtures.raw import raw_connection

MARKER = "/api/v1/namespaces/default/configmaps/smuggled"


def request(*lines: str, first: str = f"GET {MARKER} HTTP/1.1", body: str = "") -> bytes:
    return ("\r\n".join([first, "Host: cluster", *lines]) + "\r\n\r\n" + body).encode("latin-1")


ATTEMPTS = {
    "two content lengths": request("Content-Length: 3", "Content-Length: 30", body="abc"),
    "length and chunked": request(
        "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"
    ),
    "folded field": request("X-A: b\r\n c"),
    "bare LF": b"GET " + MARKER.encode() + b" HTTP/1.1\nHost: cluster\n\n\r\n\r\n",
    "space before colon": request("Content-Length : 3", body="abc"),
    "chunked twice": request("Transfer-Encoding: chunked, chunked", body="0\r\n\r\n"),
    "not quite chunked": request("Transfer-Encoding: xchunked", body="0\r\n\r\n"),
    "signed length": request("Content-Length: +3", body="abc"),
    "a NUL": request("X-A: b\0c"),
    "another host": request(first=f"GET http://elsewhere{MARKER} HTTP/1.1"),
    "two hosts": request("Host: elsewhere"),
    "hop-by-hop authorization": request("Connection: Authorization"),
    "hop-by-hop impersonation": request("Connection: Impersonate-User", "Impersonate-User: admin"),
    "a mebibyte of head": request("X-A: " + "a" * 1024 * 1024),
    "CONNECT": request(first="CONNECT kubernetes:443 HTTP/1.1"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_it_gets_400_and_goes_no_further(
    installation: Installation, proxy: Proxy, cluster: Cluster, attempt: bytes
) -> None:
    head, blank, rest = attempt.partition(b"\r\n")
    bearer = f"Authorization: Bearer {installation.token}".encode()
    attempt = head + blank + (bearer + blank + rest if b"\n" not in head else rest)
    with raw_connection(proxy) as session:
        try:
            session.sendall(attempt)
            answer = session.recv(65536)
        except OSError:
            answer = b""  # refused while it was still being sent
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert "configmaps/smuggled" not in cluster.audit_log.read_text()


def test_a_bad_chunk_size_ends_the_request(installation: Installation, proxy: Proxy) -> None:
    bearer = f"Authorization: Bearer {installation.token}"
    first = "POST /api/v1/namespaces/default/configmaps HTTP/1.1"
    bad = request(bearer, "Transfer-Encoding: chunked", first=first, body="-1\r\nabc\r\n0\r\n\r\n")
    with raw_connection(proxy) as session:
        session.sendall(bad)
        answer = session.recv(65536)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer[:200]


@pytest.mark.parametrize("scheme", ["", "Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer  "])
def test_without_a_bearer_token_it_gets_401(proxy: Proxy, cluster: Cluster, scheme: str) -> None:
    lines = [f"Authorization: {scheme}"] if scheme else []
    with raw_connection(proxy) as session:
        session.sendall(request(*lines))
        answer = session.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401 "), answer[:200]
    assert b'"kind":"Status"' in answer.replace(b" ", b"")
    assert "configmaps/smuggled" not in cluster.audit_log.read_text()
