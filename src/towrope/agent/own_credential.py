"""The agent's own credential at the apiserver, for requests whose caller was verified.

It is a bearer token, read anew when its file changes, or a client certificate. Either goes over
connections that carry nothing of callers who bring a credential of their own: see `upstream`.
"""

import os
import re
import ssl
import tempfile
from base64 import b64decode
from pathlib import Path

from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from towrope.wire.errors import Hop, Unreachable, foreign
from towrope.wire.head import Field

_TOKEN = re.compile(rb"[\x21-\x7e]+")

_Version = tuple[int, int, int]


class OwnCredential:
    """`token_file` wins over `token`; with neither, a client certificate must say who asks."""

    def __init__(
        self,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        has_certificate: bool = False,
    ) -> None:
        self._fixed = token.strip().encode() if token else None
        self._file = token_file
        self._has_certificate = has_certificate
        self._read: tuple[_Version, bytes] | None = None

    def __repr__(self) -> str:
        return "OwnCredential()"

    def fields(self) -> tuple[Field, ...]:
        """The fields that say who the agent is. Raises `Unreachable` where nothing would.

        A request that goes without is anonymous, and an impersonation by nobody.
        """
        token = self._token()
        if token is not None:
            return ((b"Authorization", b"Bearer " + token),)
        if self._has_certificate:
            return ()
        raise _unusable("it has neither a token nor a client certificate")

    def forget(self) -> None:
        """The apiserver did not take it: it is read again the next time."""
        self._read = None

    def _token(self) -> bytes | None:
        if self._file is None:
            return self._fixed
        try:
            # Following links: a projected volume is replaced by changing where one of them points.
            found = os.stat(self._file)
            version = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._read is None or self._read[0] != version:
                self._read = version, self._file.read_bytes().strip()
        except OSError as error:
            raise _unusable(f"its token cannot be read ({error.strerror})") from None
        token = self._read[1]
        if _TOKEN.fullmatch(token) is None:
            raise _unusable("the file of its token holds no token")
        return token


def of(config: SingleConfig) -> OwnCredential:
    """The credential of a kubeconfig's user, or of a service account."""
    user = config.user
    if user is None:
        return OwnCredential()
    return OwnCredential(
        token=user.token,
        token_file=Path(config.abs_file(user.token_file)) if user.token_file else None,
        has_certificate=bool(user.client_cert or user.client_cert_data),
    )


def load_certificate(context: ssl.SSLContext, config: SingleConfig) -> None:
    """Puts the client certificate of a kubeconfig's user into `context`, where there is one.

    Raises `OSError` or `ConfigError` where it cannot be used.
    """
    user = config.user
    if user is None or not (user.client_cert or user.client_cert_data):
        return
    with tempfile.TemporaryDirectory() as folder:
        # The library that reads them takes only files.
        certificate = _file(folder, "crt", user.client_cert_data, user.client_cert, config)
        key = _file(folder, "key", user.client_key_data, user.client_key, config)
        context.load_cert_chain(certificate, key)


def _file(folder: str, name: str, data: str | None, path: str | None, config: SingleConfig) -> str:
    if data:
        made = Path(folder) / name
        made.touch(mode=0o600)
        made.write_bytes(b64decode(data))
        return str(made)
    if path:
        return str(config.abs_file(path))
    raise ConfigError("the user has a client certificate without its key, or a key alone")


def _unusable(why: str) -> Unreachable:
    return Unreachable(
        f"The agent has no credential for the apiserver: {foreign(why)}. Look at the agent's"
        " service account, or connect the cluster again: 'towrope connectedk8s connect'.",
        hop=Hop.AGENT,
    )
