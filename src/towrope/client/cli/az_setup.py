"""`towrope cloud az-setup`: the real Azure CLI learns of the server in use."""

import shlex

import click

from towrope.client.az_setup import BUNDLE_VARIABLE, AzSetup, prepare, run
from towrope.client.cli.command import command
from towrope.client.profile import Folder
from towrope.wire.errors import Hop, NotFound

CLOUD = "towrope"


@command(
    "az-setup",
    example="""
    towrope cloud az-setup
    towrope cloud az-setup --run
    """,
)
@click.option(
    "-n", "--name", default=CLOUD, show_default=True, help="What 'az' is to call the server."
)
@click.option("--run", "does", is_flag=True, help="Do it, instead of printing what is to be done.")
def az_setup(name: str, does: bool) -> None:
    """Print what makes the Azure CLI ('az') work with the server in use."""
    folder = Folder()
    server = folder.load_profile().server
    if not server:
        raise NotFound(
            "No server is in use. Sign in with 'towrope login --server https://HOST', or name one"
            " with 'towrope cloud register' and 'towrope cloud set'.",
            hop=Hop.CLIENT,
        )
    setup = prepare(folder, name, server)
    if does:
        run(setup)
        click.echo(f"'az' uses {server} now. What is left to do:", err=True)
    for line in _lines(setup, does=does):
        click.echo(line)


def _lines(setup: AzSetup, *, does: bool) -> list[str]:
    lines = [f"export {BUNDLE_VARIABLE}={shlex.quote(str(setup.bundle))}"] if setup.bundle else []
    if not does:
        lines += [shlex.join(["az", *words]) for words in (setup.register, setup.activate)]
    return [*lines, "az login"]
