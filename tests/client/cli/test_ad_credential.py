"""`towrope ad sp credential`."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import Shell

CREDENTIAL = ("ad", "sp", "credential")


@pytest.fixture
def app_id(signed_in: Shell) -> Iterator[str]:
    made: str = signed_in.json("ad", "sp", "create-for-rbac")["appId"]
    yield made
    signed_in.ok("ad", "sp", "delete", "--id", made)


def test_secrets_are_reset_and_deleted(signed_in: Shell, app_id: str) -> None:
    def listed() -> list[str]:
        found = signed_in.json(*CREDENTIAL, "list", "--id", app_id, "--query", "[].keyId")
        assert isinstance(found, list)
        return found

    [first] = listed()
    more = signed_in.json(
        *CREDENTIAL, "reset", "--id", app_id, "--append", "--years", "2", "--display-name", "more"
    )
    assert list(more) == ["appId", "password", "tenant"]
    assert len(listed()) == 2
    [ends] = signed_in.json(
        *CREDENTIAL, "list", "--id", app_id, "--query", "[?displayName=='more'].endDateTime"
    )
    now = datetime.datetime.now(datetime.UTC)
    assert 729 <= (datetime.datetime.fromisoformat(ends) - now).days <= 731
    delete = [*CREDENTIAL, "delete", "--id", app_id, "--key-id"]
    signed_in.ok(*delete, first)
    assert len(listed()) == 1
    assert first in signed_in.error(3, *delete, first)
    signed_in.ok(*CREDENTIAL, "reset", "--id", app_id)
    assert len(listed()) == 1


def test_certificates_are_made_and_given(signed_in: Shell, app_id: str, tmp_path: Path) -> None:
    made = signed_in.json(*CREDENTIAL, "reset", "--id", app_id, "--create-cert")
    assert made["password"] is None
    file = Path(made["fileWithCertAndPrivateKey"])
    assert file.parent == signed_in.folder
    assert file.stat().st_mode & 0o777 == 0o600
    given = tmp_path / "given.pem"
    pem = file.read_text()
    given.write_text(pem[pem.index("-----BEGIN CERT") :])
    reset = [*CREDENTIAL, "reset", "--id", app_id]
    signed_in.ok(*reset, "--append", "--cert", f"@{given}", "--display-name", "given")
    listing = [*CREDENTIAL, "list", "--id", app_id, "--cert"]
    names = [each["displayName"] for each in signed_in.json(*listing)]
    assert sorted(names, key=str) == [None, "given"]
    assert signed_in.json(*CREDENTIAL, "list", "--id", app_id) == []
    [key_id] = signed_in.json(*listing, "--query", "[?displayName=='given'].keyId")
    signed_in.ok(*CREDENTIAL, "delete", "--id", app_id, "--cert", "--key-id", key_id)
    assert len(signed_in.json(*listing)) == 1
    assert "no certificate" in signed_in.error(2, *reset, "--cert", "@/dev/null")
    assert "/nowhere" in signed_in.error(2, *reset, "--cert", "@/nowhere")
    assert "not both" in signed_in.error(2, *reset, "--cert", "x", "--create-cert")
