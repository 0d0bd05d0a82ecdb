"""What somebody does once so that the real Azure CLI works with a server.

`az` learns everything from the server itself; but it has to trust the server's certificate, for
which it reads one file with all authorities (REQUESTS_CA_BUNDLE), the system's too.
"""

import os
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from towrope.client.profile import Folder
from towrope.ops.files import write_private
from towrope.wire.errors import Hop, NotFound, Refused, TowropeError, foreign

BUNDLE_VARIABLE = "REQUESTS_CA_BUNDLE"
BUNDLE = "azure-cli-authorities.pem"
WITHIN = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AzSetup:
    name: str
    """Of the cloud, at `az`."""
    server: str
    bundle: Path | None
    """The file with all authorities; None where the system's are enough."""

    @property
    def register(self) -> list[str]:
        return ["cloud", "register", "-n", self.name, "--endpoint-resource-manager", self.server]

    @property
    def update(self) -> list[str]:
        return ["cloud", "update", *self.register[2:]]

    @property
    def activate(self) -> list[str]:
        return ["cloud", "set", "-n", self.name]


def prepare(folder: Folder, name: str, server: str) -> AzSetup:
    """Writes the file of authorities, where the server's own is not one of the system's."""
    authority = folder.load_authority(server)
    if authority is None:
        return AzSetup(name=name, server=server, bundle=None)
    bundle = folder.path / BUNDLE
    try:
        known = _authorities(bundle)
        write_private(bundle, known if authority.strip() in known else known + authority)
    except OSError as error:
        raise TowropeError(f"Cannot write {bundle}: {error.strerror}.", hop=Hop.CLIENT) from None
    return AzSetup(name=name, server=server, bundle=bundle)


def _authorities(own: Path) -> bytes:
    """Those that `az` would trust without us: of a file that the user names, or the system's."""
    named = os.environ.get(BUNDLE_VARIABLE, "")
    if named and (Path(named) != own or own.exists()):
        try:
            return Path(named).read_bytes().rstrip() + b"\n"
        except OSError as error:
            raise TowropeError(
                f"Cannot read {BUNDLE_VARIABLE} ({foreign(named)}): {error.strerror}. Mend it or"
                " unset it.",
                hop=Hop.CLIENT,
            ) from None
    known = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, known)).encode()


def run(setup: AzSetup) -> None:
    """Makes the server a cloud that `az` knows, and the one that it uses."""
    program = shutil.which("az")
    if program is None:
        raise NotFound(
            "There is no 'az' on the PATH. Install the Azure CLI ('pipx install azure-cli'), and"
            " run this again.",
            hop=Hop.CLIENT,
        )
    is_known = _az(program, setup, ["cloud", "show", "-n", setup.name]).returncode == 0
    for words in (setup.update if is_known else setup.register, setup.activate):
        done = _az(program, setup, words)
        if done.returncode:
            raise Refused(
                f"'az {' '.join(words[:2])}' failed: {foreign(done.stderr.strip())}",
                hop=Hop.CLIENT,
            )


def _az(program: str, setup: AzSetup, words: list[str]) -> subprocess.CompletedProcess[str]:
    trusted = {BUNDLE_VARIABLE: str(setup.bundle)} if setup.bundle else {}
    try:
        return subprocess.run(  # noqa: S603 - `az`, with words of ours
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            env={**os.environ, **trusted},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TowropeError(
            f"Cannot run {program}: {foreign(str(error))}.", hop=Hop.CLIENT
        ) from None
