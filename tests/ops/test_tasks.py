import asyncio

import pytest
import structlog

from towrope.ops import tasks


async def test_a_failure_is_logged_with_the_tasks_name() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with structlog.testing.capture_logs() as lines:
        task = tasks.spawn(fail(), name="watcher")
        await asyncio.wait([task])
        await asyncio.sleep(0)  # its callback runs after those who wait for it
    assert lines[0]["event"] == "task failed"
    assert lines[0]["task"] == "watcher"


async def test_cancel_waits_until_each_has_ended() -> None:
    ended = []

    async def stay() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    task = tasks.spawn(stay(), name="stay")
    await asyncio.sleep(0)
    with structlog.testing.capture_logs() as lines:
        await tasks.cancel(task, None)
    assert ended == [True]
    assert lines == []
    await tasks.cancel(task)


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ConnectionResetError(), "debug"),
        (ConnectionResetError, "debug"),
        (ValueError("x"), "error"),
    ],
)
async def test_a_peer_that_hangs_up_is_no_failure(error: object, level: str) -> None:
    loop = asyncio.get_running_loop()
    tasks.report_failures()
    with structlog.testing.capture_logs() as logs:
        loop.call_exception_handler({"message": "SSL handshake failed", "exception": error})
    assert [line["log_level"] for line in logs] == [level]
    assert logs[0]["message"] == "SSL handshake failed"
