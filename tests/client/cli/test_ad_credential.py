"""`towrope ad sp credential`."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import Shell

CREDENTIAL = ("ad", "sp", "credential")


@pytest.fixture
def app_id(inside: Shell) -> Iterator[str]:
    made: str = inside.json("ad", "sp", "create-for-rbac")["appId"]
    yield made
    inside.ok("ad", "sp", "delete", "--id", made)


def test_secrets_are_reset_and_deleted(inside: Shell, app_id: str) -> None:
    def listed() -> list[str]:
        found = inside.json(*CREDENTIAL, "list", "--id", app_id, "--query", "[].keyId")
        assert isinstance(found, list)
        return found

    [first] = listed()
    more = inside.json(
        *CREDENTIAL, "reset", "--id", app_id, "--append", "--years", "2", "--display-name", "more"
    )
    assert list(more) == ["appId", "password", "tenant"]
    assert len(listed()) == 2
    [ends] = inside.json(
        *CREDENTIAL, "list", "--id", app_id, "--query", "[?displayName=='more'].endDateTime"
    )
    now = datetime.datetime.now(datetime.UTC)
    assert 729 <= (datetime.datetime.fromisoformat(ends) - now).days <= 731
    delete = [*CREDENTIAL, "delete", "--id", app_id, "--key-id"]
    inside.ok(*delete, first)
    assert len(listed()) == 1
    assert first in inside.error(3, *delete, first)
    inside.ok(*CREDENTIAL, "reset", "--id", app_id)
    assert len(listed()) == 1


def test_certificates_are_made_and_given(inside: Shell, app_id: str, tmp_path: Path) -> None:
    made = inside.json(*CREDENTIAL, "reset", "--id", app_id, "--create-cert")
    assert made["password"] is None
    file = Path(made["fileWithCertAndPrivateKey"])
    assert file.parent == inside.folder
    assert file.stat().st_mode & 0o777 == 0o600
    given = tmp_path / "given.pem"
    pem = file.read_text()
    given.write_text(pem[pem.index("-----BEGIN CERT") :])
    reset = [*CREDENTIAL, "reset", "--id", app_id]
    inside.ok(*reset, "--append", "--cert", f"@{given}", "--display-name", "given")
    listing = [*CREDENTIAL, "list", "--id", app_id, "--cert"]
    names = [each["displayName"] for each in inside.json(*listing)]
    assert sorted(names, key=str) == [None, "given"]
    assert inside.json(*CREDENTIAL, "list", "--id", app_id) == []
    [key_id] = inside.json(*listing, "--query", "[?displayName=='given'].keyId")
    inside.ok(*CREDENTIAL, "delete", "--id", app_id, "--cert", "--key-id", key_id)
    assert len(inside.json(*listing)) == 1
    assert "no certificate" in inside.error(2, *reset, "--cert", "@/dev/null")
    assert "/nowhere" in inside.error(2, *reset, "--cert", "@/nowhere")
    assert "not both" in inside.error(2, *reset, "--cert", "x", "--create-cert")
