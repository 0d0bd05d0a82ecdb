"""Who the caller is, decided anew for each request from its head alone.

A bearer token goes upstream as it came, and the cluster's own authentication judges it; without
one the request ends here. Nothing that the agent itself holds ever goes upstream.
"""

import re
from dataclasses import dataclass

from towrope.wire.errors import Hop, Unauthenticated
from towrope.wire.head import Field, RequestHead

UNVERIFIED_BEARER = "unverified bearer"

# Wider than RFC 6750 §2.1: the apiserver takes any token without a space, and some have a ':'.
_BEARER = re.compile(rb"(?i:bearer) +[\x21\x23-\x2b\x2d-\x7e]+")
# A second credential for the apiserver: a token for browsers, as the name of a subprotocol.
_TOKEN_PROTOCOL = b"base64url.bearer.authorization.k8s.io."
_CALLERS_OWN = (b"authorization", b"impersonate-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How a request goes upstream: as whom, with which credential fields."""

    principal: str
    """For the audit event; never a token."""
    credential: tuple[Field, ...]
    """All fields of the request upstream that say who asks: the caller's own, or impersonation."""
    is_impersonated: bool = False
    """Whether the request goes upstream with the agent's own credential beside `credential`. Only
    where an identity was verified for this very request."""
    groups: tuple[str, ...] = ()
    subject: str = ""
    """Whom the caller acts as, where it asked to act as somebody else (`kubectl --as`)."""
    hint: str = ""
    """A sentence for the caller where the apiserver answers 401 to a credential of its own."""


async def decide(head: RequestHead) -> Decision:
    """Where no issuer is trusted. Raises `Unauthenticated`."""
    return as_it_came(head)


def as_it_came(head: RequestHead) -> Decision:
    """The caller's own token, for the apiserver to judge. Raises `Unauthenticated`."""
    values = head.fields.all(b"authorization")
    if not values:
        raise _unauthenticated("There is no bearer token in the request")
    if len(values) > 1:
        raise _unauthenticated("There is more than one Authorization header")
    if _BEARER.fullmatch(values[0]) is None:
        raise _unauthenticated("The Authorization header is not a bearer token")
    if any(_TOKEN_PROTOCOL in token for token in head.fields.tokens(b"sec-websocket-protocol")):
        raise _unauthenticated("There is a second token in Sec-WebSocket-Protocol")
    own = tuple(item for item in head.fields if item[0].lower().startswith(_CALLERS_OWN))
    return Decision(principal=UNVERIFIED_BEARER, credential=own)


def _unauthenticated(what: str) -> Unauthenticated:
    return Unauthenticated(
        f"{what}. Give the kubeconfig's user a token:"
        " 'towrope connectedk8s proxy --token TOKEN', or sign in.",
        hop=Hop.AGENT,
    )
