"""How a second proxy on this machine joins the one that has the port: one line each way.

    {"towrope-join":{"secret":"…","serverName":"…","port":40123}}        the proxy that joins
    {"joined":true}   or   {"joined":false,"reason":"…"}                 the port's owner

The owner then forwards connections for that server name, as they come, to that port of 127.0.0.1,
and no relay token is handed over. The connection stays open: when it closes, the owner forgets the
name.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from towrope.client.proxy.port import LOOPBACK, Record
from towrope.wire.errors import Hop, Malformed, Refused, TowropeError, Unreachable, foreign

LINE_LIMIT = 1024
JOIN_WITHIN = 3.0


class Join(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who joins."""

    secret: str
    """From the owner's record, which only this user can read."""
    server_name: str
    port: int
    """Of 127.0.0.1, where the proxy that joins takes connections for `server_name`."""

    def __repr__(self) -> str:
        return f"Join(server_name={self.server_name!r}, port={self.port})"


class JoinLine(msgspec.Struct, frozen=True, kw_only=True):
    join: Join = msgspec.field(name="towrope-join")


class JoinReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    joined: bool
    reason: str = ""


def encode(line: JoinLine | JoinReply) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def decode_join(line: bytes) -> JoinLine:
    """Raises `Malformed`."""
    try:
        decoded = msgspec.json.decode(line, type=JoinLine)
    except msgspec.DecodeError:
        raise Malformed("The line of a proxy that joins is not valid.", hop=Hop.PROXY) from None
    if not 0 < decoded.join.port < 65536:
        raise Malformed("A proxy joins with a port that is none.", hop=Hop.PROXY)
    return decoded


class Lease:
    """A place at the port of another process; it lasts as long as both processes do."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def ended(self) -> None:
        """Returns when the port's owner has gone."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(LINE_LIMIT):
                pass


@contextlib.asynccontextmanager
async def joined(record: Record, *, server_name: str, port: int) -> AsyncIterator[Lease]:
    """A place at the port of the proxy that wrote `record`; given back when the block ends.

    Raises `Unreachable` where nobody answers, `Malformed` where it is no proxy, `Refused`.
    """
    try:
        async with asyncio.timeout(JOIN_WITHIN):
            reader, writer = await asyncio.open_connection(LOOPBACK, record.port, limit=LINE_LIMIT)
            try:
                join = Join(secret=record.secret, server_name=server_name, port=port)
                writer.write(encode(JoinLine(join=join)))
                answer = await reader.readline()
            except BaseException:
                await _close(writer)
                raise
    except (TimeoutError, OSError, ValueError):
        raise Unreachable(f"Port {record.port} does not answer.", hop=Hop.PROXY) from None
    try:
        _check(answer)
        yield Lease(reader)
    finally:
        await _close(writer)


def _check(answer: bytes) -> None:
    try:
        reply = msgspec.json.decode(answer, type=JoinReply)
    except msgspec.DecodeError:
        raise Malformed("What answers is not a Towrope proxy.", hop=Hop.PROXY) from None
    if not reply.joined:
        raise Refused(foreign(reply.reason), hop=Hop.PROXY)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TowropeError):
        await writer.wait_closed()
