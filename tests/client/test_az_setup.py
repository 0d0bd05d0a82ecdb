"""What makes the Azure CLI know a server, with a program in the place of `az`.

The real one runs what is printed in `tests/conformance`.
"""

import ssl
from pathlib import Path

import pytest
import trustme

from towrope.client.az_setup import BUNDLE, BUNDLE_VARIABLE, AzSetup, prepare, run
from towrope.client.profile import Folder
from towrope.wire.errors import NotFound, Refused, TowropeError

SERVER = "https://towrope.example.com"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.delenv(BUNDLE_VARIABLE, raising=False)
    return Folder(tmp_path / "config")


@pytest.fixture
def pinned(folder: Folder, authority: trustme.CA) -> Folder:
    folder.save_authority(SERVER, authority.cert_pem.bytes())
    return folder


def authorities(bundle: Path) -> set[bytes]:
    context = ssl.create_default_context(cadata=bundle.read_text())
    return set(context.get_ca_certs(binary_form=True))


def test_a_server_that_the_system_trusts_needs_no_file(folder: Folder) -> None:
    assert prepare(folder, "t", SERVER).bundle is None
    assert not folder.path.exists()


def test_the_systems_authorities_stay_trusted(pinned: Folder, authority: trustme.CA) -> None:
    bundle = prepare(pinned, "t", SERVER).bundle
    assert bundle == pinned.path / BUNDLE
    system = set(ssl.create_default_context().get_ca_certs(binary_form=True))
    own = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    assert authorities(bundle) == {*system, own}


def test_authorities_that_the_user_names_stay_trusted(
    pinned: Folder, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = trustme.CA()
    named = tmp_path / "company.pem"
    named.write_bytes(company.cert_pem.bytes())
    monkeypatch.setenv(BUNDLE_VARIABLE, str(named))
    bundle = prepare(pinned, "t", SERVER).bundle
    assert bundle is not None
    assert len(authorities(bundle)) == 2
    monkeypatch.setenv(BUNDLE_VARIABLE, str(bundle))
    content = bundle.read_bytes()
    prepare(pinned, "t", SERVER)
    assert bundle.read_bytes() == content, "as it is once it is exported"
    bundle.unlink()
    prepare(pinned, "t", SERVER)
    assert len(authorities(bundle)) > 2, "the system's, where it is lost"
    monkeypatch.setenv(BUNDLE_VARIABLE, str(tmp_path / "none.pem"))
    with pytest.raises(TowropeError, match=f"Cannot read {BUNDLE_VARIABLE}"):
        prepare(pinned, "t", SERVER)


def test_a_folder_that_takes_no_file(pinned: Folder) -> None:
    (pinned.path / BUNDLE).mkdir()
    with pytest.raises(TowropeError, match="Cannot write"):
        prepare(pinned, "t", SERVER)


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Notes its words and whom it trusts; it knows the cloud `known`, and cannot do `broken`."""
    notes = tmp_path / "notes"
    script = tmp_path / "bin" / "az"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        f'printf \'%s|%s\\n\' "$*" "$REQUESTS_CA_BUNDLE" >> {notes}\n'
        'case "$*" in\n'
        '"cloud show -n known") exit 0 ;;\n'
        '"cloud show "*) exit 3 ;;\n'
        '*broken*) echo "No such server." >&2; exit 1 ;;\n'
        "esac\n"
    )
    script.chmod(0o700)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    return notes


def setup(name: str, bundle: Path | None = None) -> AzSetup:
    return AzSetup(name=name, server=SERVER, bundle=bundle)


def test_it_is_registered_once_and_used(az: Path) -> None:
    run(setup("new", Path("/a/b")))
    endpoint = f"--endpoint-resource-manager {SERVER}"
    assert az.read_text().splitlines() == [
        "cloud show -n new|/a/b",
        f"cloud register -n new {endpoint}|/a/b",
        "cloud set -n new|/a/b",
    ]


def test_one_that_is_there_is_changed(az: Path) -> None:
    run(setup("known"))
    assert az.read_text().splitlines()[1].startswith("cloud update -n known ")


def test_what_az_says_is_passed_on(az: Path) -> None:
    with pytest.raises(Refused, match=r"'az cloud register' failed: No such server\."):
        run(setup("broken"))
    assert "cloud set" not in az.read_text()


def test_no_azure_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="Install the Azure CLI"):
        run(setup("new"))


def test_a_program_that_cannot_run(az: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "az").write_text("#!/does/not/exist\n")
    with pytest.raises(TowropeError, match="Cannot run"):
        run(setup("new"))
