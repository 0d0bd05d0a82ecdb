"""What a request needs, and who is asked about it."""

import pytest

from towrope.agent import request_info
from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.caller import Caller
from towrope.agent.identity import Decision
from towrope.agent.rights import Rights, access_of
from towrope.wire.head import Field

ADA = Caller(username="ada")
OWN = ((b"Authorization", b"Bearer own"),)


@pytest.mark.parametrize(
    ("method", "target", "access"),
    [
        (
            "GET",
            "/api/v1/namespaces/a/pods/b/exec?command=sh",
            Access(
                verb="get", group="", resource="pods", subresource="exec", namespace="a", name="b"
            ),
        ),
        (
            "POST",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            Access(
                verb="create",
                group="apps",
                resource="deployments",
                subresource="scale",
                namespace="a",
                name="b",
            ),
        ),
        (
            "GET",
            "/api/v1/pods?watch=1&fieldSelector=metadata.name%3Db",
            Access(verb="watch", resource="pods", name="b"),
        ),
        ("GET", "/metrics?a=b", Access(verb="get", path="/metrics")),
        ("GET", "/", Access(verb="get", path="/")),
    ],
)
def test_what_the_apiserver_asked_of_its_authorizer(
    method: str, target: str, access: Access
) -> None:
    assert access_of(request_info.parse(method, target)) == access


class Asked:
    """Both kinds of reviews, played."""

    def __init__(self) -> None:
        self.said: list[object] = []

    async def review(self, who: Caller | tuple[Field, ...], access: Access) -> Verdict:
        self.said.append((who, access))
        return Verdict(is_allowed=True)


async def test_each_is_asked_about_in_its_own_way() -> None:
    reviews, self_reviews = Asked(), Asked()
    rights, access = Rights(reviews, self_reviews), Access(verb="get", path="/")
    verified = Decision(principal="ada", credential=(), is_impersonated=True, acting=ADA)
    await rights.review(verified, access)
    await rights.review(Decision(principal="x", credential=OWN), access)
    assert reviews.said == [(ADA, access)]
    assert self_reviews.said == [(OWN, access)]
