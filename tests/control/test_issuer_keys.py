import asyncio
from typing import Any

import pytest
from joserfc.jwk import ECKey

from tests.control.conftest import Plane
from tests.control.trusting import ISSUERS, put, trust_oidc
from tests.fixtures.https_stub import Answer
from tests.fixtures.oidc_stub import DISCOVERY, OidcStub
from towrope.control import issuer_keys
from towrope.control.issuer_keys import AGAIN_AFTER, AGE_LIMIT, IssuerKeys
from towrope.control.issuer_metadata import fetch
from towrope.wire import agent_api

CHANGED = [(None, agent_api.TRUST)]


@pytest.fixture
async def dex(plane: Plane, oidc_stub: OidcStub) -> OidcStub:
    await trust_oidc(plane, oidc_stub)
    plane.notified.clear()
    oidc_stub.asked.clear()
    return oidc_stub


def keys_of(plane: Plane) -> IssuerKeys:
    return plane.control.services.issuer_keys


async def discovered(plane: Plane) -> dict[str, Any]:
    shown = (await plane.api.get(f"{ISSUERS}/dex")).raise_for_status().json()
    found: dict[str, Any] = shown["properties"]["discovered"]
    return found


def rotate(dex: OidcStub) -> str:
    dex.key = ECKey.generate_key("P-256")
    dex.keys = [dex.public(dex.key)]
    return dex.key.thumbprint()


async def test_keys_are_fetched_again_when_they_are_old(plane: Plane, dex: OidcStub) -> None:
    plane.now += AGE_LIMIT * 0.8 - 1
    await keys_of(plane).refresh_what_is_old()
    assert dex.asked == []
    kid = rotate(dex)
    plane.now += AGE_LIMIT * 0.2 + 1
    await keys_of(plane).refresh_what_is_old()
    assert dex.paths() == [DISCOVERY, "/keys"]
    assert (await discovered(plane))["keyIds"] == [kid]
    assert plane.notified == CHANGED


async def test_agents_are_not_told_of_keys_that_are_the_same(plane: Plane, dex: OidcStub) -> None:
    before = await discovered(plane)
    plane.now += AGE_LIMIT
    await keys_of(plane).refresh_what_is_old()
    assert len(dex.asked) == 2
    assert plane.notified == []
    assert (await discovered(plane))["lastFetched"] > before["lastFetched"]


async def test_an_unknown_key_is_looked_for_now_and_then(plane: Plane, dex: OidcStub) -> None:
    first = rotate(dex)
    await keys_of(plane).look_again("DEX")
    assert (await discovered(plane))["keyIds"] == [first]
    rotate(dex)
    plane.now += AGAIN_AFTER - 1
    await keys_of(plane).look_again("dex")
    assert (await discovered(plane))["keyIds"] == [first]
    assert len(dex.asked) == 2
    plane.now += 1
    await keys_of(plane).look_again("dex")
    assert len(dex.asked) == 4
    # A clock that was put back does not keep it from looking.
    plane.now -= 3600
    await keys_of(plane).look_again("dex")
    assert len(dex.asked) == 6


async def test_all_who_meet_an_unknown_key_wait_for_one_attempt(
    plane: Plane, dex: OidcStub
) -> None:
    rotate(dex)
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(keys_of(plane).look_again("dex"))
    assert dex.paths() == [DISCOVERY, "/keys"]
    assert plane.notified == CHANGED


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, Answer(status=503)),
        ("/keys", Answer(body={"keys": []})),
        ("/keys", Answer(body=b"<html>")),
    ],
    ids=["down", "no keys", "no key set"],
)
async def test_the_last_good_keys_stay(
    plane: Plane, dex: OidcStub, path: str, answer: Answer
) -> None:
    before = await discovered(plane)
    good, dex.answers[path] = dex.answers[path], answer
    plane.now += AGE_LIMIT
    await keys_of(plane).refresh_what_is_old()
    after = await discovered(plane)
    assert after.pop("lastError").startswith("The issuer ")
    assert before.pop("lastError") == ""
    assert after == before
    assert plane.notified == []
    dex.answers[path] = good
    plane.now += AGAIN_AFTER
    await keys_of(plane).refresh_what_is_old()
    assert (await discovered(plane))["lastError"] == ""


async def test_an_issuer_that_became_another_meanwhile_keeps_what_is_its_own(
    plane: Plane, dex: OidcStub
) -> None:
    rotate(dex)
    services = plane.control.services

    async def becomes_another(settings: Any) -> Any:
        await put(plane, "dex", dex.settings | {"usernamePrefix": "other:"})
        plane.notified.clear()
        rotate(dex)
        return await fetch(settings)

    own = IssuerKeys(services.database, clock=services.clock, notify=services.notify)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(issuer_keys, "fetch", becomes_another)
        await own.look_again("dex")
    assert plane.notified == []
    assert (await discovered(plane))["keyIds"] != [dex.key.thumbprint()]


async def test_an_issuer_that_is_gone(plane: Plane, dex: OidcStub) -> None:
    await plane.api.delete(f"{ISSUERS}/dex")
    await keys_of(plane).look_again("dex")
    assert dex.asked == []


async def test_what_is_under_way_ends_when_the_issuer_becomes_another(
    plane: Plane, dex: OidcStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def never(_: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(issuer_keys, "fetch", never)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(keys_of(plane).look_again("dex"))
        await begun.wait()
        keys_of(plane).forget("Dex")
    keys_of(plane).forget("nobody")


async def test_it_goes_on_after_a_failure(
    plane: Plane, dex: OidcStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = plane.control.services
    looked = asyncio.Queue[None]()

    class Failing(IssuerKeys):
        async def refresh_what_is_old(self) -> None:
            looked.put_nowait(None)
            raise OSError("the database is away")

    monkeypatch.setattr(issuer_keys, "LOOK_EVERY", 0.0)
    keys = Failing(services.database, clock=services.clock, notify=services.notify)
    await keys.start()
    try:
        async with asyncio.timeout(10):
            for _ in range(3):
                await looked.get()
    finally:
        await keys.stop()
