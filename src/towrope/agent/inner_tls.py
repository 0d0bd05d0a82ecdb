"""The inner TLS: kubectl's own session, which ends here and nowhere on the way.

The certificate is signed by the cluster's own authority, whose key never leaves the cluster, for
the one name by which callers know this cluster. Any other name is refused.
"""

import asyncio
import datetime
import os
import ssl
import tempfile
from pathlib import Path

import aiofastnet

from towrope.ops import certificates, files
from towrope.ops.certificates import KeyPair
from towrope.tunnel.stream import StreamTransport
from towrope.wire import client_hello
from towrope.wire.client_hello import Alert, ClientHello
from towrope.wire.errors import Cut, Hop, Malformed, foreign

HANDSHAKE_WITHIN = 15.0
SHUTDOWN_WITHIN = 30.0
LEAF_DAYS = 30
RENEW_BEFORE = 10 * 86_400.0
"""Seconds before its end at which the certificate is made anew."""


class InnerTls:
    """Makes the server side of sessions, with a certificate that it renews by itself."""

    def __init__(self, authority: KeyPair, server_name: str) -> None:
        self._authority = authority
        self._server_name = server_name.lower()
        self._context: ssl.SSLContext | None = None
        self._good_until = 0.0

    def context(self, *, now: datetime.datetime) -> ssl.SSLContext:
        if self._context is None or now.timestamp() > self._good_until - RENEW_BEFORE:
            leaf = certificates.new_leaf(
                self._authority, names=[self._server_name], now=now, days=LEAF_DAYS
            )
            self._good_until = certificates.expires_at(leaf.certificate)
            self._context = _server_context(leaf)
        return self._context

    async def accept(
        self, stream: StreamTransport, protocol: asyncio.Protocol
    ) -> asyncio.Transport:
        """Does the handshake on a stream; `protocol` is not told `connection_made`.

        Raises `Cut` where it failed; the stream is then given up.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_WITHIN):
                await self._read_hello(stream)
                transport = await self._start(stream, protocol)
        except TimeoutError:
            stream.abort()
            slow = f"The inner TLS handshake took over {HANDSHAKE_WITHIN:g} s."
            raise Cut(slow, hop=Hop.CLIENT) from None
        except OSError as error:
            stream.abort()
            why = foreign(getattr(error, "reason", None) or str(error) or type(error).__name__)
            raise Cut(f"The inner TLS handshake failed: {why}.", hop=Hop.CLIENT) from None
        except BaseException:
            stream.abort()
            raise
        if transport.is_closing():
            raise Cut("The stream ended within the inner TLS handshake.", hop=Hop.CLIENT)
        return transport

    async def _read_hello(self, stream: StreamTransport) -> None:
        """Leaves the ClientHello to be read again, if it asks for our name."""
        reader = _HelloReader(stream)
        stream.set_protocol(reader)
        hello = await reader.hello
        if hello.server_name != self._server_name:
            stream.write(client_hello.alert(Alert.UNRECOGNIZED_NAME))
            stream.close()
            raise Cut("The caller asked for another cluster's name.", hop=Hop.CLIENT)
        stream.unread(bytes(reader.data))

    async def _start(
        self, stream: StreamTransport, protocol: asyncio.Protocol
    ) -> asyncio.Transport:
        return await aiofastnet.start_tls(
            asyncio.get_running_loop(),
            stream,
            protocol,
            self.context(now=datetime.datetime.now(datetime.UTC)),
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_WITHIN,
            ssl_shutdown_timeout=SHUTDOWN_WITHIN,
        )


class _HelloReader(asyncio.Protocol):
    """Reads until the ClientHello is whole.

    A server name callback in the TLS context would be simpler, but TLS done by the transport's
    library on a context of the standard library crashes the interpreter in one.
    """

    def __init__(self, stream: StreamTransport) -> None:
        self.data = bytearray()
        self.hello: asyncio.Future[ClientHello] = asyncio.get_running_loop().create_future()
        self._stream = stream

    def data_received(self, data: bytes) -> None:
        self.data += data
        try:
            hello = client_hello.parse(self.data)
        except Malformed as error:
            self._fail(Cut(error.message, hop=Hop.CLIENT))
            return
        if hello is not None and not self.hello.done():
            self._stream.pause_reading()
            self.hello.set_result(hello)

    def eof_received(self) -> bool:
        self._fail(Cut("The caller left before it began.", hop=Hop.CLIENT))
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self._fail(exc or Cut("The caller left before it began.", hop=Hop.CLIENT))

    def _fail(self, error: BaseException) -> None:
        if not self.hello.done():
            self.hello.set_exception(error)


def _server_context(leaf: KeyPair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Upgrades (exec, attach, port-forward) need HTTP/1.1.
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 0  # nobody resumes: a stream is one connection
    _load(context, leaf)
    return context


def _load(context: ssl.SSLContext, leaf: KeyPair) -> None:
    """`ssl` reads certificates from files alone: one in memory where there is such a thing."""
    content = leaf.private_key + leaf.certificate
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leaf.pem"
        files.write_private(path, content)
        context.load_cert_chain(path)
