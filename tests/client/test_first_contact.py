"""Whom to trust at first contact, and who is asked."""

from pathlib import Path

import pytest

from tests.client.conftest import Answer, Scripted
from towrope.client.first_contact import choose_authority, remember, trusting
from towrope.client.profile import Folder
from towrope.client.rest import Untrusted
from towrope.ops.certificates import fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_known_authority_is_not_asked_for(folder: Folder) -> None:
    folder.save_authority("https://127.0.0.1:1", b"known")
    assert choose_authority("https://127.0.0.1:1", folder) == b"known"


def test_unknown_authority_needs_somebody_to_vouch(scripted: Scripted, folder: Folder) -> None:
    scripted.answers = [Answer(body=scripted.authority_pem.decode())]
    shown: list[str] = []

    def accept(text: str) -> bool:
        shown.append(text)
        return len(shown) > 1

    with pytest.raises(Untrusted, match="SHA256:"):
        choose_authority(scripted.url, folder)
    with pytest.raises(Untrusted, match="not accepted"):
        choose_authority(scripted.url, folder, accept=accept)
    assert choose_authority(scripted.url, folder, accept=accept) == scripted.authority_pem
    assert shown == [fingerprint(scripted.authority_pem)] * 2


def test_choice_is_remembered(scripted: Scripted, folder: Folder) -> None:
    remember(folder, scripted.url, scripted.authority_pem)
    assert folder.load_authority(scripted.url) == scripted.authority_pem
    remember(folder, scripted.url, None)
    assert folder.load_authority(scripted.url) is None


def test_pinned_authority_is_trusted_alone(scripted: Scripted) -> None:
    assert len(trusting(scripted.authority_pem).get_ca_certs()) == 1
