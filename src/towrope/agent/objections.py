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
    # The apiserver tries several ways to impersonate and tells of one: not always the one to mend.
    return Forbidden(
        f"The agent of this cluster lacks the right to act so: the apiserver says that it cannot"
        f" '{verb}' the resource '{resource}' in API group '{group}'. {_cure(decision)}",
        hop=Hop.AGENT,
    )


def _cure(decision: Decision) -> str:
    if not decision.subject:
        return "Connect the cluster again: 'towrope connectedk8s connect'."
    return (
        "It acts as a node or as 'system:masters' only where the API server does not constrain"
        " impersonation (KEP-5284), and with an extra only where a cluster administrator grants it"
        f" that: to the service account '{names.AGENT_NAME}' in namespace '{names.NAMESPACE}'."
    )
