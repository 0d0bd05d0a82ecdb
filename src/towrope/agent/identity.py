"""Who the caller is, decided anew for each request from its head alone.

A trusted issuer's token is verified here, and the request goes on in the name of its bearer. Any
other bearer token goes upstream as it came, and the cluster's own authentication judges it; without
one the request ends here. The agent's own credential goes upstream with the first kind alone.
"""

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from towrope.agent import tokens
from towrope.agent.caller import Caller
from towrope.agent.issuers import Issuer, Issuers
from towrope.agent.memberships import Memberships
from towrope.agent.tokens import Rejected, Token, Verified
from towrope.agent.trust import CurrentTrust
from towrope.agent.usernames import caller_of
from towrope.wire.errors import Hop, Unauthenticated, foreign
from towrope.wire.head import Field, RequestHead

UNVERIFIED_BEARER = "unverified bearer"
KNOWN_LIMIT = 1024
"""Verified tokens that are remembered, so that each costs one look at its signature."""

# Wider than RFC 6750 §2.1: the apiserver takes any token without a space, and some have a ':'.
_BEARER = re.compile(rb"(?i:bearer) +([\x21\x23-\x2b\x2d-\x7e]+)")
# A second credential for the apiserver: a token for browsers, as the name of a subprotocol.
_TOKEN_PROTOCOL = b"base64url.bearer.authorization.k8s.io."
CALLERS_OWN = (b"authorization", b"impersonate-")
_SERVICE_ACCOUNT = "system:serviceaccount:"


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
    denial: str = ""
    """A sentence beside the apiserver's where it denies the caller what it asks for."""
    acting: Caller | None = None
    """For whom the apiserver takes the request, where an identity was verified."""
    as_of: int = 0
    """`CurrentTrust.hints` from before it was decided: with another one it may be out of date."""


Impersonate = Callable[[Caller, RequestHead], Awaitable[Decision]]
Settled = Callable[[], Awaitable[None]]
"""Returns once what may have been taken away while the server was not heard was asked for."""


async def decide(head: RequestHead) -> Decision:
    """Where no issuer is trusted. Raises `Unauthenticated`."""
    return as_it_came(head)


def as_it_came(head: RequestHead, *, hint: str = "") -> Decision:
    """The caller's own token, for the apiserver to judge. Raises `Unauthenticated`."""
    bearer_token(head)
    own = tuple(item for item in head.fields if item[0].lower().startswith(CALLERS_OWN))
    return Decision(principal=UNVERIFIED_BEARER, credential=own, hint=hint)


def bearer_token(head: RequestHead) -> bytes:
    """The one credential of the request. Raises `Unauthenticated` where there is none or two."""
    values = head.fields.all(b"authorization")
    if not values:
        raise _unauthenticated("There is no bearer token in the request")
    if len(values) > 1:
        raise _unauthenticated("There is more than one Authorization header")
    match = _BEARER.fullmatch(values[0])
    if match is None:
        raise _unauthenticated("The Authorization header is not a bearer token")
    if any(_TOKEN_PROTOCOL in token for token in head.fields.tokens(b"sec-websocket-protocol")):
        raise _unauthenticated("There is a second token in Sec-WebSocket-Protocol")
    return match[1]


class Identification:
    """`decide` is what the gate asks. `impersonate` says how a caller's request goes upstream."""

    def __init__(
        self,
        trust: CurrentTrust,
        memberships: Memberships,
        impersonate: Impersonate,
        *,
        settled: Settled | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._trust = trust
        self._memberships = memberships
        self._impersonate = impersonate
        self._settled = settled
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._known_by = trust.issuers

    @property
    def as_of(self) -> int:
        """What `Decision.as_of` is of one that is not out of date."""
        return self._trust.hints

    async def decide(self, head: RequestHead) -> Decision:
        """Raises `Unauthenticated`, `Unreachable`, or what `impersonate` raises."""
        as_of = self.as_of
        found = await self._identify(bearer_token(head))
        if isinstance(found, Caller):
            if self._settled is not None:
                await self._settled()
            return replace(await self._impersonate(found, head), as_of=as_of)
        return as_it_came(head, hint=found)

    async def decide_again(self, head: RequestHead) -> Decision:
        """Of a request that still runs, and whose caller was verified when it began. That its token
        ended meanwhile does not matter. Raises as `decide` does."""
        as_of = self.as_of
        token = tokens.parse(bearer_token(head).decode())
        assert token is not None, "it was verified before"
        issuers = await self._trust.current()
        if not issuers.trusts(token.iss):
            raise _rejected(token.iss, Rejected(reason="it is not trusted any more"))
        issuer = issuers.find(token.iss, token.audience)
        known = _known(issuers, issuer, tokens.verify_again(token, issuer, now=self._clock()))
        return replace(await self._impersonate(await self._completed(known), head), as_of=as_of)

    async def _identify(self, bearer: bytes) -> Caller | str:
        """The caller; or, where its token is not ours to judge, a hint for it."""
        if len(bearer) > tokens.TOKEN_LIMIT:
            raise _unauthenticated(f"The token is over {tokens.TOKEN_LIMIT} bytes")
        digest = hashlib.sha256(bearer).digest()
        known = self._known.get(digest)
        if known is not None and await self._is_good(known):
            self._known.move_to_end(digest)
            return await self._completed(known)
        token = tokens.parse(bearer.decode())
        if token is None:
            return ""
        issuers = await self._issuers_for(token)
        if not issuers.trusts(token.iss):
            return _hint(token, issuers)
        known = await self._verify(token, issuers)
        self._remember(digest, known)
        return await self._completed(known)

    async def _issuers_for(self, token: Token) -> Issuers:
        if self._trust.issuers.trusts(token.iss):
            return await self._trust.current()
        if str(token.claims.get("sub")).startswith(_SERVICE_ACCOUNT):
            return self._trust.issuers
        return await self._trust.attempted()

    async def _is_good(self, known: "_Known") -> bool:
        is_same = known.issuers is await self._trust.current()
        return is_same and self._clock() <= known.verified.expires_at

    async def _verify(self, token: Token, issuers: Issuers) -> "_Known":
        issuer = issuers.find(token.iss, token.audience)
        found = tokens.verify(token, issuer, now=self._clock())
        if isinstance(found, Rejected) and found.unknown_key:
            issuers = await self._trust.with_key(issuer, found.unknown_key)
            if issuers.trusts(token.iss):
                issuer = issuers.find(token.iss, token.audience)
                found = tokens.verify(token, issuer, now=self._clock())
        return _known(issuers, issuer, found)

    async def _completed(self, known: "_Known") -> Caller:
        found = await self._memberships.complete(
            known.caller,
            known.verified,
            changed_at=known.issuers.trust.directory_changed_at,
            hints=self._trust.hints,
        )
        if isinstance(found, Rejected):
            raise _rejected(known.verified.issuer.name, found)
        return found

    def _remember(self, digest: bytes, known: "_Known") -> None:
        if known.issuers is not self._known_by:
            self._known.clear()
            self._known_by = known.issuers
        self._known[digest] = known
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A token that was verified, by what was trusted then."""

    issuers: Issuers
    verified: Verified
    caller: Caller


def _known(issuers: Issuers, issuer: Issuer, found: Verified | Rejected) -> _Known:
    if isinstance(found, Rejected):
        raise _rejected(issuer.name, found)
    caller = caller_of(found)
    if isinstance(caller, Rejected):
        raise _rejected(issuer.name, caller)
    return _Known(issuers=issuers, verified=found, caller=caller)


def _hint(token: Token, issuers: Issuers) -> str:
    trusted = foreign(", ".join(issuers)) or "none"
    return (
        f"The token is of the issuer '{foreign(token.iss)}', which is not trusted for this cluster"
        f" (trusted: {trusted}); the apiserver was to judge it by itself."
    )


def _rejected(issuer: str, rejected: Rejected) -> Unauthenticated:
    return Unauthenticated(
        f"The token of the issuer '{foreign(issuer)}' is refused: {rejected.reason}.",
        hop=Hop.AGENT,
    )


def _unauthenticated(what: str) -> Unauthenticated:
    return Unauthenticated(
        f"{what}. Give the kubeconfig's user a token:"
        " 'towrope connectedk8s proxy --token TOKEN', or sign in.",
        hop=Hop.AGENT,
    )
