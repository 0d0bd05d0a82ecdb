"""Codes, refresh tokens and pages in the wrong hands, at the running server."""

import time
from collections.abc import Iterator

import pytest

from tests.fixtures.audit import events
from tests.fixtures.cluster import Cluster
from tests.fixtures.oauth_client import CLIENT, DEVICE_GRANT, LOOPBACK, OAuthClient
from tests.fixtures.people import People, Person
from tests.fixtures.raw import ask, raw_connection
from tests.fixtures.workplace import Proxy

EVIL = "https://evil.example/"


@pytest.fixture(scope="module")
def victim(people: People) -> Person:
    return people.user("victor")


@pytest.fixture
def client(people: People, victim: Person) -> Iterator[OAuthClient]:
    made = OAuthClient(people=people, person=victim)
    yield made
    made.close()


def test_a_code_that_is_redeemed_twice_ends_what_it_gave(client: OAuthClient) -> None:
    code = client.code()
    first = client.redeem(code).raise_for_status().json()
    assert client.redeem(code).status_code == 400
    assert client.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "x" * 64},
        {"code_verifier": ""},
        {"redirect_uri": "http://localhost:8401/"},
        {"client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"},
    ],
    ids=["another verifier", "no verifier", "another address", "another client"],
)
def test_a_code_that_was_stolen_is_worth_nothing(
    client: OAuthClient, changed: dict[str, str]
) -> None:
    answer = client.redeem(client.code(), **changed)
    assert answer.status_code == 400
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
        {"response_type": "token"},
        {"response_type": "id_token token"},
    ],
    ids=["none", "plain", "plain, unsaid", "short", "implicit", "implicit, twice"],
)
def test_no_code_without_a_proof_to_come(
    client: OAuthClient, changed: dict[str, str | None]
) -> None:
    answer = client.browser.visit(client.authorize(**changed), stop_at=LOOPBACK)
    place = answer.headers.get("location", "")
    assert "code=" not in place
    assert "access_token" not in place
    assert answer.status_code >= 400 or "error=" in place


@pytest.mark.parametrize(
    "place",
    [
        EVIL,
        "http://evil.example/",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://localhost:80@evil.example/",
        "//evil.example",
        "http://localhost\\@evil.example/",
        "javascript:alert(1)",
        "http://localhost:8400/#fragment",
    ],
)
def test_nobody_is_sent_elsewhere(client: OAuthClient, place: str) -> None:
    answer = client.browser.client.get(client.authorize(redirect_uri=place))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert 'action="http' not in answer.text


def test_a_refresh_token_that_is_used_twice_ends_the_session(client: OAuthClient) -> None:
    first = client.signed_in()["refresh_token"]
    second = client.refresh(first).raise_for_status().json()["refresh_token"]
    assert second != first
    # Beyond the moment in which an answer may have been lost on its way.
    again = client.refresh(first)
    assert again.status_code == 400
    assert client.refresh(second).status_code == 400


def test_a_token_for_the_api_is_none_at_a_cluster(
    client: OAuthClient, proxy: Proxy, cluster: Cluster
) -> None:
    token = client.signed_in()["access_token"]
    assert client.get("/subscriptions", token).status_code == 200
    with raw_connection(proxy) as session:
        ask(session, token, "/api/v1/namespaces/default/configmaps/with-an-api-token")
        assert session.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert events(cluster, "with-an-api-token") == []


def test_a_token_for_a_cluster_is_none_at_the_api(client: OAuthClient, people: People) -> None:
    refresh = client.signed_in()["refresh_token"]
    scope = f"{people.cluster_id}/.default"
    token = client.refresh(refresh, scope=scope).raise_for_status().json()["access_token"]
    for path in ("/subscriptions", "/v1.0/me"):
        assert client.get(path, token).status_code == 401


def test_no_form_is_sent_from_another_site(client: OAuthClient) -> None:
    """Neither with our cookies nor with another session's form."""
    client.signed_in()
    for path in ("/device", f"/{client.people.tenant}/oauth2/v2.0/authorize"):
        for headers in ({"Origin": EVIL.rstrip("/")}, {"Sec-Fetch-Site": "cross-site"}, {}):
            forged = {"user_code": "BCDF-GHJK", "answer": "continue", "form_token": "x" * 43}
            answer = client.browser.client.post(
                client.person.server + path, data=forged, headers=headers
            )
            assert answer.status_code in (400, 403, 404, 405), (path, headers)
            assert "location" not in answer.headers


def test_pages_are_in_no_frame_and_keep_no_copy(client: OAuthClient) -> None:
    answer = client.browser.client.get(client.authorize())
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_device_code_is_not_asked_for_in_vain(client: OAuthClient) -> None:
    """One that nobody approved gives nothing, however often it is asked for."""
    given = client.ask("devicecode", scope=client.scope).raise_for_status().json()
    form = {"grant_type": DEVICE_GRANT, "device_code": given["device_code"]}
    answers = [client.ask("token", **form) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["error"] for answer in answers} <= {
        "authorization_pending",
        "slow_down",
    }
    assert client.ask("token", **{**form, "client_id": CLIENT[::-1]}).status_code in (400, 401)


def test_nobody_learns_whether_a_user_exists(people: People, victim: Person) -> None:
    """By the text, nor by the time; on a busy machine the quickest tell the most."""

    def failed(name: str) -> tuple[str, float]:
        client = OAuthClient(people=people, person=victim)
        client.browser.typed.update(username=name, password="wrong")
        try:
            page = client.browser.client.get(client.authorize())
            started = time.perf_counter()
            answer = client.browser.submit(page)
            return answer.text.replace(name, "NAME"), time.perf_counter() - started
        finally:
            client.close()

    known: list[float] = []
    unknown: list[float] = []
    texts = set()
    for number in range(4):
        there = people.user(f"there{number}").user_principal_name
        for name, times in ((there, known), (f"absent{number}@contoso.example", unknown)):
            text, elapsed = failed(name)
            texts.add(without_tokens(text))
            times.append(elapsed)
    assert len(texts) == 1
    # A password that is not compared at all takes a tenth.
    assert 1 / 3 < min(known) / min(unknown) < 3


def without_tokens(page: str) -> str:
    """What differs from one page to the next, whoever is told."""
    return "\n".join(
        line for line in page.splitlines() if 'type="hidden"' not in line and "action=" not in line
    )
