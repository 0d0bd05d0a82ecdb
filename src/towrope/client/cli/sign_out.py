"""Signing out, as a person is told of it."""

import click

from towrope.client.login import sign_out
from towrope.client.profile import Account, Folder


def sign_out_and_say(folder: Folder, account: Account) -> None:
    """Signs out, with a warning where the issuer could not be told."""
    failure = sign_out(folder, account)
    if failure is not None:
        click.echo(
            f"WARNING: {account.name} is signed out on this machine, but its issuer does not know:"
            f" {failure.message}",
            err=True,
        )
