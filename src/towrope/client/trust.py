"""Whose certificates are trusted for a server: the system's authorities, or one that is pinned.

A server that made its own authority offers it at a well-known place. It is fetched without
verification and means nothing until its fingerprint was compared with what the user knows.
"""

import re
import ssl
from pathlib import Path

from towrope.client.profile import Folder
from towrope.client.rest import Rest
from towrope.ops.certificates import fingerprint
from towrope.wire.errors import Hop, Malformed, NotFound, Refused, TowropeError

CA_PATH = "/.well-known/towrope/ca.pem"
CA_LIMIT = 64 * 1024
FINGERPRINT = re.compile(r"(?:SHA256:)?((?:[0-9a-f]{2}:?){32})", re.IGNORECASE)


def context_for(server: str, folder: Folder) -> ssl.SSLContext:
    """How certificates of `server` are verified: by its pinned authority alone, if it has one."""
    pem = folder.load_authority(server)
    return ssl.create_default_context() if pem is None else pinned_context(pem)


def pinned_context(pem: bytes, what: str = "what is pinned for the server") -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise _no_certificate(what) from None


def read_authority(path: Path) -> bytes:
    """The certificates (PEM) of `--ca-file`."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise TowropeError(
            f"Cannot read the --ca-file {path}: {error.strerror}.", hop=Hop.CLIENT
        ) from None
    pinned_context(pem, f"the --ca-file {path}")
    return pem


def fetch_authority(server: str) -> bytes:
    """The authority that `server` says it has (PEM). Nothing about it is verified."""
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    rest = Rest(server, tls=unverified)
    try:
        pem = rest.fetch(CA_PATH)
    except NotFound:
        raise Refused(
            f"The server {server} has no authority of its own to offer, and the system does not"
            " trust its certificate. Name the authority's file with --ca-file.",
            hop=Hop.SERVER,
        ) from None
    finally:
        rest.close()
    if len(pem) > CA_LIMIT:
        raise _no_certificate(f"what {server} offers as its authority")
    return only_certificate(pem, f"what {server} offers as its authority")


def only_certificate(pem: bytes, what: str) -> bytes:
    """`pem`, if it is exactly one certificate: what is beside it would have no fingerprint."""
    if pem.count(b"-----BEGIN ") != 1:
        raise _no_certificate(what)
    try:
        fingerprint(pem)
    except ValueError:
        raise _no_certificate(what) from None
    return pem


def is_fingerprint_of(text: str, pem: bytes) -> bool:
    """Whether `text`, as a user writes a SHA-256 fingerprint, is that of the certificate."""
    match = FINGERPRINT.fullmatch(text.strip())
    if match is None:
        raise Malformed(
            "The --ca-fingerprint is not 'SHA256:' and 64 hexadecimal digits. The server prints it"
            " when it starts.",
            hop=Hop.CLIENT,
        )
    return fingerprint(pem) == "SHA256:" + match[1].replace(":", "").lower()


def _no_certificate(what: str) -> TowropeError:
    return Malformed(f"There is no usable certificate (PEM) in {what}.", hop=Hop.CLIENT)
