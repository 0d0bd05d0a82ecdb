"""What the client remembers, in `~/.towrope` (or `TOWROPE_CONFIG_DIR`): who signed in where.

    profile.json            the accounts, the named servers, and which is in use; no secret
    credentials/HASH.json   what an account signs in with again (see `secret_store`)
    tokens/HASH-HASH        access tokens, and when they end (see `token_cache`)
    authorities/HASH.pem    the certificate authority that is trusted for one server
    config.json             what is meant where an option is left out (see `defaults`)

Every file is private (0600) and replaced in one step. `profile.json` is changed under a lock and
each of the others is written whole, so that commands that run side by side do not undo each
other's work.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from towrope.client import token_cache
from towrope.client.file_lock import locked
from towrope.client.secret_store import Credential, SecretStore
from towrope.client.token_cache import ENVIRONMENT
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, TowropeError

DEFAULT_CLOUD = "Towrope"
"""Of a server that nobody gave a name."""

T = TypeVar("T", bound=msgspec.Struct)


class ExternalIssuer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A provider that a server trusts, as the server says how to sign in with it."""

    name: str
    kind: str
    issuer: str
    """Its URL, of which OpenID Connect discovery starts."""
    client_id: str
    audience: str
    """Of the tokens that the server takes."""
    scopes: tuple[str, ...] = ()
    ca_certificate: str | None = None
    """The authority (PEM) of its certificate, where systems do not know it."""


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
    """The application whose tokens these are: the service principal itself, or a public client."""
    user: str = ""
    """Who signed in by way of a public client; empty for a service principal."""
    issuer: ExternalIssuer | None = None
    """Where the user signed in; None: at the server itself."""

    @property
    def name(self) -> str:
        """The user's name, or the service principal's application id."""
        return self.user or self.client_id

    @property
    def issuer_name(self) -> str:
        return self.issuer.name if self.issuer else ""

    @property
    def principal(self) -> str:
        """Names the files of whoever this is; the same for all of its subscriptions."""
        return token_cache.principal_key(self.server, self.issuer_name, self.name)


class Cloud(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A server with a name, as `az` knows clouds."""

    name: str
    server: str
    login_endpoint: str = ""
    audience: str = ""
    graph: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The accounts, the one that was chosen last at the end, and the named servers."""

    accounts: tuple[Account, ...] = ()
    clouds: tuple[Cloud, ...] = ()
    server: str = ""
    """The server in use; empty before the first sign-in."""

    def find(self, subscription: str = "", user: str = "") -> Account | None:
        """The account chosen last of those that fit; one at the server in use comes first."""
        fitting = [each for each in self.accounts if _fits(each, subscription, user)]
        here = [each for each in fitting if each.server == self.server]
        is_named = bool(subscription or user)
        found = here or (fitting if is_named or not self.server else [])
        return found[-1] if found else None

    def with_default(self, account: Account) -> "Profile":
        """The profile with `account` in use, in place of an earlier one of that principal."""
        others = tuple(each for each in self.accounts if not _is_same(each, account))
        return msgspec.structs.replace(self, accounts=(*others, account), server=account.server)

    def without(self, account: Account) -> "Profile":
        """The profile without it; the server in use changes with the last account of it."""
        left = tuple(each for each in self.accounts if each != account)
        server = self.server
        if not any(each.server == server for each in left) and self.cloud_of(server) is None:
            server = left[-1].server if left else ""
        return msgspec.structs.replace(self, accounts=left, server=server)

    def cloud(self, name: str) -> Cloud | None:
        return next((each for each in self.clouds if each.name.lower() == name.lower()), None)

    def cloud_of(self, server: str) -> Cloud | None:
        return next((each for each in self.clouds if each.server == server), None)


def _fits(account: Account, subscription: str, user: str) -> bool:
    ids = (account.subscription_id.lower(), account.subscription_name.lower())
    return subscription.lower() in ("", *ids) and user.lower() in ("", account.name.lower())


def _is_same(one: Account, other: Account) -> bool:
    return (one.principal, one.subscription_id) == (other.principal, other.subscription_id)


class Folder:
    """The client's folder."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(token_cache.config_folder())
        self.secrets = SecretStore(self.path / "credentials")

    def load_profile(self) -> Profile:
        return self._read("profile.json", Profile) or Profile()

    def change_profile(self, change: Callable[[Profile], Profile]) -> Profile:
        """Writes what `change` makes of the profile; no other process's change is lost."""
        try:
            with locked(self.path / "profile.json"):
                changed = change(self.load_profile())
                self.save_profile(changed)
        except OSError as error:
            raise _unusable(self.path / "profile.json", "write", error) from None
        return changed

    def save_profile(self, profile: Profile) -> None:
        self._write("profile.json", msgspec.json.format(msgspec.json.encode(profile)))

    def load_credential(self, account: Account) -> Credential | None:
        return self.secrets.load(account.principal)

    def save_credential(self, account: Account, credential: Credential) -> None:
        try:
            self.secrets.save(account.principal, credential)
        except OSError as error:
            raise _unusable(self.path / "credentials", "write", error) from None

    def load_authority(self, server: str) -> bytes | None:
        """The PEM of the authority that is trusted for `server`; None: those of the system."""
        return self._bytes(f"authorities/{_hash(server)}.pem")

    def save_authority(self, server: str, pem: bytes) -> None:
        self._write(f"authorities/{_hash(server)}.pem", pem)

    def forget_authority(self, server: str) -> None:
        self._remove(self.path / f"authorities/{_hash(server)}.pem")

    def token_path(self, account: Account, scope: str) -> str:
        return token_cache.token_path(str(self.path), account.principal, scope)

    def forget_tokens(self, account: Account) -> None:
        for path in (self.path / "tokens").glob(f"{account.principal}-*"):
            self._remove(path)

    def forget_secrets(self, account: Account) -> None:
        self.secrets.forget(account.principal)
        self.forget_tokens(account)

    def lock_path(self, account: Account) -> Path:
        """What is locked while the account's credential is used and replaced."""
        return self.path / "credentials" / account.principal

    def _read(self, name: str, kind: type[T]) -> T | None:
        content = self._bytes(name)
        if content is None:
            return None
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
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

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _unusable(path: Path, verb: str, error: OSError) -> TowropeError:
    return TowropeError(
        f"Cannot {verb} {path}: {error.strerror}. Make it yours, or name another folder with"
        f" {ENVIRONMENT}.",
        hop=Hop.CLIENT,
    )
