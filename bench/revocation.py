"""`python -m bench.revocation`: how long after a change's answer the stream that it ends is cut.

The change is made as an administrator makes it, by the API or by kubectl; the stream is a watch
through the whole path. Both ends are in this process, so that one clock tells.
"""

import argparse
import contextlib
import http.client
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.cluster import built_programs, running_cluster
from tests.fixtures.forgery import mint_of
from tests.fixtures.installation import Installation, Proxy, installed
from tests.fixtures.people import People
from tests.fixtures.role_assignments import RoleAssignments, switch_azure_rbac

from bench.ends import End, through
from towrope.control.roles.built_in import BUILT_IN_ROLES

WATCH = "/api/v1/pods?watch=true"
WITHIN = 60.0
VIEWER = next(role.id for role in BUILT_IN_ROLES if role.name == "Azure Arc Kubernetes Viewer")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A user of the directory, with a token for the cluster."""

    object_id: str
    name: str
    group: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Bench:
    installation: Installation
    people: People
    assignments: RoleAssignments
    proxy: Proxy

    def caller(self) -> Caller:
        """A new one, in a group of its own."""
        name = f"u{uuid.uuid4().hex[:12]}"
        person = self.people.user(name)
        group = self.people.group(f"g{name}", person.object_id)
        token = mint_of(self.people, person).token(groups=[group])
        return Caller(
            object_id=person.object_id, name=person.user_principal_name, group=group, token=token
        )

    def kubectl(self, *words: str) -> None:
        self.installation.cluster.kubectl(*words)

    def end(self, token: str) -> End:
        return through(self.proxy, token)

    # Each gives a right, and says how to take it away.

    def role_assignment(self, caller: Caller) -> Callable[[], object]:
        made = self.assignments.assign(VIEWER, caller.object_id)
        return lambda: self.assignments.remove(made)

    def membership_by_role_assignment(self, caller: Caller) -> Callable[[], object]:
        self.assignments.assign(VIEWER, caller.group, principal_type="Group")
        return lambda: self.people.directory.remove_member(caller.group, caller.object_id)

    def membership_by_binding(self, caller: Caller) -> Callable[[], object]:
        self._bind(caller, f"--group={caller.group}")
        return lambda: self.people.directory.remove_member(caller.group, caller.object_id)

    def account(self, caller: Caller) -> Callable[[], object]:
        self._bind(caller, f"--user={caller.name}")
        disabled = {"accountEnabled": False}
        return lambda: self.people.directory.update_user(caller.object_id, disabled)

    def sessions(self, caller: Caller) -> Callable[[], object]:
        self._bind(caller, f"--user={caller.name}")
        path = f"/v1.0/users/{caller.object_id}/revokeSignInSessions"
        return lambda: self.people.rest.json("POST", path)

    def binding(self, caller: Caller) -> Callable[[], object]:
        self._bind(caller, f"--user={caller.name}")
        return lambda: self.kubectl("delete", "--wait=false", "clusterrolebinding", caller.group)

    def _bind(self, caller: Caller, subject: str) -> None:
        self.kubectl("create", "clusterrolebinding", caller.group, "--clusterrole=view", subject)


KINDS: dict[str, Callable[[Bench, Caller], Callable[[], object]]] = {
    "role assignment deleted": Bench.role_assignment,
    "member removed, role assigned to the group": Bench.membership_by_role_assignment,
    "member removed, group bound by kubectl": Bench.membership_by_binding,
    "account disabled": Bench.account,
    "sessions revoked": Bench.sessions,
    "binding deleted by kubectl": Bench.binding,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    with running() as bench:
        print("| what is taken away | min ms | median ms | max ms |\n|---|---|---|---|")
        for name, kind in KINDS.items():
            taken = [measured(bench, kind) * 1000 for _ in range(runs)]
            row = (min(taken), statistics.median(taken), max(taken))
            print(f"| {name} | {' | '.join(f'{each:.0f}' for each in row)} |", flush=True)


def measured(bench: Bench, kind: Callable[[Bench, Caller], Callable[[], object]]) -> float:
    """Seconds from the answer to the end; less than none where the end came first."""
    caller = bench.caller()
    take_away = kind(bench, caller)
    cut_at: list[float] = []
    with _watching(bench.end(caller.token), cut_at) as ended:
        take_away()
        answered_at = time.perf_counter()
        assert ended.wait(WITHIN), "the stream goes on"
    return cut_at[0] - answered_at


@contextlib.contextmanager
def _watching(end: End, cut_at: list[float]) -> Iterator[threading.Event]:
    connection, ended = end.connect(), threading.Event()
    deadline = time.monotonic() + WITHIN
    while (response := end.get(connection, WATCH)).status != 200:
        assert time.monotonic() < deadline, response.read()
        response.read()
        connection.close()
        connection = end.connect()

    def read() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while response.read(1):
                pass
        cut_at.append(time.perf_counter())
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield ended
    finally:
        connection.close()
        reader.join(WITHIN)


@contextlib.contextmanager
def running() -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="towrope-bench-") as scratch,
        running_cluster(built_programs(), Path(scratch) / "cluster") as cluster,
        installed(
            cluster, Path(scratch) / "towrope", name="bench", agent="local", linked=False
        ) as installation,
        installation.proxy() as proxy,
    ):
        people = People(installation, Path(scratch) / "people")
        switch_azure_rbac(installation, "enable-features")
        assignments = RoleAssignments(rest=people.rest, cluster=people.cluster_id)
        yield Bench(installation=installation, people=people, assignments=assignments, proxy=proxy)
        people.close()


if __name__ == "__main__":
    main()
