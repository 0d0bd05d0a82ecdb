"""`towrope server`: relay and control plane in one process, on one port, from one state folder."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import structlog

from towrope.control import administrator, installation, tls
from towrope.control.administrator import Credential
from towrope.control.app import ControlPlane
from towrope.control.connections import Connections
from towrope.control.installation import Installation
from towrope.control.settings import (
    LOCAL,
    Location,
    PublicUrl,
    Settings,
    parse_location,
    parse_public_url,
)
from towrope.control.tls import CertificateFiles, ServerTls
from towrope.ops import logs
from towrope.ops.certificates import fingerprint
from towrope.ops.files import write_private
from towrope.ops.stopping import stop_signal
from towrope.ops.tasks import cancel, report_failures, spawn
from towrope.relay.relay import Relay
from towrope.wire.errors import Hop, TowropeError, foreign

_log = structlog.get_logger()

CERTIFICATE_CHECK_EVERY = 2.0
STOP_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    state_dir: Path
    host: str
    port: int
    public_url: str | None
    tls_files: CertificateFiles | None
    database_url: str | None
    admin_credential_file: Path | None
    locations: tuple[Location, ...] = (LOCAL,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Certificate:
    """What the port shows, and the authority to trust it by, where that is our own."""

    tls: ServerTls
    authority: bytes | None


class _CredentialFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    app_id: str
    password: str
    tenant: str
    server: str
    ca_fingerprint: str | None


@click.command(name="server")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TOWROPE_STATE_DIR",
    default=lambda: Path.home() / ".towrope" / "server",
    show_default="~/.towrope/server",
    help="Where the server keeps its secrets, its certificate and its database.",
)
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen on.")  # noqa: S104
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8443,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
@click.option("--public-url", help="Where clients and agents reach this server.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="A certificate chain, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key, PEM.")
@click.option(
    "--database-url",
    envvar="TOWROPE_DATABASE_URL",
    help="Another database than the SQLite file in the state folder.",
)
@click.option(
    "--admin-credential-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="At the first start, write the administrator's credential here instead of printing it.",
)
@click.option(
    "--location",
    "locations",
    multiple=True,
    metavar="NAME[=DISPLAY NAME[=HOST:PORT,…]]",
    help="A location of resources, with the relay nodes that are there; repeatable. By default"
    " there is one, 'local'.",
)
@click.option("--verbose", "-v", is_flag=True, help="Log more.")
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    state_dir: Path,
    host: str,
    port: int,
    public_url: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    database_url: str | None,
    admin_credential_file: Path | None,
    locations: tuple[str, ...],
    verbose: bool,
) -> None:
    """Run the server: REST API and relay, on one port.

    The first start makes the state folder and an administrator, whose secret is shown once.

    \b
    Example:
      towrope server --public-url https://towrope.example.org:8443
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together; give both or none.")
    files = None
    if tls_cert is not None and tls_key is not None:
        files = CertificateFiles(certificate=tls_cert, private_key=tls_key)
    options = Options(
        state_dir=state_dir.absolute(),
        host=host,
        port=port,
        public_url=public_url,
        tls_files=files,
        database_url=database_url,
        admin_credential_file=admin_credential_file,
        locations=_locations(locations),
    )
    logs.configure(verbose=verbose)
    os.umask(0o077)  # also for the files that SQLite makes
    try:
        asyncio.run(serve(options))
    except TowropeError as error:
        raise click.ClickException(error.message) from None


def _locations(given: Sequence[str]) -> tuple[Location, ...]:
    try:
        found = [parse_location(text) for text in given] or [LOCAL]
    except TowropeError as error:
        raise click.UsageError(error.message) from None
    names = [location.name for location in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.UsageError(f"--location names '{min(twice)}' twice; give each location once.")
    return tuple(found)


async def serve(options: Options) -> None:
    """Runs until SIGTERM or SIGINT. Raises `TowropeError` where it cannot start."""
    report_failures()
    port = options.port or _free_port(options.host)
    url = parse_public_url(options.public_url or f"https://localhost:{port}")
    with stop_signal() as stop, installation.opened(options.state_dir) as installed:
        certificate = _certificate(options, installed, url)
        settings = _settings(options, installed, url, certificate)
        async with _listening(settings, certificate, host=options.host, port=port) as control:
            await _introduce_administrator(options, control, certificate)
            click.echo(f"Towrope server is listening on {url}")
            watching = spawn(_watch(options, installed, url, certificate), name="certificate")
            await stop.wait()
            _log.info("stopping")
            await cancel(watching)


@asynccontextmanager
async def _listening(
    settings: Settings, certificate: _Certificate, *, host: str, port: int
) -> AsyncIterator[ControlPlane]:
    control = ControlPlane(
        settings,
        removed=lambda path: relay.forget(path),
        notify=lambda path, kind: relay.notify(path, kind),
    )
    relay = Relay(
        master=settings.master,
        address=f"wss://{settings.url.netloc}",
        knows=control.knows,
        has_rule=control.has_rule,
        presence=control.presence,
    )
    connections = Connections(control.asgi)
    await control.start()
    try:
        try:
            server = await relay.serve(
                host=host, port=port, tls=certificate.tls.context, http=connections.accept
            )
        except OSError as error:
            raise _cannot_listen(host, port, error) from None
        try:
            yield control
        finally:
            server.close()
            await connections.close()
            async with asyncio.timeout(STOP_TIMEOUT):
                await relay.close()
    finally:
        await control.stop()


def _settings(
    options: Options, installed: Installation, url: PublicUrl, certificate: _Certificate
) -> Settings:
    return Settings(
        url=url,
        tenant=installed.tenant,
        subscription=installed.subscription,
        master=installed.master,
        signing_keys=installed.signing_keys_folder,
        database_url=options.database_url or installed.database_url,
        ca_certificate=certificate.authority,
        locations=options.locations,
    )


def _certificate(options: Options, installed: Installation, url: PublicUrl) -> _Certificate:
    if options.tls_files is not None:
        return _Certificate(tls=ServerTls(options.tls_files), authority=None)
    authority = tls.own_authority(installed.tls_folder)
    files = tls.own_certificate(installed.tls_folder, authority, _names(url))
    return _Certificate(tls=ServerTls(files), authority=authority.certificate)


def _names(url: PublicUrl) -> Sequence[str]:
    """What a self-made certificate is for, each once, the public name first."""
    return list(dict.fromkeys([url.host, "localhost", "127.0.0.1", socket.gethostname()]))


async def _watch(
    options: Options, installed: Installation, url: PublicUrl, certificate: _Certificate
) -> None:
    """Follows the operator's files, and replaces our own certificate before it ends."""
    while True:
        await asyncio.sleep(CERTIFICATE_CHECK_EVERY)
        if options.tls_files is None:
            authority = tls.own_authority(installed.tls_folder)
            tls.own_certificate(installed.tls_folder, authority, _names(url))
        certificate.tls.refresh()


async def _introduce_administrator(
    options: Options, control: ControlPlane, certificate: _Certificate
) -> None:
    """At the first start: the administrator's credential, shown or written this once."""
    settings = control.services.settings
    trusted = fingerprint(certificate.authority) if certificate.authority else None

    def deliver(made: Credential) -> None:
        if options.admin_credential_file is None:
            _show(made, settings.url, trusted)
            return
        content = _CredentialFile(
            app_id=made.app_id,
            password=made.secret,
            tenant=settings.tenant,
            server=str(settings.url),
            ca_fingerprint=trusted,
        )
        _write(options.admin_credential_file.absolute(), content)

    await administrator.ensure(control.services.database, deliver=deliver)


def _write(path: Path, content: _CredentialFile) -> None:
    try:
        write_private(path, msgspec.json.encode(content))
    except OSError as error:
        cause = foreign(error.strerror or str(error))
        raise TowropeError(
            f"The credential file '{path}' cannot be written: {cause}.", hop=Hop.SERVER
        ) from None


def _show(made: Credential, url: PublicUrl, trusted: str | None) -> None:
    trust = f" --ca-fingerprint {trusted}" if trusted else ""
    click.echo("The administrator's credential. It is shown this once; keep it safe:")
    click.echo(f"  application id  {made.app_id}")
    click.echo(f"  secret          {made.secret}")
    if trusted:
        click.echo(f"  CA fingerprint  {trusted}")
    click.echo("Sign in with it (the secret is read from standard input):")
    click.echo(f"  towrope login --service-principal --server {url}{trust} -u {made.app_id} -p -")


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise _cannot_listen(host, 0, error) from None


def _cannot_listen(host: str, port: int, error: OSError) -> TowropeError:
    if error.errno == errno.EADDRINUSE:
        why = f"Port {port} on {host} is in use by another program; choose one with --port."
    else:
        cause = foreign(error.strerror or str(error))
        why = f"The server cannot listen on {host}, port {port}: {cause}."
    return TowropeError(why, hop=Hop.SERVER)


if __name__ == "__main__":
    command()
