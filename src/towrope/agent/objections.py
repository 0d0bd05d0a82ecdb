"""What the apiserver's 401 and 403 mean where they are not the caller's to understand.

Whether the agent's own credential was refused, or its right to impersonate is missing, looks to
the caller like a fault of its own; here it gets the sentence that names the hop and the cure.
"""

import re

from towrope.agent.identity import Decision
from towrope.wire import names
from towrope.wire.errors import Forbidden, Hop, TowropeError, Unauthenticated, Unreachable, foreign

BODY_LIMIT = 16 * 1024
"""Bytes of an answer's body that are looked at: a `Status` is far shorter."""

# `ForbiddenStatusError` of the apiserver, in JSON with its quotes escaped, or in protobuf without.
_MISSING_RIGHT = re.compile(
    rb'cannot (impersonate[a-z:-]*) (?:resource|path) \\?"([^"\\]{1,253})\\?"'
    rb'(?: in API group \\?"([^"\\]{0,253})\\?")?'
)


def may_be(decision: Decision, status: int) -> bool:
    """Whether an answer with this status is to be looked at."""
    if decision.is_impersonated:
        return status in (401, 403)
    return status == 401 and bool(decision.hint)


def of(decision: Decision, status: int, body: bytes) -> TowropeError | None:
    """What the caller gets instead of the apiserver's answer, or None where it gets that."""
    if not decision.is_impersonated:
        return Unauthenticated(decision.hint, hop=Hop.AGENT)
    if status == 401:
        return Unreachable(
            "The apiserver does not take the agent's own credential, so the agent cannot ask it in"
            " your name. It reads its credential again now; where that does not help, connect the"
            " cluster again: 'towrope connectedk8s connect'.",
            hop=Hop.AGENT,
        )
    found = _MISSING_RIGHT.search(body)
    if found is None:
        return None
    verb, resource, group = (foreign(part or b"") for part in found.groups())
    return Forbidden(
        f"The agent of this cluster may not act for you here: it lacks the right to '{verb}' the"
        f" resource '{resource}' in API group '{group}'. Connect the cluster again ('towrope"
        " connectedk8s connect'), or grant this right to the service account"
        f" '{names.AGENT_NAME}' in namespace '{names.NAMESPACE}'. Nobody can act as a node or as"
        " 'system:masters' through an agent whose impersonation is constrained.",
        hop=Hop.AGENT,
    )
