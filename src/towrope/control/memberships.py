"""Which groups a principal is in, for an agent that asks: the token does not say, or may be old.

Of this server's own principals the directory knows it; of Entra's, Microsoft Graph does where an
application for that was given; of others nobody does.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control import issuers, sealed_secrets
from towrope.control.entra_graph import Application, EntraGraph, Question
from towrope.control.issuer_settings import OWN_NAME
from towrope.control.issuers import Issuer
from towrope.control.store import groups, service_principals, users
from towrope.control.store.database import Database
from towrope.wire.agent_api import IssuerKind, ResolvedPrincipal, ResolvePrincipal
from towrope.wire.errors import Unreachable

KEPT_FOR = 60.0
KEPT_LIMIT = 1024

NO_USER = "Overage claim (users with more than 200 group membership) is currently not supported."
NO_APPLICATION = (
    "Overage claim (users with more than 200 group membership) for SPN is currently not supported."
    " For troubleshooting, please refer to aka.ms/overageclaimtroubleshoot"
)
"""Arc's own sentences."""
NO_DIRECTORY = (
    "The caller's groups are not all in its token, and its issuer has no directory that could be"
    " asked; have the issuer put fewer groups, or all, into its tokens."
)
GONE = ResolvedPrincipal(
    is_active=False, groups=None, reason="The caller's account is disabled or gone."
)
UNTRUSTED = ResolvedPrincipal(
    is_active=False, groups=None, reason="The caller's issuer is not trusted any more."
)


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: ResolvedPrincipal
    until: float


class Memberships:
    def __init__(self, database: Database, *, master: bytes, clock: Callable[[], float]) -> None:
        self._database = database
        self._master = master
        self._clock = clock
        self._graph = EntraGraph(clock=clock)
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    async def resolve(self, asked: ResolvePrincipal) -> ResolvedPrincipal:
        async with self._database.reading() as connection:
            if asked.issuer == OWN_NAME:
                return await _own(connection, asked)
            issuer = await issuers.find(connection, asked.issuer)
        if issuer is None:
            return UNTRUSTED
        if issuer.settings.kind is IssuerKind.ENTRA:
            return await self._entra(issuer, asked)
        return ResolvedPrincipal(is_active=True, groups=None, reason=NO_DIRECTORY)

    async def _entra(self, issuer: Issuer, asked: ResolvePrincipal) -> ResolvedPrincipal:
        application = sealed_secrets.application(issuer, master=self._master)
        if application is None:
            reason = NO_APPLICATION if asked.is_application else NO_USER
            return ResolvedPrincipal(is_active=True, groups=None, reason=reason)
        key = _key(issuer, asked)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            return kept.answer
        answer = await self._asked(application, asked)
        if answer.groups is not None:
            self._keep(key, answer)
        return answer

    async def _asked(self, application: Application, asked: ResolvePrincipal) -> ResolvedPrincipal:
        question = Question(
            object_id=asked.object_id, is_application=asked.is_application, groups=asked.groups
        )
        try:
            found = await self._graph.groups_of(application, question)
        except Unreachable as error:
            return ResolvedPrincipal(is_active=True, groups=None, reason=error.message)
        if found is None:
            return GONE
        return ResolvedPrincipal(is_active=True, groups=tuple(sorted(found)))

    def _keep(self, key: bytes, answer: ResolvedPrincipal) -> None:
        self._kept[key] = _Kept(answer, self._clock() + KEPT_FOR)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_LIMIT:
            self._kept.popitem(last=False)


async def _own(connection: AsyncConnection, asked: ResolvePrincipal) -> ResolvedPrincipal:
    find = service_principals.find_by_object_id if asked.is_application else users.find
    found = await find(connection, asked.object_id)
    if found is None or not found.account_enabled or asked.issued_at < found.valid_from:
        return GONE
    there = await groups.groups_among(connection, found.object_id, asked.groups)
    return ResolvedPrincipal(
        is_active=True, groups=tuple(group for group in asked.groups if group in there)
    )


def _key(issuer: Issuer, asked: ResolvePrincipal) -> bytes:
    """What an answer depends on; the groups may be many, so a digest."""
    parts = (repr(issuer), asked.object_id, str(asked.is_application), *sorted(asked.groups))
    return hashlib.sha256("\0".join(parts).encode()).digest()
