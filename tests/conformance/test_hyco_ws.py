"""Azure's own client for Node.js, unchanged, as listener and as sender."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.ends import End, read_all
from tests.fixtures.relay import RULE, RunningRelay
from tests.relay.conversation import accept, listening
from towrope.wire import address
from towrope.wire.address import Action
from towrope.wire.sas import Right

HERE = Path(__file__).parent
WITHIN = 30.0
RIGHTS = {"listen": Right.LISTEN, "send": Right.SEND}
ACTIONS = {"listen": Action.LISTEN, "send": Action.CONNECT}


class Peer:
    """A running hyco-ws."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def sees(self, event: str) -> dict[str, Any]:
        """The facts of the next event, which must be this one."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN):
            line = await self._process.stdout.readline()
        facts: dict[str, Any] = json.loads(line)
        assert facts.pop("event") == event, facts
        return facts


@asynccontextmanager
async def hyco(
    clients: Path,
    relay: RunningRelay,
    part: str,
    path: str = "alpha",
    *,
    query: str = "",
    **secrets: str,
) -> AsyncIterator[Peer]:
    known = {"KEY": relay.key("alpha", RIGHTS[part]), "RULE": RULE}
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(clients / "node_modules"),
        "NODE_EXTRA_CA_CERTS": str(relay.ca),
        "NODE_NO_WARNINGS": "1",
        **(secrets if "TOKEN" in secrets else known | secrets),
    }
    process = await asyncio.create_subprocess_exec(
        str(clients / "bin" / "node"),
        str(HERE / "hyco_ws.js"),
        part,
        address.build(relay.url, path, ACTIONS[part], query=query),
        stdout=subprocess.PIPE,
        env=environment,
    )
    try:
        yield Peer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_sender_and_a_listener(clients: Path, relay: RunningRelay) -> None:
    async with hyco(clients, relay, "listen") as listener:
        await listener.sees("listening")
        async with hyco(clients, relay, "send") as sender:
            await sender.sees("open")
            assert await sender.sees("text") == {"text": "hello é"}
            assert await sender.sees("binary") == {"same": True}
            assert (await sender.sees("close"))["code"] == 1000
        await listener.sees("connection")
        assert await listener.sees("close") == {"code": 1000, "reason": "done"}


async def test_a_sender_and_our_listener(clients: Path, relay: RunningRelay) -> None:
    async with listening(relay) as (control, _):
        more = {"query": "a=1", "PROTOCOL": "one,two"}
        async with hyco(clients, relay, "send", "alpha/suffix", **more) as sender:
            end, ws = await accept(relay, control, subprotocol="two")
            assert await sender.sees("open") == {"protocol": "two"}
            assert await end.receive() == "hello é"
            large = await read_all(end, 300_000)
            ws.send_text("hello é")
            ws.send_binary(large)
            assert await sender.sees("text") == {"text": "hello é"}
            assert await sender.sees("binary") == {"same": True}
            closing = await end.end()
            assert (closing.code, closing.reason) == (1000, "done")


async def test_a_sender_is_told_of_our_end(clients: Path, relay: RunningRelay) -> None:
    async with listening(relay) as (control, _), hyco(clients, relay, "send") as sender:
        end, ws = await accept(relay, control)
        await sender.sees("open")
        ws.close(4001, "because")
        assert await sender.sees("close") == {"code": 4001, "reason": "because"}
        await end.end()


async def test_a_sender_that_we_reject(clients: Path, relay: RunningRelay) -> None:
    async with listening(relay) as (control, _), hyco(clients, relay, "send") as sender:
        place = (await control.accept_message()).address
        target = place.removeprefix(relay.url) + "&sb-hc-statusCode=418"
        assert (await relay.ask_tunnel(target)).status == 410
        assert "(418)" in (await sender.sees("error"))["text"]


@pytest.mark.parametrize("subprotocols", [None, "first, second"])
async def test_a_listener_and_our_sender(
    clients: Path, relay: RunningRelay, subprotocols: str | None
) -> None:
    async with hyco(clients, relay, "listen") as listener:
        await listener.sees("listening")
        end = End()
        ws = await relay.dial(
            "alpha/suffix",
            Action.CONNECT,
            end,
            query="a=1",
            subprotocol=subprotocols,
            # What its listener turns into a header named `0`.
            headers={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
            token=relay.mint("alpha", Right.SEND),
        )
        chosen = subprotocols and "first"
        assert ws.subprotocol == chosen
        facts = await listener.sees("connection")
        assert facts["url"].startswith(f"{relay.url}/$hc/alpha/suffix?sb-hc-action=accept")
        assert facts["url"].endswith("&a=1")
        ws.send_text("é")
        ws.send_binary(bytes(200_000))
        assert await end.receive() == "é"
        assert await end.receive() == bytes(200_000)
        ws.close(1000, "bye")
        assert await listener.sees("close") == {"code": 1000, "reason": "bye"}
        await end.end()


@pytest.mark.parametrize("part", ["listen", "send"])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("wrong key", 401),
        ("expired", 401),
        ("malformed", 401),
        ("foreign", 403),
        ("wrong right", 403),
        ("unknown path", 404),
    ],
)
async def test_tokens_that_are_not_good(
    clients: Path, relay: RunningRelay, part: str, fault: str, status: int
) -> None:
    right = RIGHTS[part]
    other = Right.SEND if right is Right.LISTEN else Right.LISTEN
    path = "gamma" if fault == "unknown path" else "alpha"
    secrets = {
        "wrong key": {"KEY": relay.key("beta", right)},
        "expired": {"TOKEN": relay.mint("alpha", right, expires_in=-1)},
        "malformed": {"TOKEN": relay.mint("alpha", right)[:-30]},
        "foreign": {"TOKEN": relay.mint("beta", right)},
        "wrong right": {"TOKEN": relay.mint("alpha", other)},
        "unknown path": {"TOKEN": relay.mint("gamma", right)},
    }[fault]
    async with listening(relay), hyco(clients, relay, part, path, **secrets) as peer:
        assert f"({status})" in (await peer.sees("error"))["text"]


async def test_a_sender_that_nobody_listens_to(clients: Path, relay: RunningRelay) -> None:
    async with hyco(clients, relay, "send") as sender:
        assert "(404)" in (await sender.sees("error"))["text"]
