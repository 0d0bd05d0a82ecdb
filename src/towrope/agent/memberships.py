"""Which groups a caller is in, where its token does not say so or may be out of date.

The server is asked about the principal, never given its token, and only for groups that the
cluster's bindings name: all others decide nothing here.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import replace
from typing import Protocol

import msgspec

from towrope.agent.caller import Caller
from towrope.agent.flights import Flights
from towrope.agent.tokens import Rejected, Verified
from towrope.agent.usernames import OBJECT_ID, check_names, is_application
from towrope.wire.agent_api import (
    GROUPS_LIMIT,
    IssuerKind,
    ResolvedPrincipal,
    ResolvePrincipal,
    TrustedIssuer,
)
from towrope.wire.errors import Hop, TowropeError, Unreachable
from towrope.wire.names import RESERVED_PREFIX, object_id_group

KEPT_FOR = 60.0
"""Seconds for which an answer is good, unless something is known to have changed."""
KEPT_UNKNOWN_FOR = 10.0
CACHE_LIMIT = 4096
ASK_WITHIN = 8.0

Resolve = Callable[[ResolvePrincipal], Awaitable[ResolvedPrincipal]]


class BoundGroups(Protocol):
    async def groups(self) -> frozenset[str]:
        """The groups that the cluster's bindings name, those by an object id among them. Raises
        `Unreachable`."""
        ...


class Memberships:
    """Of callers at one cluster."""

    def __init__(
        self,
        resolve: Resolve,
        bound: BoundGroups,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._bound = bound
        self._clock = clock
        self._asked: dict[str, tuple[frozenset[str], TrustedIssuer, tuple[str, ...]]] = {}
        self._flights: Flights[ResolvedPrincipal] = Flights()
        self._kept: OrderedDict[Hashable, tuple[float, ResolvedPrincipal]] = OrderedDict()

    async def complete(
        self, caller: Caller, verified: Verified, *, changed_at: int, hints: int
    ) -> Caller | Rejected:
        """The caller with the groups that it is in. `changed_at` is the trust's
        `directory_changed_at`; an answer is not kept beyond a change of `hints`.

        Raises `Unreachable` where that must be asked and cannot.
        """
        if needs_resolving(verified, changed_at=changed_at):
            found = await self._resolved(caller, verified, hints)
        else:
            found = caller
        if isinstance(found, Rejected) or not found.groups:
            return found
        return await self._with_object_ids(found, verified.issuer.trusted)

    async def _with_object_ids(self, caller: Caller, trusted: TrustedIssuer) -> Caller:
        """With those of its groups that role assignments name here. An OpenID provider's groups
        have no object ids: what it calls them could be one of another directory."""
        if trusted.kind is IssuerKind.OIDC:
            return caller
        bound = await self._bound.groups()
        plain = (name.removeprefix(trusted.groups_prefix) for name in caller.groups)
        named = (
            group
            for group in plain
            if object_id_group(group, is_external=caller.is_external) in bound
        )
        return replace(caller, object_ids=(*caller.object_ids, *named))

    async def _resolved(self, caller: Caller, verified: Verified, hints: int) -> Caller | Rejected:
        trusted = verified.issuer.trusted
        groups = self._askable(await self._bound.groups(), trusted)
        question = ResolvePrincipal(
            issuer=trusted.name,
            object_id=caller.uid,
            is_application=is_application(verified),
            issued_at=verified.issued_at,
            groups=groups,
        )
        answer = await self._answer(question, hints)
        if not answer.is_active:
            return Rejected(
                reason="its account is disabled or deleted, or was signed out since; sign in again"
            )
        if answer.groups is None:
            return Rejected(reason=answer.reason or "the groups of its account cannot be told")
        # Of what was asked alone: the server cannot put the caller into others.
        found = frozenset(answer.groups)
        names = [trusted.groups_prefix + name for name in groups if name in found]
        return check_names(names) or replace(caller, groups=tuple(names))

    async def _answer(self, question: ResolvePrincipal, hints: int) -> ResolvedPrincipal:
        key = (hints, question)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept[0]:
            self._kept.move_to_end(key)
            return kept[1]
        answer = await self._flights.ask(key, lambda: self._ask(question))
        good_for = KEPT_UNKNOWN_FOR if answer.groups is None else KEPT_FOR
        self._kept[key] = (self._clock() + good_for, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > CACHE_LIMIT:
            self._kept.popitem(last=False)
        return answer

    async def _ask(self, question: ResolvePrincipal) -> ResolvedPrincipal:
        try:
            async with asyncio.timeout(ASK_WITHIN):
                return _joined([await self._resolve(part) for part in _parts(question)])
        except TimeoutError:
            raise _unknown(f"it did not answer within {ASK_WITHIN:g} s") from None
        except TowropeError as error:
            raise _unknown(error.message) from None

    def _askable(self, bound: frozenset[str], trusted: TrustedIssuer) -> tuple[str, ...]:
        """Those of the bound groups that can be the issuer's, as it calls them."""
        known = self._asked.get(trusted.name)
        if known is not None and known[0] is bound and known[1] is trusted:
            return known[2]
        asked = tuple(sorted(_asked_of(bound, trusted)))
        self._asked[trusted.name] = (bound, trusted, asked)
        return asked


def _asked_of(bound: frozenset[str], trusted: TrustedIssuer) -> set[str]:
    prefix = trusted.groups_prefix
    named = {name for name in bound if not name.startswith(RESERVED_PREFIX)}
    found = {name.removeprefix(prefix) for name in named if name.startswith(prefix)} - {""}
    if trusted.kind is IssuerKind.OIDC:
        return found
    of_ids = object_id_group("", is_external=trusted.kind is not IssuerKind.TOWROPE)
    by_object_id = {name.removeprefix(of_ids) for name in bound - named}
    return {name for name in found | by_object_id if OBJECT_ID.fullmatch(name)}


def needs_resolving(verified: Verified, *, changed_at: int) -> bool:
    """Whether the token leaves its groups to be asked for, or is of before the last change of the
    server's own directory."""
    claims, trusted = verified.claims, verified.issuer.trusted
    elsewhere = claims.get("_claim_names")
    has_more = isinstance(elsewhere, dict) and trusted.groups_claim in elsewhere
    if has_more or claims.get("hasgroups") in (True, "true"):
        return True
    return trusted.kind is IssuerKind.TOWROPE and verified.issued_at <= changed_at


def _parts(question: ResolvePrincipal) -> Iterator[ResolvePrincipal]:
    for at in range(0, max(1, len(question.groups)), GROUPS_LIMIT):
        yield msgspec.structs.replace(question, groups=question.groups[at : at + GROUPS_LIMIT])


def _joined(answers: list[ResolvedPrincipal]) -> ResolvedPrincipal:
    unknown = next((answer for answer in answers if answer.groups is None), None)
    inactive = next((answer for answer in answers if not answer.is_active), None)
    known = tuple(group for answer in answers for group in answer.groups or ())
    return inactive or unknown or ResolvedPrincipal(is_active=True, groups=known)


def _unknown(why: str) -> Unreachable:
    return Unreachable(
        "The agent cannot ask the server which groups the caller is in, and does not serve it"
        f" until it can: {why}",
        hop=Hop.SERVER,
    )
