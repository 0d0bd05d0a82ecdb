from pathlib import Path

import pytest

from towrope.control import installation
from towrope.wire.errors import TowropeError


def test_a_folder_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    with installation.opened(folder) as first:
        pass
    with installation.opened(folder) as second:
        pass
    assert (first.tenant, first.subscription) == (second.tenant, second.subscription)
    assert first.tenant != first.subscription
    assert first.master == second.master
    assert len(first.master) == 32


def test_two_folders_share_nothing(tmp_path: Path) -> None:
    with (
        installation.opened(tmp_path / "a") as one,
        installation.opened(tmp_path / "b") as other,
    ):
        assert one.master != other.master
        assert one.tenant != other.tenant


def test_every_file_is_its_owners_alone(tmp_path: Path) -> None:
    with installation.opened(tmp_path / "state") as made:
        assert made.folder.stat().st_mode & 0o077 == 0
        for path in made.folder.iterdir():
            assert path.stat().st_mode & 0o077 == 0, path


def test_no_secret_is_in_its_representation(tmp_path: Path) -> None:
    with installation.opened(tmp_path / "state") as made:
        assert str(made.master) not in repr(made)


def test_a_second_one_on_the_folder_is_refused(tmp_path: Path) -> None:
    with (
        installation.opened(tmp_path / "state"),
        pytest.raises(TowropeError, match="Another server uses"),
        installation.opened(tmp_path / "state"),
    ):
        pass
    with installation.opened(tmp_path / "state"):
        pass


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with (
        pytest.raises(TowropeError, match="cannot be used"),
        installation.opened(tmp_path / "state"),
    ):
        pass


def test_a_master_secret_of_another_length_is_refused(tmp_path: Path) -> None:
    with installation.opened(tmp_path):
        pass
    (tmp_path / "master.key").write_bytes(b"short")
    with pytest.raises(TowropeError, match="must have 32 bytes"), installation.opened(tmp_path):
        pass


@pytest.mark.parametrize("name", ["ids.json", "master.key"])
def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path, name: str) -> None:
    with installation.opened(tmp_path / "state"):
        pass
    damaged = tmp_path / "state" / name
    damaged.write_text("garbage")
    with pytest.raises(TowropeError) as failed, installation.opened(tmp_path / "state"):
        pass
    assert "garbage" not in failed.value.message
    assert damaged.read_text() == "garbage"
