"""Enrolment with a cluster and a server that the test plays."""

import asyncio
import datetime
from typing import cast

import msgspec
import pytest
from joserfc.jwk import ECKey, RSAKey

from towrope.agent import enrolment, keys
from towrope.agent.cluster import ClusterApi
from towrope.agent.enrolment import Enrolment
from towrope.agent.keys import Identity
from towrope.agent.server_api import ServerApi
from towrope.agent.trust import CurrentTrust
from towrope.wire.agent_api import (
    Configuration,
    Enroll,
    FetchConfiguration,
    Heartbeat,
    Listen,
    ResolvedPrincipal,
    ResolvePrincipal,
    Trust,
)
from towrope.wire.assertion import Key
from towrope.wire.errors import Forbidden, Hop, Malformed, Refused, Unauthenticated, Unreachable

TRUST = Trust(directory_changed_at=7)
CONFIGURATION = Configuration(resource_id="/r", tls_server_name="a.test", trust=TRUST)
ONBOARDING = RSAKey.generate_key(2048, private=True)


class PlayedCluster:
    def __init__(self, onboarding: bytes | None) -> None:
        self.onboarding = onboarding
        self.may_delete = True

    async def onboarding_key(self) -> bytes | None:
        return self.onboarding

    async def delete_onboarding_key(self) -> None:
        if not self.may_delete:
            raise Forbidden("no", hop=Hop.APISERVER)
        self.onboarding = None

    async def facts(self, identity: Identity) -> Heartbeat:
        return Heartbeat(agent_version="1", ca_certificate=identity.ca_certificate)


class PlayedServer:
    def __init__(self) -> None:
        self.calls: list[tuple[str, type[Key]]] = []
        self.failures: list[Exception] = []
        self.enrolled = ""

    async def enroll(self, request: Enroll, *, key: Key) -> Configuration:
        self._called("enroll", key)
        self.enrolled = request.public_key
        assert "PRIVATE" not in msgspec.json.encode(request).decode()
        return CONFIGURATION

    async def heartbeat(self, facts: Heartbeat, *, key: Key) -> Configuration:
        self._called("heartbeat", key)
        assert facts.ca_certificate
        return CONFIGURATION

    async def configuration(self, request: FetchConfiguration, *, key: Key) -> Configuration:
        self._called("configuration", key)
        return CONFIGURATION

    async def principal(self, question: ResolvePrincipal, *, key: Key) -> ResolvedPrincipal:
        self._called("principal", key)
        return ResolvedPrincipal(is_active=True, groups=question.groups)

    async def listen(self, *, key: Key) -> Listen:
        self._called("listen", key)
        return Listen(relay="wss://a", hybrid_connection_name="b", token="c", expires_at=1)

    def _called(self, name: str, key: Key) -> None:
        self.calls.append((name, type(key)))
        if self.failures:
            raise self.failures.pop(0)


class Played:
    def __init__(self, onboarding: bytes | None) -> None:
        self.cluster = PlayedCluster(onboarding)
        self.server = PlayedServer()
        self.identity = keys.generate("/r", now=datetime.datetime.now(datetime.UTC))
        self.enrolment = Enrolment(
            cast("ClusterApi", self.cluster), cast("ServerApi", self.server), self.identity
        )


def pem() -> bytes:
    return ONBOARDING.as_pem(private=True)


async def test_the_onboarding_key_is_used_once_and_deleted() -> None:
    played = Played(pem())
    assert await played.enrolment.enrol() == CONFIGURATION
    assert played.server.calls == [("enroll", RSAKey), ("heartbeat", ECKey)]
    assert played.server.enrolled == played.identity.public_key
    assert played.cluster.onboarding is None


async def test_an_enrolled_agent_only_reports() -> None:
    played = Played(None)
    assert await played.enrolment.enrol() == CONFIGURATION
    assert played.server.calls == [("heartbeat", ECKey)]


async def test_another_replica_was_first() -> None:
    played = Played(pem())
    played.server.failures = [Refused("used", hop=Hop.SERVER)]
    assert await played.enrolment.enrol() == CONFIGURATION
    assert [name for name, _ in played.server.calls] == ["enroll", "heartbeat", "heartbeat"]
    assert played.cluster.onboarding is None


async def test_a_key_that_cannot_be_deleted_is_no_obstacle() -> None:
    played = Played(pem())
    played.cluster.may_delete = False
    assert await played.enrolment.enrol() == CONFIGURATION


async def test_refused_altogether_keeps_the_key() -> None:
    played = Played(pem())
    refusal = Unauthenticated("no", hop=Hop.SERVER)
    played.server.failures = [refusal, refusal]
    with pytest.raises(Unauthenticated):
        await played.enrolment.enrol_once()
    assert played.cluster.onboarding is not None


async def test_a_broken_onboarding_key_is_one_sentence() -> None:
    with pytest.raises(Malformed, match="holds no key"):
        await Played(b"no key").enrolment.enrol_once()


async def test_it_tries_until_the_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "LONGEST_DELAY", 0.01)
    monkeypatch.setattr(enrolment, "REFUSED_DELAY", 0.01)
    played = Played(None)
    away, refused = Unreachable("away", hop=Hop.SERVER), Unauthenticated("no", hop=Hop.SERVER)
    played.server.failures = [away, away, refused]
    assert await played.enrolment.enrol() == CONFIGURATION
    assert len(played.server.calls) == 4


async def test_the_heartbeat_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("towrope.wire.agent_api.HEARTBEAT_EVERY", 0.01)
    monkeypatch.setattr(enrolment, "MISSED_HEARTBEAT_DELAY", 0.01)
    played = Played(None)
    played.server.failures = [Unreachable("away", hop=Hop.SERVER)]
    trust = CurrentTrust(Trust(), played.enrolment.configuration)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await played.enrolment.keep_reporting(trust)
    assert len(played.server.calls) > 2
    assert trust.issuers.trust == TRUST


async def test_a_listeners_token_is_asked_for_with_the_own_key() -> None:
    played = Played(None)
    assert (await played.enrolment.listen()).token == "c"
    assert played.server.calls == [("listen", ECKey)]


async def test_trust_and_principals_are_asked_for_with_the_own_key() -> None:
    played = Played(None)
    assert await played.enrolment.configuration(FetchConfiguration()) == CONFIGURATION
    question = ResolvePrincipal(
        issuer="towrope", object_id="o", is_application=False, issued_at=1, groups=("g",)
    )
    assert (await played.enrolment.principal(question)).groups == ("g",)
    assert played.server.calls == [("configuration", ECKey), ("principal", ECKey)]
