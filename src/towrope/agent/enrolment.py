"""Enrolment: how the server comes to know the agent's own key; and the heartbeat after it.

The onboarding key, which `connect` left in the cluster, is used once: to name the key that was made
here. From then on the agent proves with that one who it is.
"""

import asyncio

import structlog

from towrope.agent.cluster import ClusterApi
from towrope.agent.keys import Identity
from towrope.agent.server_api import ServerApi
from towrope.agent.trust import CurrentTrust
from towrope.ops.backoff import Backoff
from towrope.wire import agent_api, assertion, names
from towrope.wire.agent_api import (
    Configuration,
    Enroll,
    FetchConfiguration,
    FetchPolicy,
    Policy,
    ResolvedPrincipal,
    ResolvePrincipal,
)
from towrope.wire.assertion import Key
from towrope.wire.errors import Hop, Malformed, Refused, TowropeError, Unreachable

LONGEST_DELAY = 2.0
REFUSED_DELAY = 15.0
MISSED_HEARTBEAT_DELAY = 60.0

_log = structlog.get_logger()


class Enrolment:
    """One agent at one server."""

    def __init__(self, cluster: ClusterApi, server: ServerApi, identity: Identity) -> None:
        self._cluster = cluster
        self._server = server
        self._identity = identity
        self._key = identity.signing_key()

    async def enrol(self) -> Configuration:
        """Tries until the server knows us: soon again where it cannot be reached, slowly where it
        refuses, for an administrator may put that right."""
        backoff = Backoff(cap=LONGEST_DELAY)
        while True:
            try:
                return await self.enrol_once()
            except Unreachable as error:
                _log.warning("not enrolled yet", reason=error.message, hop=error.hop)
                await asyncio.sleep(backoff.next_delay())
            except TowropeError as error:
                _log.error("not enrolled", reason=error.message, hop=error.hop)
                await asyncio.sleep(REFUSED_DELAY)

    async def enrol_once(self) -> Configuration:
        """Raises what `ServerApi` and `ClusterApi` raise."""
        onboarding = await self._cluster.onboarding_key()
        if onboarding is None:
            return await self._report()
        request = Enroll(
            public_key=self._identity.public_key, ca_certificate=self._identity.ca_certificate
        )
        try:
            configuration = await self._server.enroll(request, key=_load(onboarding))
        except Refused as error:
            # Another replica, with the same keys, may have used it just before us.
            _log.info("the onboarding key was refused", reason=error.message)
            configuration = await self._report()
        await self._forget_onboarding_key()
        await self._report()
        return configuration

    async def _forget_onboarding_key(self) -> None:
        try:
            await self._cluster.delete_onboarding_key()
        except TowropeError as error:
            _log.warning("the used onboarding key stays in the cluster", reason=error.message)

    async def _report(self) -> Configuration:
        facts = await self._cluster.facts(self._identity)
        return await self._server.heartbeat(facts, key=self._key)

    async def keep_reporting(self, trust: CurrentTrust) -> None:
        """The heartbeat, until cancelled. What the server answers comes into force in `trust`."""
        delay = agent_api.HEARTBEAT_EVERY
        while True:
            await asyncio.sleep(delay)
            try:
                await trust.renew_by(self._report)
                delay = agent_api.HEARTBEAT_EVERY
            except TowropeError as error:
                _log.warning("no heartbeat", reason=error.message, hop=error.hop)
                delay = MISSED_HEARTBEAT_DELAY

    async def configuration(self, request: FetchConfiguration) -> Configuration:
        """Raises what `ServerApi` raises."""
        return await self._server.configuration(request, key=self._key)

    async def principal(self, question: ResolvePrincipal) -> ResolvedPrincipal:
        """Raises what `ServerApi` raises."""
        return await self._server.principal(question, key=self._key)

    async def policy(self, request: FetchPolicy) -> Policy | None:
        """Raises what `ServerApi` raises."""
        return await self._server.policy(request, key=self._key)

    async def listen(self) -> agent_api.Listen:
        """A listener's token. Raises what `ServerApi` raises."""
        return await self._server.listen(key=self._key)


def _load(pem: bytes) -> Key:
    try:
        return assertion.load_key(pem)
    except Malformed:
        raise Malformed(
            f"The Secret '{names.ONBOARDING_SECRET}' holds no key. Connect the cluster again:"
            " 'towrope connectedk8s connect'.",
            hop=Hop.AGENT,
        ) from None
