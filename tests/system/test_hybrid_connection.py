"""A hybrid connection that is no cluster: made by commands, used with its keys, deleted."""

import asyncio
import json
import ssl
import time

import pytest

from tests.fixtures.ends import End
from tests.fixtures.installation import GROUP, Installation
from towrope.ops.tasks import spawn
from towrope.tunnel import websocket
from towrope.tunnel.websocket import WebSocket
from towrope.wire import address, sas
from towrope.wire.address import Action
from towrope.wire.errors import Hop, NotFound, Unauthenticated

NAME = "label-printer"
IN = ("-g", GROUP, "--namespace-name", "printers")
RULE = ("--hybrid-connection-name", NAME)


def relay(installation: Installation, *words: str) -> str:
    return installation.towrope("relay", "hyco", *words, *IN).stdout


def token(installation: Installation, rule: str, slot: str) -> str:
    words = ("authorization-rule", "keys", "list", *RULE, "-n", rule)
    keys = json.loads(relay(installation, *words))
    assert keys["keyName"] == rule
    assert f"SharedAccessKeyName={rule};" in keys["primaryConnectionString"]
    assert keys["primaryConnectionString"].endswith(f"EntityPath={NAME}")
    audience = sas.audience(f"localhost:{installation.link.port}", NAME)
    return sas.mint(
        audience=audience, key=keys[f"{slot}Key"], rule=rule, expires_at=time.time() + 60
    )


async def dial(installation: Installation, action: Action, end: End, secret: str) -> WebSocket:
    authority = installation.folder / "server" / "tls" / "ca.pem"
    return await websocket.dial(
        address.build(f"wss://localhost:{installation.link.port}", NAME, action),
        end,
        hop=Hop.RELAY,
        headers={"ServiceBusAuthorization": secret},
        tls=ssl.create_default_context(cafile=authority),
    )


async def test_made_used_and_deleted(installation: Installation) -> None:
    run = asyncio.to_thread
    await run(relay, installation, "create", "-n", NAME)
    create = ("authorization-rule", "create", *RULE)
    await run(relay, installation, *create, "-n", "printer", "--rights", "Listen")
    await run(relay, installation, *create, "-n", "till", "--rights", "Send")
    printers = await run(token, installation, "printer", "primary")
    tills = await run(token, installation, "till", "secondary")

    control, sender = End(), End()
    listening = await dial(installation, Action.LISTEN, control, printers)
    sending = spawn(dial(installation, Action.CONNECT, sender, tills), name="sender")
    accepted = End()
    offer = await control.accept_message()
    authority = installation.folder / "server" / "tls" / "ca.pem"
    listener = await websocket.dial(
        offer.address,
        accepted,
        hop=Hop.RELAY,
        headers={},
        tls=ssl.create_default_context(cafile=authority),
    )
    (await sending).send_text("print this")
    assert await accepted.receive() == "print this"
    listener.close()
    assert (await sender.end()).code == 1000
    await accepted.end()

    await run(relay, installation, "authorization-rule", "delete", *RULE, "-n", "till", "--yes")
    with pytest.raises(Unauthenticated):
        await dial(installation, Action.CONNECT, End(), tills)
    await run(relay, installation, "delete", "-n", NAME, "--yes")
    assert (await control.end()).code == 1001
    with pytest.raises(NotFound):
        await dial(installation, Action.LISTEN, End(), printers)
    assert listening.is_closed
