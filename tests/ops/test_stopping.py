import asyncio
import os
import signal

import pytest

from towrope.ops.stopping import stop_signal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent with kill")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_the_first_signal_sets_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signal() as stopped:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await stopped.wait()
    assert signal.getsignal(number) == before


async def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signal():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_where_the_loop_takes_no_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "add_signal_handler", refuse)
    monkeypatch.setattr(loop, "remove_signal_handler", refuse)
    with stop_signal() as stopped:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await stopped.wait()
