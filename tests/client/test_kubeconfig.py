"""A kubeconfig gets an entry and loses it again; all else in the file stays byte for byte."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from towrope.client import kubeconfig as module
from towrope.client.credential_plugin import INSTALL_HINT, CredentialPlugin
from towrope.client.kubeconfig import (
    Entry,
    Kubeconfig,
    default_path,
    entry_of,
    looser_mode,
    render,
)
from towrope.wire.errors import Malformed, TowropeError

TOKEN = "secret-token"
SERVED = b"""\
apiVersion: v1
kind: Config
clusters:
- name: shop
  cluster:
    server: https://127.0.0.1:47011
    tls-server-name: abc.clusters.test
    certificate-authority-data: Q0E=
contexts:
- name: shop
  context: {cluster: shop, user: clusterUser_shop_rg}
users:
- name: clusterUser_shop_rg
  user: {}
"""

OWN = """\
# My clusters.
apiVersion: v1
kind: Config
preferences: {}
clusters:
# the old one
- cluster:
    server: "https://10.0.0.1:6443"   # behind the VPN
    insecure-skip-tls-verify: true
  name: prod
contexts:
- name: prod
  context: {cluster: prod, user: 'me', namespace: web}
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: aws
      args: ["eks", "get-token", "--cluster-name", "a-long-name-that-is-not-wrapped"]
      interactiveMode: Never
current-context: prod
# The end.
"""

MERGED = """\
# My clusters.
apiVersion: v1
kind: Config
preferences: {}
clusters:
# the old one
- cluster:
    server: "https://10.0.0.1:6443"   # behind the VPN
    insecure-skip-tls-verify: true
  name: prod
- cluster:
    certificate-authority-data: Q0E=
    server: https://127.0.0.1:5000
    tls-server-name: abc.clusters.test
  name: shop
contexts:
- name: prod
  context: {cluster: prod, user: 'me', namespace: web}
- context:
    cluster: shop
    user: clusterUser_shop_rg
    extensions:
    - extension:
        pid: PID
        started: STARTED
        previous-context: prod
      name: towrope-proxy
  name: shop
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: aws
      args: ["eks", "get-token", "--cluster-name", "a-long-name-that-is-not-wrapped"]
      interactiveMode: Never
- user:
    token: secret-token
  name: clusterUser_shop_rg
current-context: shop
# The end.
"""

INDENTED = """\
---
apiVersion: v1
clusters:
  - cluster:
      server: https://a
    name: a
contexts:
  - context:
      cluster: a
      user: a
    name: a
current-context: a
kind: Config
users:
  - name: a
    user:
      token: &t abc
  - name: b
    user:
      token: *t
"""

EMPTIED = """\
apiVersion: v1
kind: Config
clusters: []
contexts: []
users: []
current-context: ''
"""


def entry(context: str | None = None, *, port: int = 5000) -> Entry:
    return entry_of(SERVED, port=port, token=TOKEN, context=context)


def context_of(path: Path, name: str = "shop") -> dict[str, object] | None:
    document = YAML(typ="safe", pure=True).load(path)
    found = [item["context"] for item in document["contexts"] if item["name"] == name]
    return found[0] if found else None


def current(path: Path) -> str | None:
    context: str | None = YAML(typ="safe", pure=True).load(path).get("current-context")
    return context


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config"


def test_merges_and_leaves_all_else_alone(path: Path) -> None:
    path.write_text(OWN)
    config = Kubeconfig(path)
    config.merge(entry())
    started = int(psutil.Process().create_time())
    expected = MERGED.replace("PID", str(os.getpid())).replace("STARTED", str(started))
    assert path.read_text() == expected
    assert path.stat().st_mode & 0o777 == 0o600
    config.remove(entry())
    assert path.read_text() == OWN
    assert [each.name for each in path.parent.iterdir()] == ["config"]


@pytest.mark.parametrize("text", [OWN, INDENTED], ids=["own", "indented"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_file_is_the_same_bytes_afterwards(path: Path, text: str, newline: str) -> None:
    before = text.replace("\n", newline).encode()
    path.write_bytes(before)
    config = Kubeconfig(path)
    config.merge(entry())
    merged = path.read_bytes()
    assert merged != before
    assert merged.count(b"\n") == merged.count(newline.encode())
    config.remove(entry())
    assert path.read_bytes() == before


def test_kubectl_understands_what_is_written(path: Path) -> None:
    path.write_text(OWN)
    Kubeconfig(path).merge(entry())
    for arguments, expected in (
        (["current-context"], "shop"),
        (["view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"], entry().server),
        (["view", "--minify", "--raw", "-o", "jsonpath={.users[0].user.token}"], TOKEN),
    ):
        said = subprocess.run(
            ["kubectl", "--kubeconfig", str(path), "config", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert said.stdout.strip() == expected


def test_what_kubectl_changes_in_between_stays(path: Path) -> None:
    path.write_text(OWN)
    config = Kubeconfig(path)
    config.merge(entry())
    for arguments in (["set-context", "mine", "--cluster=prod"], ["use-context", "mine"]):
        subprocess.run(
            ["kubectl", "--kubeconfig", str(path), "config", *arguments],
            capture_output=True,
            timeout=60,
            check=True,
        )
    config.remove(entry())
    assert current(path) == "mine"
    assert context_of(path, "mine") is not None
    assert context_of(path) is None
    assert TOKEN not in path.read_text()


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "{}", "clusters: null\n"])
def test_a_file_without_entries_gets_one(path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text)
    config = Kubeconfig(path)
    config.merge(entry())
    assert current(path) == "shop"
    assert context_of(path) is not None
    config.remove(entry())
    assert context_of(path) is None
    assert not current(path)
    if not text:
        assert path.read_text() == EMPTIED


def test_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "home" / ".kube" / "config"
    Kubeconfig(path).merge(entry())
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_stays_a_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text(OWN)
    path.symlink_to(target)
    config = Kubeconfig(path)
    config.merge(entry())
    assert path.is_symlink()
    assert current(target) == "shop"
    config.remove(entry())
    assert target.read_text() == OWN


def test_an_entry_of_the_same_name_comes_back(path: Path) -> None:
    before = OWN.replace("prod", "shop")
    path.write_text(before)
    config = Kubeconfig(path)
    config.merge(entry())
    assert "10.0.0.1" not in path.read_text()
    config.remove(entry())
    assert path.read_text() == before


def test_kube_context_renames_all_but_the_user(path: Path) -> None:
    path.write_text(OWN)
    Kubeconfig(path).merge(entry("mine"))
    assert current(path) == "mine"
    context = context_of(path, "mine")
    assert context is not None
    assert (context["cluster"], context["user"]) == ("mine", "clusterUser_shop_rg")


def test_a_changed_current_context_is_left(path: Path) -> None:
    path.write_text(OWN)
    config = Kubeconfig(path)
    config.merge(entry())
    path.write_text(path.read_text().replace("current-context: shop", "current-context: other"))
    config.remove(entry())
    assert current(path) == "other"


def test_an_entry_that_is_no_longer_ours_is_left(path: Path) -> None:
    path.write_text(OWN)
    config = Kubeconfig(path)
    config.merge(entry())
    path.write_text(path.read_text().replace(f"pid: {os.getpid()}", "pid: 1"))
    before = path.read_text()
    config.remove(entry())
    assert path.read_text() == before


KILLED = """
import sys
from pathlib import Path
from tests.client.test_kubeconfig import entry
from towrope.client.kubeconfig import Kubeconfig

config = Kubeconfig(Path(sys.argv[1]))
config.merge(entry(sys.argv[2] or None, port=6000))
print("merged", flush=True)
if sys.stdin.readline():
    config.remove(entry(sys.argv[2] or None, port=6000))
"""


def other_process(path: Path, context: str = "") -> "subprocess.Popen[str]":
    """A process that merges, and removes once it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), context],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "merged\n"
    return process


def end(process: "subprocess.Popen[str]", *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(None if kill else "remove\n", timeout=60)


def test_a_process_with_a_dead_proxys_number_is_not_taken_for_it(path: Path) -> None:
    path.write_text(OWN)
    left_behind = Kubeconfig(path)
    left_behind.merge(entry())
    started = int(psutil.Process().create_time())
    path.write_text(path.read_text().replace(f"started: {started}", f"started: {started - 3600}"))
    config = Kubeconfig(path)
    config.merge(entry())
    config.remove(entry())
    assert path.read_text() == OWN


def test_what_a_killed_proxy_left_is_not_taken_for_the_users(path: Path) -> None:
    path.write_text(OWN)
    end(other_process(path), kill=True)
    assert current(path) == "shop"
    config = Kubeconfig(path)
    config.merge(entry())
    assert context_of(path) is not None
    config.remove(entry())
    assert path.read_text() == OWN


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_two_proxies_for_one_cluster(path: Path, first_ends_first: bool) -> None:
    path.write_text(OWN)
    first = other_process(path)
    second = Kubeconfig(path)
    second.merge(entry())
    if first_ends_first:
        end(first)
        assert "https://127.0.0.1:5000" in path.read_text()
        second.remove(entry())
    else:
        second.remove(entry())
        assert "https://127.0.0.1:6000" in path.read_text()
        assert current(path) == "shop"
        end(first)
    assert path.read_text() == OWN


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_two_proxies_for_two_clusters(path: Path, first_ends_first: bool) -> None:
    path.write_text(OWN)
    served = SERVED.replace(b"shop", b"farm")
    first = other_process(path)
    farm = entry_of(served, port=7000, token=TOKEN)
    second = Kubeconfig(path)
    second.merge(farm)
    if first_ends_first:
        end(first)
        assert current(path) == "farm"
        second.remove(farm)
    else:
        second.remove(farm)
        assert current(path) == "shop"
        end(first)
    assert path.read_text() == OWN


def _merge_one(path: str, number: int) -> None:
    served = SERVED.replace(b"shop", f"c{number}".encode())
    Kubeconfig(Path(path)).merge(entry_of(served, port=5000, token=TOKEN))


def test_eight_processes_lose_none_of_each_others_work(path: Path) -> None:
    path.write_text(OWN)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_merge_one, args=(str(path), n)) for n in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    document = YAML(typ="safe", pure=True).load(path)
    for section in ("clusters", "contexts"):
        names = {item["name"] for item in document[section]}
        assert names == {"prod", *(f"c{n}" for n in range(8))}


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "no YAML": ("a: b: c", r"line 1:"),
    "tabs": ("clusters:\n\t- a", r"line 2:"),
    "a list": ("- a\n", "not a mapping"),
    "a word": ("hello", "not a mapping"),
    "clusters is a word": ("clusters: none", "'clusters' is not a list"),
    "users is a mapping": ("users: {a: b}", "'users' is not a list"),
    "an item is a word": ("contexts: [a]", "an item of 'contexts' has no name"),
    "a cluster is a word": ("clusters: [{name: a, cluster: b}]", "'cluster' of 'a'"),
    "current-context is a list": ("current-context: [a]", "'current-context' is not a name"),
    "two of a key": ("users: []\nusers: []\n", r"line 2:"),
    "two documents": ("a: b\n---\na: b\n", "line"),
    "no text": (b"\xff\xfe\x00", "not UTF-8"),
    "control characters": ("a: \x01", "not YAML"),
    "deep": ("[" * 5000, "not YAML"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_and_left_as_it_is(path: Path, name: str) -> None:
    content, expected = BROKEN[name]
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(raw)
    with pytest.raises(TowropeError, match=f"Failed to load kubeconfig.*{expected}.*--file") as it:
        Kubeconfig(path).merge(entry())
    assert str(path) in str(it.value)
    assert "\n" not in str(it.value)
    assert path.read_bytes() == raw
    assert [each.name for each in path.parent.iterdir()] == ["config"]


def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(TowropeError, match=r"Cannot write the kubeconfig .*directory.*--file"):
        Kubeconfig(path).merge(entry())
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_takes_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TowropeError, match=r"Cannot write the kubeconfig .*--file"):
        Kubeconfig(tmp_path / "file" / "config").merge(entry())


def test_a_huge_file_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_LIMIT", 100)
    path.write_text(OWN)
    with pytest.raises(TowropeError, match="over 100 bytes"):
        Kubeconfig(path).merge(entry())


@pytest.mark.parametrize(
    "served",
    [
        b"",
        b"- a",
        b"clusters: []",
        b"{",
        SERVED.replace(b"tls-server-name", b"other"),
        SERVED.replace(b"certificate-authority-data: Q0E=", b"insecure-skip-tls-verify: true"),
        SERVED.replace(b"Q0E=", b"''"),
        SERVED.replace(b"name: shop", b"name: [a]"),
    ],
)
def test_an_answer_without_what_is_needed_is_refused(served: bytes) -> None:
    with pytest.raises(Malformed, match="kubeconfig without"):
        entry_of(served, port=1)


def test_a_server_cannot_bring_in_a_command_or_switch_verification_off() -> None:
    served = SERVED.replace(
        b"  user: {}", b"  user: {exec: {command: evil, apiVersion: v1}}"
    ).replace(
        b"    certificate-authority-data",
        b"    insecure-skip-tls-verify: true\n    proxy-url: http://evil\n"
        b"    certificate-authority-data",
    )
    assert render(entry_of(served, port=5000, token=TOKEN)) == render(entry())


def test_renders_a_whole_kubeconfig() -> None:
    assert render(entry("mine")) == textwrap.dedent("""\
        apiVersion: v1
        kind: Config
        clusters:
        - cluster:
            certificate-authority-data: Q0E=
            server: https://127.0.0.1:5000
            tls-server-name: abc.clusters.test
          name: mine
        contexts:
        - context:
            cluster: mine
            user: clusterUser_shop_rg
          name: mine
        users:
        - user:
            token: secret-token
          name: clusterUser_shop_rg
        current-context: mine
        """)


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(entry())


def test_the_default_is_where_kubectl_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(["", "/a/b", "/c"]))
    assert default_path() == Path("/a/b")
    monkeypatch.delenv("KUBECONFIG")
    assert default_path() == Path.home() / ".kube" / "config"


def test_permissions_for_others_are_noticed(path: Path) -> None:
    assert looser_mode(path) is None
    path.write_text("")
    path.chmod(0o644)
    assert looser_mode(path) == "644"
    path.chmod(0o600)
    assert looser_mode(path) is None


PLUGIN = CredentialPlugin(
    command="/opt/towrope/bin/towrope",
    arguments=("get-token", "--cluster", "/subscriptions/s/x", "--account", "alice@a.example"),
    environment=(("TOWROPE_CONFIG_DIR", "/home/alice/it's"),),
)


def test_user_with_a_credential_plugin(tmp_path: Path) -> None:
    """Put in among others' entries, taken out again, and no secret is ever in the file."""
    path = tmp_path / "config"
    path.write_text(OWN)
    entry = entry_of(SERVED, port=1, plugin=PLUGIN)
    kubeconfig = Kubeconfig(path)
    kubeconfig.merge(entry)
    users = YAML(typ="safe").load(path)["users"]
    assert users[-1]["user"] == {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "/opt/towrope/bin/towrope",
            "args": list(PLUGIN.arguments),
            "env": [{"name": "TOWROPE_CONFIG_DIR", "value": "/home/alice/it's"}],
            "installHint": INSTALL_HINT,
            "interactiveMode": "IfAvailable",
            "provideClusterInfo": False,
        }
    }
    kubeconfig.remove(entry)
    assert path.read_text() == OWN


def test_printed_kubeconfig_with_a_credential_plugin() -> None:
    (user,) = YAML(typ="safe").load(render(entry_of(SERVED, port=1, plugin=PLUGIN)))["users"]
    assert user["user"]["exec"]["command"] == PLUGIN.command
    assert "token" not in user["user"]
    assert render(entry_of(SERVED, port=1, token=TOKEN, plugin=PLUGIN)).count("exec") == 0
