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
from towrope.wire.errors import Cut, Hop, foreign

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
            self._context = _server_context(leaf, self._server_name)
        return self._context

    async def accept(
        self, stream: StreamTransport, protocol: asyncio.Protocol
    ) -> asyncio.Transport:
        """Does the handshake on a stream; `protocol` is not told `connection_made`.

        Raises `Cut` where it failed; the stream is then given up.
        """
        context = self.context(now=datetime.datetime.now(datetime.UTC))
        try:
            transport = await aiofastnet.start_tls(
                asyncio.get_running_loop(),
                stream,
                protocol,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_WITHIN,
                ssl_shutdown_timeout=SHUTDOWN_WITHIN,
            )
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


def _server_context(leaf: KeyPair, server_name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Upgrades (exec, attach, port-forward) need HTTP/1.1.
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 0  # nobody resumes: a stream is one connection

    def refuse_other_names(
        _: ssl.SSLObject | ssl.SSLSocket, asked: str | None, __: ssl.SSLContext
    ) -> int | None:
        is_ours = asked is not None and asked.lower() == server_name
        return None if is_ours else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = refuse_other_names
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
