"""Asks the apiserver what a caller may do, with the caller's own credential alone.

The agent's credential never goes with it. Where the caller impersonates by itself, the apiserver
decides that anew too.
"""

import httpx2
import msgspec
from lightkube.models.authorization_v1 import SelfSubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

from towrope.agent.access_reviews import Access, Verdict
from towrope.agent.upstream import Address
from towrope.wire.errors import Hop, Refused, Unreachable, foreign
from towrope.wire.head import Field

PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
REVIEW_WITHIN = 5.0


class SelfReviews:
    """`address` is the one for callers' own credentials: its TLS context holds no certificate."""

    def __init__(
        self, address: Address, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx2.AsyncClient(
            verify=address.tls, timeout=REVIEW_WITHIN, trust_env=False, transport=transport
        )
        self._url = f"https://{address.authority.decode()}{address.path.decode()}{PATH}"
        self._server_name = address.tls_server_name

    async def close(self) -> None:
        await self._client.aclose()

    async def review(self, credential: tuple[Field, ...], access: Access) -> Verdict:
        """Raises `Unreachable` or `Refused` where it cannot be told."""
        response = await self._post(credential, access)
        if response.status_code == 401:
            return Verdict(
                is_allowed=False, reason="the apiserver does not take its token any more"
            )
        if response.status_code == 403 and b"cannot impersonate" in response.content:
            return Verdict(is_allowed=False, reason="it may not impersonate any more")
        if response.status_code != 201:
            raise _unknown(f"the apiserver answered {response.status_code}")
        try:
            status = msgspec.json.decode(response.content, type=_Review).status
        except msgspec.DecodeError as error:
            raise _unknown(f"its answer is not valid: {foreign(str(error))}") from None
        return Verdict(is_allowed=status.allowed and not status.denied, reason=status.reason)

    async def _post(self, credential: tuple[Field, ...], access: Access) -> httpx2.Response:
        spec = SelfSubjectAccessReviewSpec(
            resourceAttributes=access.on_resource(), nonResourceAttributes=access.on_path()
        )
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            **SelfSubjectAccessReview(spec=spec).to_dict(),
        }
        try:
            return await self._client.post(
                self._url,
                content=msgspec.json.encode(body),
                headers=[*credential, (b"Content-Type", b"application/json")],
                extensions={"sni_hostname": self._server_name},
            )
        except httpx2.HTTPError as error:
            why = foreign(str(error)) or type(error).__name__
            raise Unreachable(
                f"The apiserver cannot be asked what a caller may still do: {why}.",
                hop=Hop.APISERVER,
            ) from None


class _Status(msgspec.Struct):
    allowed: bool = False
    denied: bool = False
    reason: str = ""


class _Review(msgspec.Struct):
    status: _Status


def _unknown(why: str) -> Refused:
    return Refused(
        f"The apiserver does not say what a caller may still do: {why}.", hop=Hop.APISERVER
    )
