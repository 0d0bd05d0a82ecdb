"""Asks the cluster's own authorizer whether a caller may do something (SubjectAccessReview).

Answers are not kept: one costs a round trip inside the cluster, and so a right that is taken away
is gone with the next request.
"""

import asyncio
from dataclasses import dataclass

import httpx2
from lightkube import AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.models.authorization_v1 import (
    NonResourceAttributes,
    ResourceAttributes,
    SubjectAccessReviewSpec,
)
from lightkube.resources.authorization_v1 import SubjectAccessReview

from towrope.agent.caller import Caller
from towrope.agent.cluster import mapped
from towrope.wire.errors import Hop, Unreachable

AUTHENTICATED = "system:authenticated"
"""The group that the apiserver adds to everybody whom it knows."""
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
SERVICE_ACCOUNT = "system:serviceaccount:"
SERVICE_ACCOUNTS = "system:serviceaccounts"
AT_ONCE = 16
"""Reviews under way at the same time, of all callers."""
REVIEW_WITHIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What somebody wants to do: a verb on one object, as RBAC names them, or on a path."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    namespace: str = ""
    subresource: str = ""
    path: str = ""
    """Of what is no resource."""

    def on_resource(self) -> ResourceAttributes | None:
        """As a review states it; None where it is on a path."""
        if self.path:
            return None
        return ResourceAttributes(
            verb=self.verb,
            group=self.group,
            resource=self.resource,
            subresource=self.subresource,
            namespace=self.namespace,
            name=self.name,
        )

    def on_path(self) -> NonResourceAttributes | None:
        return NonResourceAttributes(verb=self.verb, path=self.path) if self.path else None


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
            groups=_groups(caller),
            uid=caller.uid,
            extra={key: list(values) for key, values in caller.extra.items()},
            resourceAttributes=access.on_resource(),
            nonResourceAttributes=access.on_path(),
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
                    with mapped("ask what a caller may do"):
                        return await self._client.create(review)
        except TimeoutError:
            raise Unreachable(
                f"The apiserver did not say within {REVIEW_WITHIN:g} s what the caller may do.",
                hop=Hop.APISERVER,
            ) from None


def _groups(caller: Caller) -> list[str]:
    """With those that the apiserver adds by itself when somebody is impersonated
    (k8s.io/apiserver, pkg/endpoints/filters/impersonation)."""
    groups = list(caller.all_groups)
    account = caller.username.removeprefix(SERVICE_ACCOUNT)
    if not groups and account != caller.username:
        groups = [SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{account.partition(':')[0]}"]
    if {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
        return groups
    return [*groups, UNAUTHENTICATED if caller.username == ANONYMOUS else AUTHENTICATED]
