"""What a caller may do, asked with the caller's own credential and nothing of the agent's."""

import json
import ssl
from typing import Any

import httpx2
import pytest

from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.self_reviews import SelfReviews
from towrope.agent.upstream import Address
from towrope.wire.errors import Hop, Refused, TowropeError, Unreachable

OWN = ((b"Authorization", b"Bearer own"), (b"Impersonate-User", b"jane"))
ACCESS = Access(verb="watch", resource="pods", namespace="n")
ADDRESS = Address(
    host="apiserver.test",
    port=6443,
    tls=ssl.create_default_context(),
    tls_server_name="inside.test",
    path=b"/clusters/a",
)


class Apiserver:
    def __init__(self, status: int = 201, body: Any = None, failure: Exception | None = None):
        self.answer = httpx2.Response(status, json=body)
        self.failure = failure
        self.requests: list[httpx2.Request] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        return self.answer

    async def review(self, access: Access = ACCESS) -> Verdict:
        reviews = SelfReviews(ADDRESS, transport=httpx2.MockTransport(self))
        try:
            return await reviews.review(OWN, access)
        finally:
            await reviews.close()


async def test_it_is_asked_with_the_callers_own_credential() -> None:
    apiserver = Apiserver(body={"status": {"allowed": True, "reason": "RBAC"}})
    assert await apiserver.review() == Verdict(is_allowed=True, reason="RBAC")
    (request,) = apiserver.requests
    assert str(request.url) == (
        "https://apiserver.test:6443/clusters/a"
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    )
    assert request.extensions["sni_hostname"] == "inside.test"
    assert request.headers.get_list("authorization") == ["Bearer own"]
    assert request.headers["impersonate-user"] == "jane"
    asked = json.loads(request.content)
    assert (asked["apiVersion"], asked["kind"]) == (
        "authorization.k8s.io/v1",
        "SelfSubjectAccessReview",
    )
    assert asked["spec"]["resourceAttributes"]["verb"] == "watch"
    assert asked["spec"]["resourceAttributes"]["namespace"] == "n"


async def test_what_is_no_resource() -> None:
    apiserver = Apiserver(body={"status": {"allowed": True}})
    await apiserver.review(Access(verb="get", path="/metrics"))
    spec = json.loads(apiserver.requests[0].content)["spec"]
    assert spec == {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (201, {"status": {"allowed": False}}),
        (201, {"status": {}}),
        (201, {"status": {"allowed": True, "denied": True}}),
        (401, {"message": "Unauthorized"}),
        (403, {"message": 'User "x" cannot impersonate resource "users"'}),
    ],
)
async def test_a_denial(status: int, body: Any) -> None:
    assert not (await Apiserver(status, body).review()).is_allowed


@pytest.mark.parametrize(
    ("apiserver", "kind", "text"),
    [
        (Apiserver(403, {"message": "cannot create resource"}), Refused, "answered 403"),
        (Apiserver(500, {}), Refused, "answered 500"),
        (Apiserver(200, {"status": {"allowed": True}}), Refused, "answered 200"),
        (Apiserver(201, {"status": {"allowed": "yes"}}), Refused, "not valid"),
        (Apiserver(201, []), Refused, "not valid"),
        (Apiserver(failure=httpx2.ConnectError("away")), Unreachable, "away"),
        (Apiserver(failure=httpx2.ReadTimeout("")), Unreachable, "ReadTimeout"),
    ],
)
async def test_what_tells_nothing(
    apiserver: Apiserver, kind: type[TowropeError], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught:
        await apiserver.review()
    assert caught.value.hop is Hop.APISERVER
    assert "Bearer" not in caught.value.message
