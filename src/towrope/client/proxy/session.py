"""One run of `towrope connectedk8s proxy`: port, kubeconfig, announcement; undone at the end.

The order matters: the port is bound before anything names it, and the kubeconfig is whole before
the user is told to use it.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from towrope.client.api import ClusterUserCredential
from towrope.client.credential_plugin import CredentialPlugin
from towrope.client.kubeconfig import Entry, Kubeconfig, entry_of, looser_mode, render
from towrope.client.proxy.local import LocalProxy
from towrope.client.proxy.routes import Route
from towrope.client.proxy.sender import Fetch, Sender
from towrope.ops.stopping import stop_signal
from towrope.ops.tasks import cancel, report_failures, spawn
from towrope.wire.errors import TowropeError

REPEAT_AFTER = 60.0
"""Seconds for which the same notice is not given again."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for."""

    port: int
    file: Path | None
    """The kubeconfig to change; None prints one instead."""
    folder: Path
    """Where proxies of this user find each other."""
    token: str | None = field(default=None, repr=False)
    """A bearer token for the kubeconfig; else `plugin` gives them."""
    plugin: CredentialPlugin | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Where what is said goes."""

    output: Say
    """Only a printed kubeconfig."""
    inform: Say
    warn: Say


async def run(
    wish: Wish,
    credential: ClusterUserCredential,
    fetch: Fetch,
    *,
    tls: ssl.SSLContext | None,
    voice: Voice,
) -> None:
    """Proxies until the process is told to stop. Raises `TowropeError` where it cannot start."""
    report_failures()
    report = _once(voice.warn)
    sender = Sender(credential, fetch, tls=tls)
    server_name = entry_of(credential.kubeconfig, port=wish.port).tls_server_name
    route = Route(server_name=server_name, dial=sender.dial)
    proxy = LocalProxy(route, port=wish.port, folder=wish.folder, report=report)
    with stop_signal() as stopped:
        try:
            port = await proxy.start()
            entry = entry_of(
                credential.kubeconfig,
                port=port,
                token=wish.token,
                plugin=wish.plugin,
                context=wish.context,
            )
            renewing = spawn(sender.keep_fresh(report), name="local proxy: renew the credential")
            try:
                async with _offered(entry, wish, voice, port):
                    await stopped.wait()
            finally:
                await cancel(renewing)
        finally:
            await proxy.close()


@contextlib.asynccontextmanager
async def _offered(entry: Entry, wish: Wish, voice: Voice, port: int) -> AsyncIterator[None]:
    """The entry is where the user wanted it, and announced; at the end it is taken out."""
    if wish.file is None:
        voice.output(render(entry))
        voice.inform(f"Proxy is listening on port {port}")
        voice.inform(f"Start sending kubectl requests on '{entry.context}' context.")
        voice.inform("Press Ctrl+C to close proxy.")
        yield
        return
    if mode := looser_mode(wish.file):
        voice.warn(
            f'{wish.file} has permissions "{mode}".\n'
            "It should be readable and writable only by its owner; it is made so."
        )
    kubeconfig = Kubeconfig(wish.file)
    await asyncio.to_thread(kubeconfig.merge, entry)
    try:
        voice.inform(f"Proxy is listening on port {port}")
        voice.inform(f'Merged "{entry.context}" as current context in {wish.file}')
        voice.inform(
            f"Start sending kubectl requests on '{entry.context}' context using kubeconfig at"
            f" {wish.file}"
        )
        voice.inform("Press Ctrl+C to close proxy.")
        yield
    finally:
        try:
            await asyncio.to_thread(kubeconfig.remove, entry)
        except TowropeError as error:
            voice.warn(f"The context '{entry.context}' stays in the kubeconfig: {error}")


def _once(say: Say, *, clock: Callable[[], float] = time.monotonic) -> Say:
    """Says a thing that repeats itself once a minute."""
    said: dict[str, float] = {}

    def say_once(text: str) -> None:
        now = clock()
        for old in [known for known, at in said.items() if now - at > REPEAT_AFTER]:
            del said[old]
        if text not in said:
            said[text] = now
            say(text)

    return say_once
