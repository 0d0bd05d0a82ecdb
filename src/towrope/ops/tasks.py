"""Background tasks that nobody loses: named, referenced until they end, and loud when they fail.

Prefer an `asyncio.TaskGroup` wherever a scope outlives its tasks.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

_log = structlog.get_logger()
_running: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
    """Starts `work` as a task. A failure of it is logged, for there is nobody to raise it to."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        _log.error("task failed", task=task.get_name(), exc_info=error)


async def cancel(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels tasks and waits until each has ended, however it ends."""
    wanted = [task for task in tasks if task is not None and not task.done()]
    for task in wanted:
        task.cancel()
    if wanted:
        await asyncio.wait(wanted)


def report_failures() -> None:
    """Logs what callbacks of the running event loop let slip.

    A peer that hangs up in the middle of something is its business, not a failure of ours. The TLS
    library reports that by an exception's class, which the standard handler cannot print.
    """
    asyncio.get_running_loop().set_exception_handler(_report)


def _report(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if isinstance(error, OSError | type):
        _log.debug("peer hung up", message=context.get("message"))
    else:
        _log.error("event loop", message=context.get("message"), exc_info=error)
