"""Arc's sentence beside the apiserver's own denial, where role assignments decide in the cluster.

The apiserver says what is missing, and this where to get it. Only the message of a `Status` in JSON
is another; whatever else the answer is, it is passed on as it came.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import msgspec

from towrope.agent.caller import Caller
from towrope.agent.identity import Decision, Impersonate
from towrope.wire.head import RequestHead, ResponseHead

OUTSIDE = (
    "User doesn't have access to the resource in Azure. Update role assignment to allow access."
)

# `ForbiddenStatusError` of the apiserver's authorization, and no denial by admission or a webhook.
_DENIAL = re.compile(r'forbidden: User ".*" cannot ', re.DOTALL)


def explaining(impersonate: Impersonate, is_enforced: Callable[[], bool]) -> Impersonate:
    """Decides as `impersonate` does; a denial is explained where role assignments decide."""

    async def decide(caller: Caller, head: RequestHead) -> Decision:
        decision = await impersonate(caller, head)
        # Who acts as somebody else has no assignment as that one.
        if decision.subject or not is_enforced():
            return decision
        return replace(decision, denial=OUTSIDE)

    return decide


def explained(decision: Decision, head: ResponseHead, content: bytes) -> bytes | None:
    """The whole body that the caller gets instead of `content`; None: that."""
    if not decision.denial or head.status != 403:
        return None
    fields = head.fields
    if fields.all(b"content-type") != [b"application/json"] or fields.all(b"content-encoding"):
        return None
    try:
        status = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        message = msgspec.json.decode(status["message"], type=str)
    except (msgspec.DecodeError, KeyError):
        return None
    if _DENIAL.search(message) is None:
        return None
    told = msgspec.json.encode(f"{message}: {decision.denial}")
    return msgspec.json.encode({**status, "message": msgspec.Raw(told)})
