"""First contact with a server: which authority is trusted for it, and who vouches for that.

A secret is sent only once the server's certificate is verified by an authority that the system or
the user vouches for.
"""

import ssl
from collections.abc import Callable
from pathlib import Path

from towrope.client.account import discover
from towrope.client.profile import Folder
from towrope.client.rest import Rest, Untrusted
from towrope.client.trust import fetch_authority, is_fingerprint_of, pinned_context, read_authority
from towrope.ops.certificates import fingerprint
from towrope.wire.errors import Hop


def choose_authority(
    server: str,
    folder: Folder,
    *,
    ca_file: Path | None = None,
    ca_fingerprint: str | None = None,
    accept: Callable[[str], bool] | None = None,
) -> bytes | None:
    """The authority (PEM) to trust for `server` alone, or None where the system's are enough.

    `accept` shows a fingerprint to somebody who can tell whether it is right; without it, an
    authority that nobody vouches for is refused with `Untrusted`.
    """
    if ca_file is not None:
        return read_authority(ca_file)
    if ca_fingerprint is not None:
        return _authority_with(ca_fingerprint, server)
    known = folder.load_authority(server)
    if known is not None or _is_trusted_by_system(server):
        return known
    offered = fetch_authority(server)
    if accept is None:
        raise Untrusted(
            f"The certificate of {server} comes from an authority that is unknown here, with"
            f" fingerprint {fingerprint(offered)}. Compare it with what the server printed at its"
            " start, and give it with --ca-fingerprint, or name the authority's file with"
            " --ca-file.",
            hop=Hop.SERVER,
        )
    if not accept(fingerprint(offered)):
        raise Untrusted(
            f"The authority of {server} was not accepted. Nothing was sent.", hop=Hop.SERVER
        )
    return offered


def _authority_with(ca_fingerprint: str, server: str) -> bytes:
    offered = fetch_authority(server)
    if not is_fingerprint_of(ca_fingerprint, offered):
        raise Untrusted(
            f"{server} offers an authority with fingerprint {fingerprint(offered)}, which is not"
            " the one of --ca-fingerprint. Somebody may stand between you and the server. Nothing"
            " was sent.",
            hop=Hop.SERVER,
        )
    return offered


def _is_trusted_by_system(server: str) -> bool:
    rest = Rest(server, tls=ssl.create_default_context())
    try:
        discover(rest)
    except Untrusted:
        return False
    finally:
        rest.close()
    return True


def trusting(authority: bytes | None) -> ssl.SSLContext:
    """What verifies the server's certificate by the authority that was chosen."""
    return ssl.create_default_context() if authority is None else pinned_context(authority)


def remember(folder: Folder, server: str, authority: bytes | None) -> None:
    """From here on the choice holds without being asked for."""
    if authority is None:
        folder.forget_authority(server)
    else:
        folder.save_authority(server, authority)
