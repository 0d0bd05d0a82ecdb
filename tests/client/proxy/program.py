"""The proxy's run as a process of its own, with a credential that no server gave.

    python -m tests.client.proxy.program RELAY_PORT NAME FOLDER FILE PORT

The token comes on standard input, since arguments are there for all to see.
"""

import asyncio
import sys
from pathlib import Path

import click

from tests.client.proxy.relay import SmallRelay, credential, fetching
from towrope.client.proxy.session import Voice, Wish, run


def main() -> None:
    relay = SmallRelay({})
    relay_port, name, folder, file, port = sys.argv[1:]
    relay.port = int(relay_port)
    given = credential(relay, name)
    fetch, _ = fetching(given, given)
    wish = Wish(
        port=int(port),
        file=None if file == "-" else Path(file),
        folder=Path(folder),
        token=sys.stdin.readline().strip(),
    )
    voice = Voice(
        output=lambda text: click.echo(text, nl=False),
        inform=lambda text: click.echo(text, err=wish.file is None),
        warn=lambda text: click.echo(text, err=True),
    )
    asyncio.run(run(wish, given, fetch, tls=None, voice=voice))


if __name__ == "__main__":
    main()
