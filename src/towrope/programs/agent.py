"""`towrope agent`: keeps a way out of the cluster open, and answers what comes back through it.

Nothing dials in. It stops in order on SIGTERM and Ctrl-C.
"""

import asyncio
import contextlib
import datetime
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import structlog

from towrope.agent import apiserver, audit, denials
from towrope.agent.access_reviews import AccessReviews
from towrope.agent.apiserver import Apiserver
from towrope.agent.audit_log import AuditLog
from towrope.agent.bindings import Bindings
from towrope.agent.cluster import ClusterApi, Settings
from towrope.agent.enrolment import Enrolment
from towrope.agent.hints import Everybody
from towrope.agent.identity import Identification, Impersonate
from towrope.agent.impersonation import Impersonation
from towrope.agent.inner_tls import InnerTls
from towrope.agent.listening import Listening
from towrope.agent.live_requests import LiveRequests
from towrope.agent.memberships import Memberships
from towrope.agent.rbac_changes import RbacChanges
from towrope.agent.reconciliation import Reconciliation
from towrope.agent.revocation import Revocation
from towrope.agent.rights import Rights
from towrope.agent.self_reviews import SelfReviews
from towrope.agent.server_api import ServerApi
from towrope.agent.streams import Streams
from towrope.agent.tickets import Tickets
from towrope.agent.trust import CurrentTrust
from towrope.agent.upstream import Upstreams
from towrope.ops import logs, tasks
from towrope.ops.stopping import stop_signal
from towrope.wire import names
from towrope.wire.errors import Hop, NotFound, Refused, TowropeError

_log = structlog.get_logger()


@click.command("agent")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The cluster's kubeconfig. By default the pod's service account, or $KUBECONFIG.",
)
@click.option("--context", help="The context to use of the kubeconfig.")
@click.option("--namespace", default=names.NAMESPACE, show_default=True, help="The agent's own.")
@click.option(
    "--audit",
    "audit_to",
    metavar="off|stdout|FILE",
    default="off",
    show_default=True,
    envvar="TOWROPE_AUDIT",
    show_envvar=True,
    help="Where to write an event for each request, as lines of JSON.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def command(
    kubeconfig: Path | None, context: str | None, namespace: str, audit_to: str, verbose: bool
) -> None:
    """Run the agent of a connected cluster."""
    logs.configure(verbose=verbose)
    try:
        found = apiserver.find(kubeconfig=kubeconfig, context=context)
        with _audit_sink(audit_to) as sink:
            asyncio.run(run(found, namespace=namespace, sink=sink))
    except TowropeError as error:
        click.echo(f"ERROR: {error.message}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def _audit_sink(where: str) -> Iterator[audit.Sink]:
    if where == "off":
        yield audit.discard
        return
    with contextlib.closing(AuditLog(None if where == "stdout" else Path(where))) as sink:
        yield sink


async def run(found: Apiserver, *, namespace: str, sink: audit.Sink = audit.discard) -> None:
    """Runs the agent until it is told to stop. Raises what makes that impossible from the start."""
    tasks.report_failures()
    async with contextlib.AsyncExitStack() as undo:
        stopping = undo.enter_context(stop_signal())
        cluster = ClusterApi(found.own_access, namespace=namespace)
        undo.push_async_callback(cluster.close)
        settings = await _settings(cluster, namespace)
        trust = _server_trust(settings)
        identity = await cluster.identity(
            settings.resource_id, now=datetime.datetime.now(datetime.UTC)
        )
        server = ServerApi(settings.server, settings.resource_id, tls=trust)
        undo.push_async_callback(server.close)
        enrolment = Enrolment(cluster, server, identity)
        configuration = await _unless_stopped(enrolment.enrol(), stopping)
        if configuration is None:
            return
        current = CurrentTrust(configuration.trust, enrolment.configuration)
        inner_tls = InnerTls(identity.authority, configuration.tls_server_name)
        reconciliation = _reconciliation(found, enrolment, undo)
        bindings, live = Bindings(), LiveRequests()
        impersonate, settled = _impersonation(found, reconciliation, undo), reconciliation.settled
        memberships = Memberships(enrolment.principal, bindings)
        who = Identification(current, memberships, impersonate, settled=settled)
        current.on_hint = _revoke(found, who, live, bindings, undo).look
        streams = _streams(found, inner_tls, who, live, sink, undo)
        hints = Everybody(current, reconciliation)
        listening = Listening(Tickets(enrolment.listen), streams, tls=trust, hints=hints)
        listening.start()
        undo.push_async_callback(listening.stop)
        heartbeat = tasks.spawn(enrolment.keep_reporting(current), name="heartbeat")
        undo.push_async_callback(tasks.cancel, heartbeat)
        has_stdout = isinstance(sink, AuditLog) and sink.is_stdout
        await _announce(listening, settings, stopping, on_stderr=has_stdout)
        await stopping.wait()
        _log.info("stopping")


def _impersonation(
    found: Apiserver, reconciliation: Reconciliation, undo: contextlib.AsyncExitStack
) -> Impersonate:
    reviews = AccessReviews(found.own_access)
    undo.push_async_callback(reviews.close)
    decide = Impersonation(reviews).decide
    return denials.explaining(decide, lambda: reconciliation.is_enforced)


def _revoke(
    found: Apiserver,
    who: Identification,
    live: LiveRequests,
    bindings: Bindings,
    undo: contextlib.AsyncExitStack,
) -> Revocation:
    # Reviews of its own, so that those of requests that begin do not wait behind a round of them.
    reviews, self_reviews = AccessReviews(found.own_access), SelfReviews(found.address)
    undo.push_async_callback(reviews.close)
    undo.push_async_callback(self_reviews.close)
    revocation = Revocation(live, who, Rights(reviews, self_reviews))
    changes = RbacChanges(found.own_access, bindings, lost=revocation.look)
    undo.push_async_callback(changes.close)
    running = tasks.spawn(revocation.run(), name="revocation")
    watching = tasks.spawn(changes.run(), name="changes of RBAC")
    undo.push_async_callback(tasks.cancel, running, watching)
    return revocation


def _reconciliation(
    found: Apiserver, enrolment: Enrolment, undo: contextlib.AsyncExitStack
) -> Reconciliation:
    reconciliation = Reconciliation(found.own_access, enrolment.policy)
    undo.push_async_callback(reconciliation.close)
    running = tasks.spawn(reconciliation.run(), name="reconciliation")
    undo.push_async_callback(tasks.cancel, running)
    return reconciliation


def _streams(
    found: Apiserver,
    inner_tls: InnerTls,
    who: Identification,
    live: LiveRequests,
    sink: audit.Sink,
    undo: contextlib.AsyncExitStack,
) -> Streams:
    upstreams = Upstreams(found.address)
    undo.push_async_callback(upstreams.close)
    own = Upstreams(found.own_address, credential=found.own_credential)
    undo.push_async_callback(own.close)
    streams = Streams(inner_tls, upstreams, own=own, decide=who.decide, live=live, sink=sink)
    undo.push_async_callback(streams.stop)
    return streams


async def _settings(cluster: ClusterApi, namespace: str) -> Settings:
    try:
        return await cluster.settings()
    except NotFound:
        raise Refused(
            f"This cluster is not connected: there is no ConfigMap '{names.AGENT_NAME}' in"
            f" namespace '{namespace}'. Run 'towrope connectedk8s connect' first.",
            hop=Hop.AGENT,
        ) from None


def _server_trust(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.server_ca:
        try:
            context.load_verify_locations(cadata=settings.server_ca)
        except (ssl.SSLError, ValueError):
            raise Refused(
                f"'{names.CONFIG_SERVER_CA}' in the ConfigMap '{names.AGENT_NAME}' is not a"
                " certificate in PEM. Connect the cluster again: 'towrope connectedk8s connect'.",
                hop=Hop.AGENT,
            ) from None
    return context


async def _announce(
    listening: Listening, settings: Settings, stopping: asyncio.Event, *, on_stderr: bool
) -> None:
    if await _unless_stopped(listening.is_up.wait(), stopping):
        click.echo(f"Towrope agent is connected to {settings.server}.", err=on_stderr)
        sys.stdout.flush()


async def _unless_stopped(work: Any, stopping: asyncio.Event) -> Any:
    """What `work` returns; None where the agent is told to stop before."""
    task = tasks.spawn(work, name="start")
    stop = tasks.spawn(stopping.wait(), name="stop")
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        await tasks.cancel(task, stop)


if __name__ == "__main__":
    command()
