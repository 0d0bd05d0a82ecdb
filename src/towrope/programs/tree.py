"""Every program and every user's command, each imported when it runs."""

import click

from towrope import __version__
from towrope.client.cli import COMMANDS
from towrope.client.cli.lazy import Lazy, LazyGroup

PROGRAMS = {
    "server": Lazy(
        "towrope.programs.server:command", "Run the server: control plane and relay.", "server"
    ),
    "agent": Lazy("towrope.programs.agent:command", "Run the agent of a cluster."),
    "quickstart": Lazy(
        "towrope.programs.quickstart:command", "Try all of it on this machine.", "server"
    ),
}

cli = LazyGroup(
    "towrope",
    commands={**COMMANDS, **PROGRAMS},
    help="kubectl to clusters that nobody can dial into.",
    epilog="Example: towrope connectedk8s proxy -n shop-17 -g shops",
)
click.version_option(__version__, prog_name="towrope", message="%(prog)s %(version)s")(cli)
