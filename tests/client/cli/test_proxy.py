"""`connectedk8s proxy`: where a token comes from, and what is refused before any work."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.client.test_profile import account
from towrope.client import token_cache
from towrope.client.api import ClusterUserCredential
from towrope.client.cli import proxy as module
from towrope.client.cli.proxy import check_token, proxy
from towrope.client.profile import Folder
from towrope.client.proxy.session import Wish
from towrope.client.sessions import SignInNeeded
from towrope.wire.errors import Forbidden, Hop, NotFound, TowropeError

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJkZW1vIn0.c2ln"
CREDENTIAL = ClusterUserCredential(
    kubeconfig=b"",
    relay="relay.test",
    hybrid_connection_name="c",
    token="sas",
    expiration_time=1,
)


class OneCluster:
    """An API with a single cluster, `shop` in `rg`."""

    tls = ssl.create_default_context()
    status: str | None = "Connected"
    can_be_read = True
    account = account(user="alice@a.example")
    method = ""

    def __enter__(self) -> "OneCluster":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_cluster(self, resource_group: str, name: str) -> dict[str, Any]:
        assert (resource_group, name) == ("rg", "shop")
        if not self.can_be_read:
            raise Forbidden("not this", hop=Hop.SERVER)
        return {"name": name, "properties": {"connectivityStatus": self.status}}

    def list_cluster_user_credential(
        self, resource_group: str, name: str, *, authentication_method: str
    ) -> ClusterUserCredential:
        assert (resource_group, name) == ("rg", "shop")
        self.method = authentication_method
        return CREDENTIAL

    def cluster_id(self, resource_group: str, name: str) -> str:
        return f"/subscriptions/id-one/{resource_group}/{name}"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> OneCluster:
    api = OneCluster()
    monkeypatch.setattr(module, "api_from_context", lambda: api)
    return api


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Wish]:
    """What the command asked the proxy's session for."""
    wishes: list[Wish] = []

    async def run(wish: Wish, *_: object, **__: object) -> None:
        wishes.append(wish)

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setenv("TOWROPE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("TOWROPE_TOKEN", raising=False)
    return wishes


Invoke = Callable[..., Result]


@pytest.fixture
def invoke(api: OneCluster, wishes: list[Wish]) -> Invoke:
    def invoke(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(proxy, ["-n", "shop", "-g", "rg", *arguments], input=stdin)

    return invoke


def test_takes_the_defaults_of_arcs_command(
    invoke: Invoke, wishes: list[Wish], tmp_path: Path
) -> None:
    assert invoke("--token", TOKEN).exit_code == 0
    expected = Wish(
        port=47011, file=tmp_path / "config", folder=tmp_path / "proxy", token=TOKEN, context=None
    )
    assert wishes == [expected]


def test_takes_arcs_options(invoke: Invoke, wishes: list[Wish], tmp_path: Path) -> None:
    options = ("--token", TOKEN, "--kube-context", "mine", "-f", "other", "--port", "5000")
    assert invoke(*options).exit_code == 0
    expected = Wish(
        port=5000, file=Path("other"), folder=tmp_path / "proxy", token=TOKEN, context="mine"
    )
    assert wishes == [expected]


def test_a_dash_is_standard_output(invoke: Invoke, wishes: list[Wish]) -> None:
    assert invoke("--token", TOKEN, "--file", "-").exit_code == 0
    assert wishes[0].file is None


def test_reads_the_token_from_a_file(invoke: Invoke, wishes: list[Wish], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert invoke("--token-file", str(tmp_path / "token")).exit_code == 0
    assert wishes[0].token == TOKEN


def test_reads_the_token_from_standard_input(invoke: Invoke, wishes: list[Wish]) -> None:
    assert invoke("--token", "-", stdin=f"{TOKEN}\n").exit_code == 0
    assert wishes[0].token == TOKEN


def test_takes_the_token_from_the_environment(
    invoke: Invoke, wishes: list[Wish], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOWROPE_TOKEN", TOKEN)
    assert invoke().exit_code == 0
    assert wishes[0].token == TOKEN


def keep_token(folder: Path, api: OneCluster) -> None:
    scope = f"{api.cluster_id('rg', 'shop')}/.default"
    path = Folder(folder).token_path(api.account, scope)
    token_cache.write(path, "kept", int(time.time()) + 3600)


def test_without_a_token_the_kubeconfig_asks_for_the_accounts(
    invoke: Invoke, api: OneCluster, wishes: list[Wish], tmp_path: Path
) -> None:
    keep_token(tmp_path, api)
    assert invoke().exit_code == 0
    (wish,) = wishes
    assert api.method == "AAD"
    assert wish.token is None
    assert wish.plugin is not None
    words = ["--cluster", "/subscriptions/id-one/rg/shop", "--server", "https://a.example"]
    words += ["--account", "alice@a.example"]
    assert wish.plugin.arguments[-7:] == ("get-token", *words)
    assert dict(wish.plugin.environment) == {"TOWROPE_CONFIG_DIR": str(tmp_path)}


def test_a_given_token_is_a_service_accounts(
    invoke: Invoke, api: OneCluster, wishes: list[Wish]
) -> None:
    assert invoke("--token", TOKEN).exit_code == 0
    assert api.method == "Token"
    assert wishes[0].plugin is None


def test_nothing_is_started_for_somebody_who_has_to_sign_in(
    invoke: Invoke, wishes: list[Wish]
) -> None:
    result = invoke()
    assert isinstance(result.exception, SignInNeeded)
    assert "towrope login --server https://a.example" in str(result.exception)
    assert wishes == []


def test_takes_one_token_only(invoke: Invoke, wishes: list[Wish]) -> None:
    result = invoke("--token", TOKEN, "--token-file", "x")
    assert result.exit_code == 2
    assert "not with both" in result.output


def test_a_token_file_that_cannot_be_read_is_an_error(invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("--token-file", str(tmp_path / "none"))
    assert isinstance(result.exception, TowropeError)
    assert "Cannot read the --token-file" in str(result.exception)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("two words", "malformed"),
        (f"{TOKEN}\n{TOKEN}", "malformed"),
        (f"Bearer {TOKEN}", "malformed"),
        ("t\x00ken", "malformed"),
        ("tökén", "malformed"),
        ('"quoted"', "malformed"),
        ("a" * 70_000, "malformed"),
        ("ZXlKaGJHY2lPaUpTVXpJMU5pSjku", "base64 --decode"),
    ],
)
def test_a_malformed_token_is_refused_and_not_repeated(
    invoke: Invoke, wishes: list[Wish], token: str, expected: str
) -> None:
    result = invoke("--token", "-", stdin=token)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())
    assert len(token.strip()) < 3 or token.strip() not in result.output
    assert wishes == []


def test_other_kinds_of_tokens_are_taken() -> None:
    for token in ("abc", "k3s.abc123", "kubeconfig-u-abcde:xyz", "YWJj", "a~b+/=="):
        assert check_token(token) == token


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_a_port_is_a_number(invoke: Invoke, wishes: list[Wish], port: str) -> None:
    assert invoke("--token", TOKEN, "--port", port).exit_code == 2
    assert wishes == []


@pytest.mark.parametrize("status", ["Offline", "Connecting", "Expired", None])
def test_a_cluster_that_is_not_connected_is_refused(
    invoke: Invoke, api: OneCluster, wishes: list[Wish], status: str | None
) -> None:
    api.status = status
    result = invoke("--token", TOKEN)
    assert isinstance(result.exception, NotFound)
    assert (
        "Cannot connect to the hybrid connection because no agent is connected in the target arc"
        f" resource: the status of 'shop' is {status or 'Connecting'}."
    ) in str(result.exception)
    assert TOKEN not in str(result.exception)
    assert wishes == []


def test_help_shows_examples_and_recommends_other_ways_than_the_command_line(
    invoke: Invoke,
) -> None:
    text = " ".join(invoke("--help").output.split())
    assert "--token-file token" in text
    assert "Other users of this machine can see a token" in text


def test_it_takes_no_right_to_read_the_cluster(
    invoke: Invoke, api: OneCluster, wishes: list[Wish]
) -> None:
    api.can_be_read = False
    assert invoke("--token", TOKEN).exit_code == 0
    assert len(wishes) == 1
