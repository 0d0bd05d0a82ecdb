"""The server's certificate: its own, kept fresh, or files of the operator, watched for changes.

New connections get what is newest; those that are open are not touched.
"""

import datetime
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from towrope.ops import certificates
from towrope.ops.certificates import KeyPair
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, TowropeError, foreign

_log = structlog.get_logger()

RENEW_BEFORE = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    certificate: Path
    private_key: Path

    def stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Differs once either file was replaced or rewritten."""
        stats = [path.stat() for path in (self.certificate, self.private_key)]
        return tuple((s.st_mtime_ns, s.st_size, s.st_ino) for s in stats)


class ServerTls:
    """A TLS context whose certificate follows its files."""

    def __init__(self, files: CertificateFiles) -> None:
        """Raises `TowropeError` where the files are no certificate and its key."""
        self._files = files
        self.context = _new_context()
        self._stamp: object = None
        try:
            self._load()
        except (OSError, ValueError) as error:
            raise TowropeError(
                f"The TLS certificate '{files.certificate}' and key '{files.private_key}' cannot"
                f" be used: {foreign(_cause(error))}.",
                hop=Hop.SERVER,
            ) from None

    def refresh(self) -> bool:
        """Loads the files if they changed. While they are broken, what was loaded stays."""
        try:
            if self._files.stamp() == self._stamp:
                return False
            self._load()
        except (OSError, ValueError) as error:
            _log.warning("the TLS certificate cannot be reloaded", error=foreign(_cause(error)))
            return False
        _log.info("the TLS certificate is reloaded")
        return True

    def _load(self) -> None:
        stamp = self._files.stamp()
        # A pair that does not match would leave half of itself in the context: tried in another.
        for context in (_new_context(), self.context):
            # A pass phrase is never asked for on the terminal.
            context.load_cert_chain(
                self._files.certificate, self._files.private_key, password=lambda: ""
            )
        self._stamp = stamp


def own_authority(folder: Path) -> KeyPair:
    """The authority in the state folder; made if there is none. Raises `OSError`."""
    files = CertificateFiles(certificate=folder / "ca.pem", private_key=folder / "ca.key")
    if files.certificate.exists() and files.private_key.exists():
        return _read(files)
    made = certificates.new_authority("Towrope server", now=datetime.datetime.now(datetime.UTC))
    _write(files, made)
    return made


def own_certificate(folder: Path, authority: KeyPair, names: Sequence[str]) -> CertificateFiles:
    """The server's own certificate for `names`, issued anew when it has others or ends soon."""
    files = CertificateFiles(certificate=folder / "server.pem", private_key=folder / "server.key")
    now = datetime.datetime.now(datetime.UTC)
    if not _is_good(files, authority, names, now=now):
        _write(files, certificates.new_leaf(authority, names=names, now=now))
    return files


def _is_good(
    files: CertificateFiles, authority: KeyPair, names: Sequence[str], *, now: datetime.datetime
) -> bool:
    try:
        pair = _read(files)
        leaf = x509.load_pem_x509_certificate(pair.certificate)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
        load_pem_private_key(pair.private_key, None)
    except Exception:
        return False
    extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    borne = {str(name.value) for name in extension}
    return borne == set(names) and leaf.not_valid_after_utc - now > RENEW_BEFORE


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read(files: CertificateFiles) -> KeyPair:
    return KeyPair(
        certificate=files.certificate.read_bytes(), private_key=files.private_key.read_bytes()
    )


def _write(files: CertificateFiles, pair: KeyPair) -> None:
    # The key first: a certificate that is seen has its key.
    write_private(files.private_key, pair.private_key)
    write_private(files.certificate, pair.certificate)


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "it is not PEM, or they do not belong together"
    return getattr(error, "strerror", None) or str(error)
