"""The proxy as a process: what it says and when, and what it leaves behind when it ends."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from tests.client.proxy.conftest import World, until, who_answers
from tests.client.test_kubeconfig import OWN
from towrope.client.proxy import session as module
from towrope.client.proxy.port import listen

TOKEN = "the-bearer-token"
Process = asyncio.subprocess.Process
Program = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture
def program(world: World, tmp_path: Path) -> Program:
    """Starts the proxy as a process; it is killed where the test did not end it."""

    @contextlib.asynccontextmanager
    async def start(name: str, *, file: str = "config", port: int = 0) -> AsyncIterator[Process]:
        arguments = (world.relay.port, name, world.folder, file, port)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.client.proxy.program",
            *(str(tmp_path / part) if part == "config" else str(part) for part in arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        assert process.stdin is not None
        process.stdin.write(f"{TOKEN}\n".encode())
        process.stdin.close()
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
            process._transport.close()  # type: ignore[attr-defined]  # else only once collected

    return start


async def said(process: Process, pattern: str) -> str:
    """The first line on standard output that matches; what comes before is left out."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while line := (await process.stdout.readline()).decode():
            if re.search(pattern, line):
                return line
    pytest.fail(f"it did not say {pattern}")


async def announced(process: Process) -> int:
    line = await said(process, "Proxy is listening on port")
    await said(process, r"Press Ctrl\+C")
    return int(line.split()[-1])


async def stop(process: Process, number: signal.Signals) -> int:
    process.send_signal(number)
    async with asyncio.timeout(10):
        return await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_is_announced_when_it_works_and_leaves_nothing(
    world: World, program: Program, tmp_path: Path, number: signal.Signals
) -> None:
    config = tmp_path / "config"
    config.write_text(OWN)
    config.chmod(0o600)
    async with program("one") as process:
        port = await announced(process)
        assert await who_answers(world, port, "one") == "one"
        assert f"https://127.0.0.1:{port}" in config.read_text()
        assert TOKEN in config.read_text()
        assert await stop(process, number) == 0
        assert process.stderr is not None
        assert await process.stderr.read() == b""
    assert config.read_text() == OWN
    assert list(world.folder.iterdir()) == []


async def test_says_what_arcs_proxy_says(program: Program, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(OWN)
    config.chmod(0o644)
    async with program("one") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(4)]
        warning = (await process.stderr.readline()).decode()
        await stop(process, signal.SIGTERM)
    assert re.fullmatch(r"Proxy is listening on port \d+", lines[0])
    assert lines[1:] == [
        f'Merged "one" as current context in {config}',
        f"Start sending kubectl requests on 'one' context using kubeconfig at {config}",
        "Press Ctrl+C to close proxy.",
    ]
    assert warning == f'{config} has permissions "644".\n'
    assert config.stat().st_mode & 0o777 == 0o600


async def test_prints_nothing_but_yaml_where_it_is_asked_to(
    program: Program, tmp_path: Path
) -> None:
    async with program("one", file="-") as process:
        assert process.stderr is not None
        assert process.stdout is not None
        lines = [(await process.stderr.readline()).decode() for _ in range(3)]
        assert await stop(process, signal.SIGTERM) == 0
        printed = YAML(typ="safe", pure=True).load(await process.stdout.read())
    assert lines[0].startswith("Proxy is listening on port ")
    assert printed["users"][0]["user"] == {"token": TOKEN}
    assert not (tmp_path / "config").exists()


async def test_the_token_is_in_no_argument_and_no_record(world: World, program: Program) -> None:
    async with program("one") as process:
        port = await announced(process)
        shown = psutil.Process(process.pid)
        for each in (shown, *shown.children(recursive=True)):
            assert TOKEN not in " ".join(each.cmdline())
        record = (world.folder / f"{port}.json").read_text()
        assert TOKEN not in record
        assert world.relay.token not in record
        await stop(process, signal.SIGTERM)


async def test_another_proxy_goes_on_when_the_ports_owner_is_killed(
    world: World, program: Program, tmp_path: Path
) -> None:
    async with program("one") as owner:
        port = await announced(owner)
        async with program("two", port=port) as second:
            assert await announced(second) == port
            assert await who_answers(world, port, "two") == "two"
            record = (world.folder / f"{port}.json").read_text()
            owner.kill()
            await owner.wait()
            await until(lambda: (world.folder / f"{port}.json").read_text() != record)
            assert await who_answers(world, port, "two") == "two"
            # The killed one is started again, and finds its own entry.
            async with program("one", port=port) as again:
                assert await announced(again) == port
                assert await who_answers(world, port, "one") == "one"
                assert await stop(again, signal.SIGTERM) == 0
            assert await stop(second, signal.SIGTERM) == 0
    text = (tmp_path / "config").read_text()
    assert "towrope" not in text
    assert TOKEN not in text


async def test_a_port_that_a_stranger_has_leaves_the_kubeconfig_alone(
    program: Program, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(OWN)
    with listen(0) as stranger:
        port = stranger.getsockname()[1]
        async with program("one", port=port) as process:
            out, err = await process.communicate()
    assert process.returncode != 0
    assert out == b""
    assert f"Port {port} is already in use by".encode() in err
    assert config.read_text() == OWN


async def test_a_broken_kubeconfig_gives_the_port_back(
    world: World, program: Program, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("- broken")
    async with program("one") as process:
        out, err = await process.communicate()
    assert b"Failed to load kubeconfig." in err
    assert out == b""
    assert list(world.folder.iterdir()) == []


async def test_a_cluster_that_is_gone_is_told_once(world: World, program: Program) -> None:
    async with program("one") as process:
        port = await announced(process)
        world.relay.refuse_with = 403
        for _ in range(3):
            with pytest.raises(OSError, match=r"(?i)access.denied"):
                await who_answers(world, port, "one")
        await stop(process, signal.SIGTERM)
        assert process.stderr is not None
        told = (await process.stderr.read()).decode()
    assert told.count("\n") == 1
    assert world.relay.token not in told


def test_a_notice_is_repeated_after_a_while() -> None:
    now = 0.0
    told: list[str] = []
    report = module._once(told.append, clock=lambda: now)
    report("a")
    report("a")
    report("b")
    now = 61.0
    report("a")
    assert told == ["a", "b", "a"]


def test_the_token_is_not_shown() -> None:
    wish = module.Wish(port=1, file=None, folder=Path(), token=TOKEN)
    assert TOKEN not in repr(wish)
