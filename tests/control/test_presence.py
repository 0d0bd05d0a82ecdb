import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.control.conftest import OnboardingKey, Plane
from towrope.control.app import ControlPlane
from towrope.control.store import clusters


@pytest.fixture
async def path(plane: Plane, onboarding_key: OnboardingKey) -> str:
    """The hybrid connection of a cluster."""
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    async with plane.control.services.database.reading() as connection:
        [found] = await clusters.paths_in(connection, "shops")
    return found


async def becomes(status: str, ask: Callable[[], Awaitable[str]]) -> None:
    async with asyncio.timeout(10):
        while await ask() != status:  # noqa: ASYNC110 - a store offers no event to wait for
            await asyncio.sleep(0)


async def test_the_status_follows_the_listeners(plane: Plane, path: str) -> None:
    assert await plane.connectivity() == "Connecting"
    plane.control.presence(path, 1)
    await becomes("Connected", plane.connectivity)
    plane.control.presence(path, 2)
    plane.control.presence(path, 1)
    plane.control.presence(path, 0)
    await becomes("Offline", plane.connectivity)
    plane.control.presence(path.upper(), 1)
    await becomes("Connected", plane.connectivity)


async def test_it_is_written_on_change_alone(plane: Plane, path: str) -> None:
    plane.control.presence(path, 1)
    await becomes("Connected", plane.connectivity)
    plane.now += 60
    plane.control.presence(path, 2)
    plane.control.presence(path, 1)
    await plane.control.services.presence.stop()
    async with plane.control.services.database.reading() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
    assert cluster is not None
    assert cluster.last_connectivity == int(plane.now - 60)


async def test_paths_that_are_no_clusters_do_no_harm(plane: Plane) -> None:
    plane.control.presence("label-printer", 1)
    plane.control.presence("never/heard/of", 0)
    await plane.control.services.presence.stop()
    assert plane.control.services.presence.listeners("Label-Printer") == 1


async def test_after_a_start_nothing_is_connected_until_it_listens(plane: Plane, path: str) -> None:
    plane.control.presence(path, 1)
    await becomes("Connected", plane.connectivity)
    again = ControlPlane(plane.settings)
    await again.start()
    try:
        assert await plane.connectivity() == "Offline"
        again.presence(path, 1)
        await becomes("Connected", plane.connectivity)
    finally:
        await again.stop()


async def test_a_failed_write_is_tried_again(
    plane: Plane, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = clusters.set_presence, asyncio.Event()

    async def fail_once(*args: object, **kwargs: object) -> None:
        monkeypatch.setattr(clusters, "set_presence", real)
        failed.set()
        raise OSError("disk full")

    monkeypatch.setattr(clusters, "set_presence", fail_once)
    plane.control.presence(path, 1)
    await asyncio.wait_for(failed.wait(), 10)
    await becomes("Connected", plane.connectivity)
