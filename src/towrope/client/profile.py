"""What the client remembers, in `~/.towrope` (or `TOWROPE_CONFIG_DIR`): who signed in where.

    profile.json            the accounts, and which is the default; no secret
    credentials/HASH.json   a service principal's secret
    tokens/HASH.json        an access token, and when it ends
    authorities/HASH.pem    the certificate authority that is trusted for one server

Every file is private (0600) and replaced in one step. Apart from `profile.json` each is written
whole, so that commands that run side by side do not undo each other's work.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from towrope.ops.files import write_private
from towrope.wire.errors import Hop, TowropeError

ENVIRONMENT = "TOWROPE_CONFIG_DIR"

T = TypeVar("T", bound=msgspec.Struct)


class Account(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A principal that signed in to a server, and the subscription that it uses there."""

    server: str
    """`https://host[:port]`, no slash at the end."""
    public_url: str
    """The address that the server gives itself, which agents are to use."""
    tenant_id: str
    audience: str
    subscription_id: str
    subscription_name: str
    client_id: str
    """The service principal's application id."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The accounts, the most recent sign-in last."""

    accounts: tuple[Account, ...] = ()
    default: str = ""
    """A subscription's id."""

    def find(self, wanted: str = "") -> Account | None:
        """The account of a subscription (id, or name), or of the default one."""
        wanted = (wanted or self.default).lower()
        matching = (
            account
            for account in reversed(self.accounts)
            if wanted in (account.subscription_id.lower(), account.subscription_name.lower())
        )
        return next(matching, None)

    def with_default(self, account: Account) -> "Profile":
        """The profile with `account` in it, in place of an earlier one of that subscription."""
        others = tuple(a for a in self.accounts if a.subscription_id != account.subscription_id)
        return Profile(accounts=(*others, account), default=account.subscription_id)

    def without(self, account: Account) -> "Profile":
        left = tuple(a for a in self.accounts if a != account)
        default = self.default
        if default == account.subscription_id:
            default = left[-1].subscription_id if left else ""
        return Profile(accounts=left, default=default)


class Credential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a service principal proves who it is."""

    client_secret: str

    def __repr__(self) -> str:
        return "Credential()"


class AccessToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A bearer token for a server."""

    access_token: str
    expires_on: int
    """Unix seconds."""

    def __repr__(self) -> str:
        return f"AccessToken(expires_on={self.expires_on})"


class Folder:
    """The client's folder."""

    def __init__(self, path: Path | None = None) -> None:
        named = os.environ.get(ENVIRONMENT)
        self.path = path or (Path(named) if named else Path.home() / ".towrope")

    def load_profile(self) -> Profile:
        return self._read("profile.json", Profile) or Profile()

    def save_profile(self, profile: Profile) -> None:
        self._write("profile.json", msgspec.json.format(msgspec.json.encode(profile)))

    def load_credential(self, account: Account) -> Credential | None:
        return self._read(f"credentials/{_principal(account)}.json", Credential)

    def save_credential(self, account: Account, credential: Credential) -> None:
        self._write(f"credentials/{_principal(account)}.json", msgspec.json.encode(credential))

    def load_token(self, account: Account) -> AccessToken | None:
        return self._read(f"tokens/{_principal(account)}.json", AccessToken)

    def save_token(self, account: Account, token: AccessToken) -> None:
        self._write(f"tokens/{_principal(account)}.json", msgspec.json.encode(token))

    def load_authority(self, server: str) -> bytes | None:
        """The PEM of the authority that is trusted for `server`; None: those of the system."""
        return self._bytes(f"authorities/{_hash(server)}.pem")

    def save_authority(self, server: str, pem: bytes) -> None:
        self._write(f"authorities/{_hash(server)}.pem", pem)

    def forget_authority(self, server: str) -> None:
        self._remove(f"authorities/{_hash(server)}.pem")

    def forget_secrets(self, account: Account) -> None:
        self._remove(f"credentials/{_principal(account)}.json")
        self._remove(f"tokens/{_principal(account)}.json")

    def forget_token(self, account: Account) -> None:
        self._remove(f"tokens/{_principal(account)}.json")

    def _read(self, name: str, kind: type[T]) -> T | None:
        content = self._bytes(name)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError:
            raise TowropeError(
                f"{self.path / name} is damaged. Delete it and sign in again.", hop=Hop.CLIENT
            ) from None

    def _bytes(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self.path / name, "read", error) from None

    def _write(self, name: str, content: bytes) -> None:
        try:
            write_private(self.path / name, content)
        except OSError as error:
            raise _unusable(self.path / name, "write", error) from None

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).unlink()


def _principal(account: Account) -> str:
    return _hash(f"{account.server} {account.client_id.lower()}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unusable(path: Path, verb: str, error: OSError) -> TowropeError:
    return TowropeError(
        f"Cannot {verb} {path}: {error.strerror}. Make it yours, or name another folder with"
        f" {ENVIRONMENT}.",
        hop=Hop.CLIENT,
    )
