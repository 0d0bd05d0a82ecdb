"""The sending side of one cluster's hybrid connection: its credential, kept fresh, and its dials.

A new credential is asked for ahead of the old one's end, and when the relay refuses it; running
streams are not touched. It knows nothing of ports and of kubectl.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from towrope.client.api import ClusterUserCredential
from towrope.client.proxy.egress import http_proxy_for
from towrope.ops.backoff import Backoff
from towrope.tunnel.stream import StreamTransport
from towrope.tunnel.websocket import Receiver, dial
from towrope.wire.address import Action, build
from towrope.wire.errors import Forbidden, Hop, NotFound, TowropeError, Unauthenticated
from towrope.wire.messages import SUBPROTOCOL

RENEW_BEFORE = 300.0
RENEW_JITTER = 60.0
LOOK_EVERY = 60.0
"""Seconds; a machine that slept does not notice how long."""
RENEW_PAUSE = 5.0
"""Seconds between credentials asked for because the relay refused one."""

PATIENCE = 5.0
"""Seconds for which a dial is repeated while a relay or an agent restarts."""
DIAL_WITHIN = 9.0
"""Seconds for a dial in all: kubectl gives up on its TLS handshake after 10."""
IMPATIENT_FOR = 10.0
"""Seconds after a failure in which a dial is tried once only: kubectl repeats it by itself."""

Fetch = Callable[[], Awaitable[ClusterUserCredential]]
Report = Callable[[str], None]


class Sender:
    """Dials streams to one cluster's agent."""

    def __init__(
        self,
        credential: ClusterUserCredential,
        fetch: Fetch,
        *,
        tls: ssl.SSLContext | None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._tls = tls
        self._patience = patience
        self._clock = clock
        self._credential = credential
        self._obtained_at = clock()
        self._renewed_at = float("-inf")
        self._failed_at = float("-inf")
        self._renewing = asyncio.Lock()

    async def dial(self) -> StreamTransport:
        """A stream to an agent of the cluster. Raises `TowropeError`, within `DIAL_WITHIN`."""
        started = time.monotonic()
        deadline = started + DIAL_WITHIN
        is_patient = started - self._failed_at > IMPATIENT_FOR
        backoff = Backoff(first=0.3, cap=1.0)
        while True:
            try:
                stream = await self._dial_renewing(deadline)
            except TowropeError as error:
                pause = backoff.next_delay()
                is_late = time.monotonic() + pause > started + self._patience
                if is_late or not is_patient or not _may_pass(error):
                    self._failed_at = time.monotonic()
                    raise
                await asyncio.sleep(pause)
            else:
                self._failed_at = float("-inf")
                return stream

    async def keep_fresh(self, report: Report) -> None:
        """Renews the credential ahead of its end, for ever; tells `report` what goes wrong."""
        backoff = Backoff(first=2.0, cap=LOOK_EVERY)
        jitter = backoff.rng.random()
        while True:
            remaining = self._renew_at(jitter) - self._clock()
            if remaining > 0:
                await asyncio.sleep(min(remaining, LOOK_EVERY))
                continue
            try:
                await self._renew(instead_of=self._credential)
            except TowropeError as error:
                report(f"The right to connect could not be renewed: {error}")
                await asyncio.sleep(1.0 + backoff.next_delay())
            else:
                backoff.reset()
                jitter = backoff.rng.random()

    def _renew_at(self, jitter: float) -> float:
        # A credential that lives shortly is not renewed all the time.
        lifetime = max(self._credential.expiration_time - self._obtained_at, RENEW_PAUSE)
        ahead = min(RENEW_BEFORE + RENEW_JITTER * jitter, lifetime / 2)
        return self._obtained_at + lifetime - ahead

    async def _dial_renewing(self, deadline: float) -> StreamTransport:
        credential = self._credential
        if credential.expiration_time <= self._clock() and self._may_renew():
            credential = await self._renew(instead_of=credential)
        try:
            return await self._dial_once(credential, deadline)
        except (Unauthenticated, Forbidden, NotFound) as error:
            # NotFound too: a cluster that was connected anew has another hybrid connection.
            if self._credential is credential and not self._may_renew():
                raise
            renewed = await self._renew_or_raise(credential, error)
            return await self._dial_once(renewed, deadline)

    async def _renew_or_raise(
        self, credential: ClusterUserCredential, error: TowropeError
    ) -> ClusterUserCredential:
        try:
            return await self._renew(instead_of=credential)
        except TowropeError:
            if isinstance(error, NotFound):
                raise error from None
            raise

    def _may_renew(self) -> bool:
        return time.monotonic() - self._renewed_at > RENEW_PAUSE

    async def _renew(self, *, instead_of: ClusterUserCredential) -> ClusterUserCredential:
        async with self._renewing:
            if self._credential is instead_of:
                self._renewed_at = time.monotonic()
                self._credential = await self._fetch()
                self._obtained_at = self._clock()
            return self._credential

    async def _dial_once(
        self, credential: ClusterUserCredential, deadline: float
    ) -> StreamTransport:
        base = credential.relay if "://" in credential.relay else f"wss://{credential.relay}"
        ws = await dial(
            build(base, credential.hybrid_connection_name, Action.CONNECT),
            Receiver(),
            hop=Hop.RELAY,
            headers={"ServiceBusAuthorization": credential.token},
            subprotocol=SUBPROTOCOL,
            tls=self._tls,
            proxy=http_proxy_for(urlsplit(base).hostname or ""),
            within=max(deadline - time.monotonic(), 1.0),
        )
        return StreamTransport(ws, hop=Hop.AGENT)


def _may_pass(error: TowropeError) -> bool:
    """Whether the same dial may well succeed in a moment: an agent that restarts is not found."""
    return error.retryable or isinstance(error, NotFound)
