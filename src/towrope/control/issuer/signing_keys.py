"""The keys that sign tokens: RSA, a file each, in a folder of the installation.

A key is published a day before it signs, so that whoever verifies knows it by then, and stays
published until all that it signed has ended. The age of a key is its file's. The folder is looked
at again and again: an operator takes a key away by removing its file, and adds one by adding it.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey

from towrope.ops.files import make_private_folder, write_private
from towrope.wire.errors import Hop, TowropeError, foreign

_log = structlog.get_logger()

ALGORITHM = "RS256"
BITS = 2048
PUBLISHED_BEFORE = 24 * 3600.0
"""Seconds that a key is published before it signs; longer than any verifier caches a key set."""
ROTATE_EVERY = 30 * 24 * 3600.0
KEPT_AFTER = 2 * 3600.0
"""Seconds that a key stays published after it signed last; longer than a token lasts."""
LOOK_EVERY = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kid: str
    """RFC 7638, the thumbprint."""
    made: float
    key: RSAKey = field(repr=False)
    path: Path

    def signs_from(self) -> float:
        return self.made + PUBLISHED_BEFORE


class SigningKeys:
    """`refresh()` first; from then on there is always a key."""

    def __init__(self, folder: Path, *, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._keys: dict[str, SigningKey] = {}

    @property
    def active(self) -> SigningKey:
        """The one that signs: the newest that has been published long enough, else the oldest."""
        now = self._clock()
        in_order = sorted(self._keys.values(), key=_age)
        ripe = [key for key in in_order if key.signs_from() <= now]
        return ripe[-1] if ripe else in_order[0]

    def find(self, kid: str) -> RSAKey | None:
        found = self._keys.get(kid)
        return found.key if found is not None else None

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517) that anybody may verify with."""
        return {
            "keys": [
                each.key.as_dict(private=False) | {"kid": each.kid, "use": "sig", "alg": ALGORITHM}
                for each in sorted(self._keys.values(), key=_age)
            ]
        }

    def refresh(self) -> bool:
        """Takes up what the folder holds, makes a key where one is due, removes what has ended.

        Whether the public keys changed. It blocks. Raises `TowropeError` where a file is damaged
        or the folder cannot be used; the keys stay as they were then.
        """
        try:
            keys = self._read_all()
            if not keys or max(each.made for each in keys) + ROTATE_EVERY <= self._clock():
                keys.append(self._make(after=keys))
            kept = [each for each in keys if not self._has_ended(each, keys)]
            for each in keys:
                if each not in kept:
                    each.path.unlink(missing_ok=True)
        except OSError as error:
            raise TowropeError(
                f"The folder of signing keys '{self._folder}' cannot be used:"
                f" {foreign(error.strerror or str(error))}.",
                hop=Hop.SERVER,
            ) from None
        before = set(self._keys)
        self._keys = {each.kid: each for each in kept}
        return set(self._keys) != before

    def rotate(self) -> bool:
        """Makes the next key, whatever the age of the last. It blocks, and raises as `refresh`."""
        self._make(after=self._keys.values())
        return self.refresh()

    async def follow(self, changed: Callable[[], None]) -> None:
        """Refreshes for ever; calls `changed` whenever the public keys did."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                if await asyncio.to_thread(self.refresh):
                    _log.info("signing keys changed", keys=len(self._keys), active=self.active.kid)
                    changed()
            except TowropeError as error:
                _log.warning("signing keys not refreshed", reason=error.message)

    def _has_ended(self, key: SigningKey, keys: list[SigningKey]) -> bool:
        """Whether a newer one has signed for so long that nothing signed with `key` lasts."""
        now = self._clock()
        return any(
            _age(each) > _age(key) and each.signs_from() + KEPT_AFTER <= now for each in keys
        )

    def _read_all(self) -> list[SigningKey]:
        make_private_folder(self._folder)
        known = {(each.path, each.made): each for each in self._keys.values()}
        found = [(path, path.stat().st_mtime) for path in sorted(self._folder.glob("*.pem"))]
        return [known.get((path, made)) or _load(path, made) for path, made in found]

    def _make(self, *, after: Iterable[SigningKey]) -> SigningKey:
        # Ages tell keys apart, so that no two may be of the same second.
        now = max([self._clock(), *(each.made + 1 for each in after)])
        key = RSAKey.generate_key(BITS)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        path = self._folder / f"{stamp}-{key.thumbprint()[:8]}.pem"
        write_private(path, key.as_pem(private=True))
        os.utime(path, (now, now))
        return _load(path, path.stat().st_mtime)


def _age(key: SigningKey) -> tuple[float, str]:
    return key.made, key.kid


def _load(path: Path, made: float) -> SigningKey:
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, RSAPrivateKey) or private.key_size < BITS:
        raise TowropeError(
            f"'{path}' is no private RSA key of {BITS} bits at least, PEM, not encrypted. Restore"
            " it from a backup, or remove it: what it signed is void then.",
            hop=Hop.SERVER,
        )
    key = RSAKey.import_key(private)
    return SigningKey(kid=key.thumbprint(), made=made, key=key, path=path)
