"""What is asked of the cluster's authorizer, and what its answers mean."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2
import pytest
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User

from towrope.agent.access_reviews import Access, AccessReviews, Verdict
from towrope.agent.caller import Caller
from towrope.wire.errors import Forbidden, Hop, TowropeError, Unreachable

CALLER = Caller(username="alice", groups=("g1",), uid="1", extra={"towrope.dev/oid": ("1",)})
ACCESS = Access(verb="impersonate", group="", resource="users", name="jane")
CONFIG = SingleConfig(
    context_name="c",
    context=Context(cluster="c"),
    cluster=Cluster(server="https://apiserver.test"),
    user=User(token="agents-own-token"),
)

Handler = Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]


async def reviewed(handler: Handler, access: Access = ACCESS, caller: Caller = CALLER) -> Verdict:
    reviews = AccessReviews(CONFIG, transport=httpx2.MockTransport(handler))
    try:
        return await reviews.review(caller, access)
    finally:
        await reviews.close()


def answering(status: object, code: int = 201) -> Handler:
    async def handler(_: httpx2.Request) -> httpx2.Response:
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        return httpx2.Response(code, json={**review, "spec": {}, "status": status})

    return handler


async def test_the_caller_is_asked_about_as_the_apiserver_knows_it() -> None:
    seen: list[httpx2.Request] = []

    async def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return await answering({"allowed": True})(request)

    access = Access(
        verb="impersonate",
        group="authentication.k8s.io",
        resource="userextras",
        subresource="a.example/b",
        name="v",
        namespace="n",
    )
    assert await reviewed(handler, access) == Verdict(is_allowed=True)
    (request,) = seen
    assert request.url.path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert request.headers["authorization"] == "Bearer agents-own-token"
    assert json.loads(request.content)["spec"] == {
        "user": "alice",
        "groups": ["g1", "system:authenticated"],
        "uid": "1",
        "extra": {"towrope.dev/oid": ["1"]},
        "resourceAttributes": {
            "verb": "impersonate",
            "group": "authentication.k8s.io",
            "resource": "userextras",
            "subresource": "a.example/b",
            "name": "v",
            "namespace": "n",
        },
    }


async def asked(caller: Caller, access: Access = ACCESS) -> dict[str, Any]:
    seen: list[dict[str, Any]] = []

    async def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content)["spec"])
        return await answering({"allowed": True})(request)

    await reviewed(handler, access, caller)
    return seen[0]


async def test_what_is_no_resource_is_a_path() -> None:
    spec = await asked(CALLER, Access(verb="get", path="/metrics"))
    assert spec["nonResourceAttributes"] == {"verb": "get", "path": "/metrics"}
    assert "resourceAttributes" not in spec


OID = "7f3c1d0e-5a52-4d0a-9d0f-2b6f9a1c7e11"


@pytest.mark.parametrize(
    ("caller", "groups"),
    [
        (Caller(username="a"), ["system:authenticated"]),
        (
            Caller(username="a", groups=("g",), object_ids=(OID,)),
            ["g", f"towrope:oid:{OID}", "system:authenticated"],
        ),
        (
            Caller(username="system:serviceaccount:shop:till"),
            ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        ),
        (
            Caller(username="system:serviceaccount:shop:till", groups=("g",)),
            ["g", "system:authenticated"],
        ),
        (Caller(username="system:anonymous"), ["system:unauthenticated"]),
        (Caller(username="a", groups=("system:authenticated",)), ["system:authenticated"]),
    ],
)
async def test_the_groups_are_those_that_the_apiserver_gives(
    caller: Caller, groups: list[str]
) -> None:
    assert (await asked(caller))["groups"] == groups


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"allowed": True, "reason": "RBAC: x"}, Verdict(is_allowed=True, reason="RBAC: x")),
        ({"allowed": False}, Verdict(is_allowed=False)),
        ({"allowed": False, "denied": True}, Verdict(is_allowed=False)),
        ({"allowed": True, "denied": True}, Verdict(is_allowed=False)),
        (None, Verdict(is_allowed=False)),
    ],
)
async def test_only_a_plain_yes_is_one(status: object, verdict: Verdict) -> None:
    assert await reviewed(answering(status)) == verdict


async def test_an_agent_that_may_not_ask() -> None:
    status = {"kind": "Status", "apiVersion": "v1", "code": 403, "message": "may not create"}

    async def handler(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(403, json=status)

    with pytest.raises(Forbidden, match="may not create"):
        await reviewed(handler)


async def test_an_apiserver_that_is_away() -> None:
    async def handler(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(Unreachable) as caught:
        await reviewed(handler)
    assert caught.value.hop is Hop.APISERVER


async def test_an_apiserver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towrope.agent.access_reviews.REVIEW_WITHIN", 0.05)

    async def handler(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Unreachable, match="did not say within"):
        await reviewed(handler)


async def test_few_are_under_way_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towrope.agent.access_reviews.AT_ONCE", 2)
    running, most = 0, 0

    async def handler(request: httpx2.Request) -> httpx2.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return await answering({"allowed": True})(request)

    reviews = AccessReviews(CONFIG, transport=httpx2.MockTransport(handler))
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(reviews.review(CALLER, ACCESS))
    await reviews.close()
    assert most == 2


async def test_nothing_is_kept() -> None:
    answers = [{"allowed": True}, {"allowed": False}]

    async def handler(request: httpx2.Request) -> httpx2.Response:
        return await answering(answers.pop(0))(request)

    reviews = AccessReviews(CONFIG, transport=httpx2.MockTransport(handler))
    assert (await reviews.review(CALLER, ACCESS)).is_allowed
    assert not (await reviews.review(CALLER, ACCESS)).is_allowed
    await reviews.close()


def test_a_kubeconfig_that_is_broken() -> None:
    broken = CONFIG._replace(cluster=Cluster(server="x", certificate_auth="/nowhere/ca.crt"))
    with pytest.raises(TowropeError):
        AccessReviews(broken)
