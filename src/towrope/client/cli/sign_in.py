"""What commands that sign in have in common: first contact, and how a person is asked.

What is said goes to stderr; stdout is the command's result.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from towrope.client.cli.command import is_interactive
from towrope.client.first_contact import choose_authority
from towrope.client.login import Ask
from towrope.client.oauth import authorization_code, browser, device_code
from towrope.client.oauth.grant import SignedIn, Wish
from towrope.client.oauth.provider import Provider
from towrope.client.profile import Folder


def authority_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--ca-file` and `--ca-fingerprint`: who vouches for the server at first contact."""
    for option in (
        click.option(
            "--ca-fingerprint",
            metavar="SHA256:HEX",
            help="The fingerprint of the authority that the server offers.",
        ),
        click.option(
            "--ca-file",
            type=click.Path(path_type=Path),
            help="The authority (PEM) of the server's certificate, where the system does not know"
            " it.",
        ),
    ):
        function = option(function)
    return function


def chosen_authority(
    server: str, folder: Folder, ca_file: Path | None, ca_fingerprint: str | None
) -> bytes | None:
    """The authority to trust for `server`, asked for where somebody is there to answer."""
    if ca_file and ca_fingerprint:
        raise click.UsageError("Give one of --ca-file and --ca-fingerprint, not both.")
    return choose_authority(
        server,
        folder,
        ca_file=ca_file,
        ca_fingerprint=ca_fingerprint,
        accept=_asking(server) if is_interactive() else None,
    )


def _asking(server: str) -> Callable[[str], bool]:
    def accept(fingerprint: str) -> bool:
        _say(
            f"The certificate of {server} comes from an authority that is unknown here:\n"
            f"  {fingerprint}\n"
            "Compare it with what the server printed at its start."
        )
        return click.confirm("Trust it for this server?", err=True)

    return accept


def ask_person(*, use_device_code: bool) -> Ask:
    """How somebody signs in here: in a browser, or by device code where there is none."""
    if use_device_code:
        return _by_device_code
    if not browser.is_available():
        _say("No browser can be opened here, so the sign-in is by device code.")
        return _by_device_code
    return _by_browser


def _by_browser(provider: Provider, wish: Wish) -> SignedIn:
    with ExitStack() as stack:

        def show(url: str) -> None:
            _say(f"A browser opens for the sign-in. If it does not, open this address:\n{url}")
            stack.enter_context(browser.opened(url))

        return authorization_code.sign_in(provider, wish, show=show)


def _by_device_code(provider: Provider, wish: Wish) -> SignedIn:
    return device_code.sign_in(provider, wish, say=_say)


def _say(text: str) -> None:
    click.echo(text, err=True)
