"""The secret of the application that asks Microsoft Graph, sealed for one purpose alone.

The purpose says to whom the secret is given. Changing any of that makes it unreadable, so nobody
gets to see it by pointing an issuer elsewhere.
"""

import msgspec

from towrope.control import sealing
from towrope.control.arm_error import invalid_content
from towrope.control.entra_graph import Application
from towrope.control.issuer_settings import GivenGraph, IssuerSettings
from towrope.control.issuers import Issuer

SECRET_LIMIT = 1024


def application(issuer: Issuer, *, master: bytes) -> Application | None:
    """What to ask Graph as; None where nothing was given for that."""
    graph = issuer.settings.graph
    if graph is None or issuer.sealed_secret is None:
        return None
    purpose = _purpose(issuer.name, issuer.settings)
    secret = sealing.unseal(issuer.sealed_secret, master=master, purpose=purpose)
    if secret is None:
        return None
    return Application(
        settings=issuer.settings,
        client_id=graph.client_id,
        endpoint=graph.endpoint,
        secret=secret,
    )


def kept(
    name: str,
    settings: IssuerSettings,
    given: GivenGraph | None,
    there: Issuer | None,
    *,
    master: bytes,
) -> str | None:
    """What to keep, sealed: the secret that was given, or the one that is there and still good.

    Raises `ArmError` where there is neither.
    """
    if given is None:
        return None
    purpose = _purpose(name, settings)
    if given.client_secret:
        if len(given.client_secret) > SECRET_LIMIT:
            raise invalid_content(
                f"'graph.clientSecret' must be at most {SECRET_LIMIT} characters."
            )
        return sealing.seal(given.client_secret, master=master, purpose=purpose)
    sealed = there.sealed_secret if there is not None else None
    if sealed is None or sealing.unseal(sealed, master=master, purpose=purpose) is None:
        raise invalid_content(
            "'graph.clientSecret' is required: there is none yet, or what it is for has changed."
        )
    return sealed


def _purpose(name: str, settings: IssuerSettings) -> str:
    """To whom the secret is given, and what vouches that it is them."""
    place = (name.lower(), settings.token_url, settings.ca_certificate, settings.graph)
    return msgspec.json.encode(place).decode()
