"""The published keys over weeks: every token is verifiable from before it is made to its end."""

import asyncio
import base64
import json
import os
from pathlib import Path

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from tests.control.conftest import NOW, Plane
from tests.control.issuer.conftest import Desk
from towrope.control.issuer import signing_keys
from towrope.control.issuer.signing_keys import (
    KEPT_AFTER,
    LOOK_EVERY,
    PUBLISHED_BEFORE,
    ROTATE_EVERY,
    SigningKeys,
)
from towrope.ops.tasks import cancel, spawn
from towrope.wire.errors import TowropeError

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock, signing_key: RSAKey) -> SigningKeys:
    made = SigningKeys(tmp_path / "keys", clock=clock)
    add(tmp_path / "keys", signing_key, NOW)
    assert made.refresh()
    return made


def add(folder: Path, key: RSAKey | ECKey, made: float, name: str = "first.pem") -> Path:
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / name
    path.write_bytes(key.as_pem(private=True))
    os.utime(path, (made, made))
    return path


def published(keys: SigningKeys) -> list[str]:
    return [each["kid"] for each in keys.public_keys()["keys"]]


def test_the_first_start_makes_a_key_that_signs_at_once(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "state" / "keys"
    keys = SigningKeys(folder, clock=clock)
    assert keys.refresh()
    assert not keys.refresh()
    [path] = folder.iterdir()
    assert path.stat().st_mode & 0o077 == folder.stat().st_mode & 0o077 == 0
    assert path.stat().st_mtime == NOW
    [shown] = keys.public_keys()["keys"]
    assert set(shown) == {"kty", "n", "e", "kid", "use", "alg"}
    assert shown["kid"] == keys.active.kid == keys.active.key.thumbprint()
    assert keys.find(shown["kid"]) is keys.active.key
    assert keys.find("another") is None
    # The same key after a restart.
    again = SigningKeys(folder, clock=clock)
    assert again.refresh()
    assert published(again) == published(keys)


def test_a_key_is_published_before_it_signs_and_after(keys: SigningKeys, clock: Clock) -> None:
    first = keys.active.kid
    assert keys.rotate()
    [_, second] = published(keys)
    clock.now += PUBLISHED_BEFORE
    assert not keys.refresh()
    assert keys.active.kid == first
    clock.now += 1  # of two made in one second, one is later
    assert keys.active.kid == second
    clock.now += KEPT_AFTER - 1
    assert not keys.refresh()
    assert published(keys) == [first, second]
    clock.now += 1
    assert keys.refresh()
    assert published(keys) == [second]
    assert len(list(keys.active.path.parent.iterdir())) == 1


def test_keys_are_replaced_by_age(keys: SigningKeys, clock: Clock) -> None:
    clock.now += ROTATE_EVERY - 1
    assert not keys.refresh()
    clock.now += 1
    assert keys.refresh()
    assert not keys.refresh()
    assert len(published(keys)) == 2


def test_no_token_is_ever_signed_by_a_key_that_was_not_published(
    keys: SigningKeys, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = iter([RSAKey.generate_key(2048) for _ in range(3)])
    monkeypatch.setattr(RSAKey, "generate_key", lambda _bits: next(spare))
    history: list[tuple[float, str, frozenset[str]]] = []
    for _ in range(70 * 24):
        keys.refresh()
        history.append((clock.now, keys.active.kid, frozenset(published(keys))))
        clock.now += HOUR
    assert len({signer for _, signer, _ in history}) == 3
    for index, (now, signer, _) in enumerate(history):
        # A day before it was made, unless it is the first key, and until it has ended.
        before = history[max(0, index - 23) : index] if signer != history[0][1] else []
        after = [shown for at, _, shown in history[index:] if at <= now + 2 * HOUR]
        assert all(signer in shown for _, _, shown in before)
        assert all(signer in shown for shown in after)


def test_a_key_that_an_operator_takes_away_is_gone(keys: SigningKeys, clock: Clock) -> None:
    keys.rotate()
    clock.now += PUBLISHED_BEFORE
    clock.now += 1
    compromised = keys.active
    compromised.path.unlink()
    assert keys.refresh()
    assert compromised.kid not in published(keys)
    assert keys.active.kid != compromised.kid
    keys.active.path.unlink()
    assert keys.refresh()
    assert len(published(keys)) == 1


def test_a_key_that_an_operator_adds_is_published(
    keys: SigningKeys, clock: Clock, tmp_path: Path
) -> None:
    added = RSAKey.generate_key(2048)
    add(tmp_path / "keys", added, NOW + 1, "mine.pem")
    assert keys.refresh()
    assert keys.find(added.thumbprint()) is not None
    assert keys.active.kid != added.thumbprint()
    clock.now += PUBLISHED_BEFORE + 1
    assert keys.active.kid == added.thumbprint()


def test_what_is_no_key_is_said_and_left_alone(keys: SigningKeys, tmp_path: Path) -> None:
    before = published(keys)
    folder = tmp_path / "keys"
    public = RSAKey.import_key(keys.active.key.as_dict(private=False))
    contents = {
        "garbage": b"garbage",
        "public": public.as_pem(private=False),
        "elliptic": ECKey.generate_key("P-256").as_pem(private=True),
    }
    for name, content in contents.items():
        path = folder / f"{name}.pem"
        path.write_bytes(content)
        with pytest.raises(TowropeError, match="no private RSA key of 2048 bits") as refused:
            keys.refresh()
        assert "garbage" not in refused.value.message.replace(str(path), "")
        assert path.read_bytes() == content
        path.unlink()
    assert published(keys) == before
    assert not keys.refresh()


def test_a_short_key_is_refused(keys: SigningKeys, tmp_path: Path) -> None:
    with pytest.warns(SecurityWarning, match="2048"):
        short = RSAKey.generate_key(1024)
    add(tmp_path / "keys", short, NOW, "short.pem")
    with pytest.raises(TowropeError, match="no private RSA key"):
        keys.refresh()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(TowropeError, match="cannot be used"):
        SigningKeys(tmp_path / "keys", clock=clock).refresh()


def test_no_key_is_in_a_representation(keys: SigningKeys) -> None:
    assert "RSAKey" not in repr(keys.active)


async def test_changes_of_the_folder_are_followed(
    keys: SigningKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "LOOK_EVERY", 0.01)
    changed, failed, looked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop, refresh = asyncio.get_running_loop(), keys.refresh

    def refreshed() -> bool:
        loop.call_soon_threadsafe(looked.set)
        return refresh()

    monkeypatch.setattr(keys, "refresh", refreshed)
    monkeypatch.setattr(
        signing_keys._log, "warning", lambda *_args, **_facts: failed.set(), raising=False
    )
    following = spawn(keys.follow(changed.set), name="signing keys")
    try:
        damaged = tmp_path / "keys" / "damaged.pem"
        damaged.write_text("garbage")
        async with asyncio.timeout(10):
            await failed.wait()
        damaged.unlink()
        for _ in range(2):
            looked.clear()
            async with asyncio.timeout(10):
                await looked.wait()
        assert not changed.is_set()
        added = RSAKey.generate_key(2048)
        add(tmp_path / "keys", added, NOW, "mine.pem")
        async with asyncio.timeout(10):
            await changed.wait()
        assert added.thumbprint() in published(keys)
    finally:
        await cancel(following)
    assert LOOK_EVERY < 60


async def test_tokens_outlast_a_rotation_of_the_server(plane: Plane, desk: Desk) -> None:
    keys = plane.control.signing_keys
    old = (await desk.signed_in())["access_token"]
    await asyncio.to_thread(keys.rotate)
    plane.now += PUBLISHED_BEFORE + 1
    late = (await desk.signed_in())["access_token"]
    assert keys.active.kid != key_id(old)
    assert key_id(late) == keys.active.kid
    tokens = plane.control.services.tokens
    assert tokens.verify(late, audience=tokens.audience).upn == "ada@example.org"
    plane.now -= PUBLISHED_BEFORE + 1
    assert tokens.verify(old, audience=tokens.audience).upn == "ada@example.org"


def key_id(token: str) -> str:
    kid: str = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]
    return kid
