"""Asks the cluster's own authorizer whether a caller may do something (SubjectAccessReview).

Answers are not kept: one costs a round trip inside the cluster, and so a right that is taken away
is gone with the next request.
"""

import asyncio
from dataclasses import dataclass

import httpx2
from lightkube import AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.models.authorization_v1 import ResourceAttributes, SubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SubjectAccessReview

from towrope.agent.caller import Caller
from towrope.agent.cluster import mapped
from towrope.wire.errors import Hop, Unreachable

AUTHENTICATED = "system:authenticated"
"""The group that the apiserver adds to everybody whom it knows."""
AT_ONCE = 16
"""Reviews under way at the same time, of all callers."""
REVIEW_WITHIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What somebody wants to do: a verb on one object, as RBAC names them."""

    verb: str
    group: str
    resource: str
    name: str
    namespace: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    is_allowed: bool
    reason: str = ""
    """The authorizer's, where it gives one."""


class AccessReviews:
    """Asks with the agent's own credential."""

    def __init__(
        self, config: SingleConfig, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        with mapped("read the kubeconfig"):
            self._client = AsyncClient(config, trust_env=False, transport=transport)
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        await self._client.close()

    async def review(self, caller: Caller, access: Access) -> Verdict:
        """Raises `Unreachable`, `Forbidden` or `Refused` where it cannot be told."""
        spec = SubjectAccessReviewSpec(
            user=caller.username,
            groups=[*caller.groups, AUTHENTICATED],
            uid=caller.uid,
            extra={key: list(values) for key, values in caller.extra.items()},
            resourceAttributes=ResourceAttributes(
                verb=access.verb,
                group=access.group,
                resource=access.resource,
                subresource=access.subresource,
                namespace=access.namespace,
                name=access.name,
            ),
        )
        status = (await self._create(SubjectAccessReview(spec=spec))).status
        if status is None:
            return Verdict(is_allowed=False)
        return Verdict(
            is_allowed=bool(status.allowed) and not status.denied, reason=status.reason or ""
        )

    async def _create(self, review: SubjectAccessReview) -> SubjectAccessReview:
        try:
            async with asyncio.timeout(REVIEW_WITHIN):
                async with self._turns:
                    with mapped("ask whether a caller may impersonate"):
                        return await self._client.create(review)
        except TimeoutError:
            raise Unreachable(
                f"The apiserver did not say within {REVIEW_WITHIN:g} s whether the caller may"
                " impersonate.",
                hop=Hop.APISERVER,
            ) from None
