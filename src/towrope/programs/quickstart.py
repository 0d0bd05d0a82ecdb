"""`towrope quickstart`: the whole path on one machine, ending in `kubectl get pods -A`.

It does what a user does, with the commands that a user types, and shows each of them. The cluster
is the test cluster of this project, or one of the user's own. All it makes, it removes.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click

from towrope.programs.child import Child, ChildFailed

GROUP = "quickstart"
CLUSTER = "demo"
ACCOUNT = "quickstart-user"
BINDING = f"{ACCOUNT}-binding"
TOKEN_WITHIN = 30.0

TOKEN_SECRET = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: {ACCOUNT}-secret
  annotations:
    kubernetes.io/service-account.name: {ACCOUNT}
type: kubernetes.io/service-account-token
"""


class StepFailed(Exception):
    """A command of a step failed; the message is for the user."""


@dataclass(slots=True, kw_only=True)
class Quickstart:
    """One run: a folder for all state, and what has to be undone at the end, last thing first."""

    folder: Path
    kubeconfig: Path
    context: str | None
    port: int
    environment: dict[str, str]
    undo: ExitStack
    steps: int = 7
    _step: int = field(default=0)
    children: list[Child] = field(default_factory=list)

    def run(self) -> bool:
        """All steps; whether kubectl succeeded."""
        if self.context is None:
            self.start_cluster()
        self.start_server()
        self.sign_in()
        self.connect()
        self.make_token()
        self.start_proxy()
        return self.get_pods()

    # The steps, in order.

    def start_cluster(self) -> None:
        self.say("A Kubernetes of its own, as local processes")
        folder = self.folder / "cluster"
        testbed = find_program("testbed")
        programs = str(Path(sys.executable).parent)  # where pods find the `towrope` command
        command = [testbed, "up", "--dir", str(folder), "--path", programs]
        child = self.start(command, name="The test cluster", sign="ready ", within=120)
        facts = dict(part.split("=", 1) for part in child.ready_line.split()[1:])
        self.kubeconfig = Path(facts["kubeconfig"])

    def start_server(self) -> None:
        self.say("The server: control plane and relay on one port")
        credential = self.folder / "administrator.json"
        command = self.towrope(
            "server", "--state-dir", str(self.folder / "server"), "--host", "127.0.0.1"
        )
        command += ["--port", "0", "--admin-credential-file", str(credential)]
        self.start(command, name="The server", sign="listening on https://", within=60)

    def sign_in(self) -> None:
        self.say("Sign in, and make a resource group")
        facts = json.loads((self.folder / "administrator.json").read_text())
        command = self.towrope("login", "--service-principal", "--server", facts["server"])
        command += ["--ca-fingerprint", facts["caFingerprint"], "-u", facts["appId"], "-p", "-"]
        self.do([*command, "-o", "none"], stdin=facts["password"])
        self.do(self.towrope("group", "create", "-n", GROUP, "-l", "local", "-o", "none"))

    def connect(self) -> None:
        self.say("Connect the cluster: register it, and install the agent")
        command = self.towrope("connectedk8s", "connect", "-n", CLUSTER, "-g", GROUP)
        command += ["--kube-config", str(self.kubeconfig), "-o", "none", "--yes"]
        command += ["--onboarding-timeout", "180"]
        if self.context is None:
            self.do(command)
            return
        # The cluster may not be able to pull an image: the agent runs beside it, its state inside.
        context = ["--kube-context", self.context]
        self.undo.callback(self.disconnect, context)
        self.do([*command, *context, "--agent", "local", "--no-wait"])
        agent = self.towrope(
            "agent", "--kubeconfig", str(self.kubeconfig), "--context", self.context
        )
        self.start(agent, name="The agent", sign="is connected", within=60)

    def disconnect(self, context: list[str]) -> None:
        command = self.towrope("connectedk8s", "delete", "-n", CLUSTER, "-g", GROUP, "--yes")
        self.do([*command, "--kube-config", str(self.kubeconfig), *context, "-o", "none"])

    def make_token(self) -> None:
        self.say("A service account with a token, made in the cluster")
        if self.context is not None:  # a cluster that is ours goes as a whole
            made = (f"secret/{ACCOUNT}-secret", f"clusterrolebinding/{BINDING}", f"sa/{ACCOUNT}")
            remove = self.kubectl("delete", *made, "--ignore-not-found")
            self.do(remove, quiet=True)  # a run that was killed may have left them
            self.undo.callback(self.do, remove)
        self.do(self.kubectl("create", "serviceaccount", ACCOUNT))
        binding = self.kubectl("create", "clusterrolebinding", BINDING)
        self.do(
            [*binding, "--clusterrole", "cluster-admin", "--serviceaccount", f"default:{ACCOUNT}"]
        )
        self.do(self.kubectl("apply", "-f", "-"), stdin=TOKEN_SECRET)
        path = "{.data.token}"
        read = self.kubectl("get", "secret", f"{ACCOUNT}-secret", "-o", f"jsonpath={path}")
        self.show(read)
        token = self.until(lambda: self.do(read, quiet=True), within=TOKEN_WITHIN)
        file = self.folder / "token"
        file.touch(mode=0o600)
        file.write_text(base64.b64decode(token).decode())

    def start_proxy(self) -> None:
        self.say("The user's side: the local proxy, and its kubeconfig")
        kubeconfig = self.folder / "kubeconfig"
        command = self.towrope("connectedk8s", "proxy", "-n", CLUSTER, "-g", GROUP)
        command += ["--token-file", str(self.folder / "token"), "--file", str(kubeconfig)]
        command += ["--port", str(self.port)]
        self.start(command, name="The proxy", sign="Start sending kubectl requests", within=60)

    def get_pods(self) -> bool:
        self.say("kubectl, through the tunnel")
        kubeconfig = self.folder / "kubeconfig"
        command = [find_program("kubectl"), "--kubeconfig", str(kubeconfig), "get", "pods", "-A"]
        self.show(command)
        done = subprocess.run(command, env=self.environment, check=False, timeout=60)  # noqa: S603
        return done.returncode == 0

    # How a step does it.

    def say(self, what: str) -> None:
        self._step += 1
        total = self.steps if self.context is None else self.steps - 1
        click.secho(f"\n[{self._step}/{total}] {what}", bold=True)

    def show(self, command: Sequence[str], *, stdin: bool = False) -> None:
        words = [word.replace(str(self.folder), "$QUICKSTART") for word in command]
        words[0] = Path(words[0]).name
        if words[0].startswith("python"):
            words[:3] = ["towrope"]
        click.echo("  $ " + " ".join(words) + (" < …" if stdin else ""))

    def do(self, command: Sequence[str], *, stdin: str | None = None, quiet: bool = False) -> str:
        """Runs a command to its end and returns what it printed. Raises `StepFailed`."""
        if not quiet:
            self.show(command, stdin=stdin is not None)
        done = subprocess.run(  # noqa: S603 - our own programs and kubectl
            list(command),
            input=stdin or "",
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode != 0:
            raise StepFailed(done.stderr.strip() or f"{command[0]}: exit code {done.returncode}")
        return done.stdout

    def start(self, command: Sequence[str], *, name: str, sign: str, within: float) -> Child:
        """Starts a program that stays, and waits until it is ready."""
        self.show(command)
        log = self.folder / (name.split()[-1] + ".log")
        child = Child(command, name=name, log=log, environment=self.environment)
        self.undo.callback(child.stop)
        self.children.append(child)
        child.wait_until_ready(sign, within=within)
        return child

    def until(self, read: Callable[[], str], *, within: float) -> str:
        deadline = time.monotonic() + within
        while True:
            value = read()
            if value:
                return value
            if time.monotonic() > deadline:
                raise StepFailed("The cluster did not fill in the token's Secret in time.")
            time.sleep(0.2)

    def towrope(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "towrope.main", *words]

    def kubectl(self, *words: str) -> list[str]:
        context = ["--context", self.context] if self.context else []
        return [find_program("kubectl"), "--kubeconfig", str(self.kubeconfig), *context, *words]


def find_program(name: str) -> str:
    """The path of a program. Raises `StepFailed` with what to do where it is missing."""
    found = shutil.which(name)
    if found is None and name == "testbed":
        raise StepFailed(
            "The test cluster is not built: run 'make quickstart' in a clone of the project,"
            " or name a cluster of your own with --kube-context."
        )
    if found is None:
        raise StepFailed(f"'{name}' is not on PATH: install it, or run 'make quickstart'.")
    return found


def default_kubeconfig() -> Path:
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config"


@click.command("quickstart")
@click.option("--kube-context", metavar="NAME", help="A cluster of your own, not the test cluster.")
@click.option("--once", is_flag=True, help="End after the table of pods, not at Ctrl-C.")
@click.option("--port", type=int, default=47011, show_default=True, help="The local proxy's port.")
def command(kube_context: str | None, once: bool, port: int) -> None:
    """Run the whole path on this machine, ending in `kubectl get pods -A`.

    \b
    Example:
      towrope quickstart --once
      towrope quickstart --kube-context kind-kind
    """
    ended = threading.Event()
    _on_signals(ended)
    folder = Path(tempfile.mkdtemp(prefix="towrope-quickstart-"))
    try:
        succeeded = _run(folder, kube_context, port=port, once=once, ended=ended)
    except (StepFailed, ChildFailed, subprocess.TimeoutExpired) as error:
        click.secho(f"\nERROR: {error}", fg="red", err=True)
        succeeded = False
    except KeyboardInterrupt:
        succeeded = False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if succeeded else 1)


def _run(
    folder: Path, context: str | None, *, port: int, once: bool, ended: threading.Event
) -> bool:
    environment = dict(os.environ, TOWROPE_CONFIG_DIR=str(folder / "config"))
    for name in ("KUBECONFIG", "TOWROPE_STATE_DIR"):
        environment.pop(name, None)
    with ExitStack() as undo:
        quickstart = Quickstart(
            folder=folder,
            kubeconfig=default_kubeconfig(),
            context=context,
            port=port,
            environment=environment,
            undo=undo,
        )
        succeeded = quickstart.run()
        if succeeded and not once:
            _say_what_to_try(folder)
            with contextlib.suppress(KeyboardInterrupt):
                _wait(ended, quickstart.children)
        click.echo("\nRemoving what was made …")
    return succeeded


def _say_what_to_try(folder: Path) -> None:
    click.secho("\nIt is yours. In another shell:", bold=True)
    click.echo(f"  export KUBECONFIG={folder / 'kubeconfig'}")
    click.echo("  kubectl get nodes")
    click.echo("Press Ctrl+C here to end it and to remove all of it.")


def _wait(ended: threading.Event, children: Sequence[Child]) -> None:
    # Bounded waits: on Windows an endless one cannot be interrupted.
    while not ended.wait(0.5):
        for child in children:
            if child.has_ended():
                raise ChildFailed(f"{child.name} ended before it was asked to.")


def _on_signals(ended: threading.Event) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    signal.signal(signal.SIGTERM, stop)
