"""Tokens on disk: found by whom and what they are for, and never half of one."""

import stat
import time
from pathlib import Path

import pytest

from towrope.client import token_cache

ENDS = 4_102_444_800


@pytest.fixture
def path(tmp_path: Path) -> str:
    return token_cache.token_path(str(tmp_path), token_cache.principal_key("s", "", "u"), "scope")


def test_token_comes_back(path: str) -> None:
    token_cache.write(path, "a.b", ENDS)
    assert token_cache.read(path) == token_cache.fresh(path) == ("a.b", ENDS)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


@pytest.mark.parametrize(("left", "lasts"), [(299, False), (310, True), (-5, False)])
def test_token_that_ends_soon_is_not_fresh(left: int, lasts: bool, path: str) -> None:
    token_cache.write(path, "a.b", int(time.time()) + left)
    assert (token_cache.fresh(path) is not None) is lasts
    assert token_cache.read(path) is not None


@pytest.mark.parametrize("token", ['a"b', "a\\b", "a b", "a\nb", "é"])
def test_token_that_no_header_carries_is_not_kept(token: str, path: str) -> None:
    token_cache.write(path, token, ENDS)
    assert token_cache.read(path) is None


def test_files_are_of_one_server_issuer_user_and_scope() -> None:
    keys = [
        token_cache.principal_key(*who)
        for who in [("s", "", "u"), ("t", "", "u"), ("s", "i", "u"), ("s", "", "v")]
    ]
    paths = {token_cache.token_path("f", key, scope) for key in keys for scope in ("a", "b")}
    assert len(paths) == 8
    assert token_cache.principal_key("s", "", "U") == keys[0]
    assert token_cache.token_path("f", "p", "A") == token_cache.token_path("f", "p", "a")


def test_names_are_files_whatever_is_in_them() -> None:
    key = token_cache.principal_key("https://x/../y", "../i", "../u\udcff\x00")
    assert key.isalnum()
