"""Whether a request may still be made: asked of the cluster's own authorizer, as its caller.

Of a caller that the agent verified, by a SubjectAccessReview; of one with a token of its own, by a
SelfSubjectAccessReview with that very token, so that a token that is worth nothing is found too.
"""

from typing import Protocol

from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.identity import Decision
from towrope.agent.impersonation import Reviewer
from towrope.agent.request_info import RequestInfo
from towrope.wire.head import Field


class SelfReviewer(Protocol):
    async def review(self, credential: tuple[Field, ...], access: Access) -> Verdict: ...


class Rights:
    def __init__(self, reviews: Reviewer, self_reviews: SelfReviewer) -> None:
        self._reviews = reviews
        self._self_reviews = self_reviews

    async def review(self, decision: Decision, access: Access) -> Verdict:
        """Raises a `TowropeError` where it cannot be told."""
        if decision.acting is None:
            return await self._self_reviews.review(decision.credential, access)
        return await self._reviews.review(decision.acting, access)


def access_of(info: RequestInfo) -> Access:
    """What the apiserver asked its authorizer about, when it took the request."""
    if not info.is_resource_request:
        return Access(verb=info.verb, path=info.path)
    return Access(
        verb=info.verb,
        group=info.api_group,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
    )
