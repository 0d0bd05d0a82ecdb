"""Several proxies on one machine: they share a port, and outlive one another."""

import asyncio
import contextlib
import socket
import stat
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.client.proxy.conftest import Started, World, until, who_answers
from towrope.client.proxy import port as ports
from towrope.client.proxy.join import joined
from towrope.client.proxy.port import PortInUse, Record, listen
from towrope.wire.errors import Refused, TowropeError


def record_of(folder: Path, port: int) -> Record:
    return msgspec.json.decode((folder / f"{port}.json").read_bytes(), type=Record)


def port_of(folder: Path) -> int:
    (path,) = folder.glob("*.json")
    return int(path.stem)


async def test_one_proxy_reaches_its_cluster(world: World, started: Started) -> None:
    async with started("one") as proxy:
        assert proxy.owns_port
        assert await who_answers(world, port_of(world.folder), "one") == "one"
    assert list(world.folder.iterdir()) == []


async def test_the_record_is_private_and_its_secret_is_not_shown(
    world: World, started: Started
) -> None:
    async with started("one"):
        port = port_of(world.folder)
        mode = (world.folder / f"{port}.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
        record = record_of(world.folder, port)
        assert len(record.secret) >= 32
        assert record.secret not in repr(record)


async def test_a_second_proxy_joins_and_each_name_reaches_its_own_cluster(
    world: World, started: Started
) -> None:
    async with started("one"):
        port = port_of(world.folder)
        async with started("two", port=port) as second:
            assert not second.owns_port
            assert await who_answers(world, port, "one") == "one"
            assert await who_answers(world, port, "two") == "two"
        with pytest.raises(OSError, match=r"(?i)unrecognized.name"):
            await who_answers(world, port, "two")
        assert await who_answers(world, port, "one") == "one"


async def test_a_joiner_takes_the_port_over_when_the_owner_ends(
    world: World, started: Started
) -> None:
    async with contextlib.AsyncExitStack() as owner:
        await owner.enter_async_context(started("one"))
        port = port_of(world.folder)
        async with started("two", port=port) as second, started("one", port=port) as third:
            await owner.aclose()
            await until(lambda: second.owns_port or third.owns_port)
            # The one that did not get the port joins the one that did.
            owner_of_two = second if second.owns_port else third
            await until(lambda: len(owner_of_two._front.routes) == 2)
            assert await who_answers(world, port, "one") == "one"
            assert await who_answers(world, port, "two") == "two"


async def test_a_stream_that_is_cut_is_a_reset_through_a_joiner_too(
    world: World, started: Started
) -> None:
    async with started("one"):
        port = port_of(world.folder)
        async with started("two", port=port):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=world.tls(), server_hostname="two.clusters.test"
            )
            assert await reader.readline() == b"two\n"
            world.relay.cut()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_two_proxies_for_one_cluster_both_serve_it(world: World, started: Started) -> None:
    async with started("one"):
        port = port_of(world.folder)
        async with started("one", port=port):
            assert await who_answers(world, port, "one") == "one"
        assert await who_answers(world, port, "one") == "one"


async def test_a_join_with_a_wrong_secret_is_refused(world: World, started: Started) -> None:
    async with started("one"):
        port = port_of(world.folder)
        wrong = Record(pid=1, port=port, secret="x" * 43)
        with pytest.raises(Refused, match="secret"):
            async with joined(wrong, server_name="one.clusters.test", port=9):
                pass
        assert await who_answers(world, port, "one") == "one"


async def test_a_joiner_takes_no_joiners(world: World, started: Started) -> None:
    async with started("one"):
        port = port_of(world.folder)
        async with started("two", port=port) as second:
            assert second._own_port is not None
            record = Record(pid=1, port=second._own_port, secret="")
            with pytest.raises(Refused):
                async with joined(record, server_name="x.clusters.test", port=9):
                    pass


async def test_a_strangers_port_is_refused_with_its_process(
    world: World, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towrope.client.proxy.local.CLAIM_WITHIN", 0.3)
    with listen(0) as stranger:
        port = stranger.getsockname()[1]
        me = psutil.Process()
        expected = rf"Port {port} is already in use by {me.name()} \(pid {me.pid}\)\. Please select"
        with pytest.raises(PortInUse, match=expected):
            async with started("one", port=port):
                pass
    assert list(world.folder.iterdir()) == []


async def test_a_stranger_that_took_a_dead_proxys_port_is_not_taken_for_it(
    world: World, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("towrope.client.proxy.local.CLAIM_WITHIN", 0.3)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as stranger:
        port = stranger.sockets[0].getsockname()[1]
        world.folder.mkdir()
        record = Record(pid=2**22 + 1, port=port, secret="dead")
        (world.folder / f"{port}.json").write_bytes(msgspec.json.encode(record))
        with pytest.raises(PortInUse):
            async with started("one", port=port):
                pass


async def test_a_record_left_by_a_killed_proxy_does_not_matter(
    world: World, started: Started
) -> None:
    with listen(0) as free:
        port = free.getsockname()[1]
    world.folder.mkdir()
    (world.folder / f"{port}.json").write_text("not JSON")
    async with started("one", port=port) as proxy:
        assert proxy.owns_port
        assert await who_answers(world, port, "one") == "one"


async def test_a_port_that_may_not_be_had_is_an_error(
    world: World, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(port: int) -> socket.socket:
        raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(ports, "listen", refuse)
    with pytest.raises(TowropeError, match=r"Cannot listen on port 1: Cannot assign .*--port"):
        async with started("one", port=1):
            pass
