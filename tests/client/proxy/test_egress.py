"""Which connections take the environment's HTTP proxy; this machine's own never do."""

import pytest

from towrope.client.proxy.egress import http_proxy_for

PROXY = "http://user:word@proxy.corp:3128"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "internal.corp,10.0.0.0/8,fd00::/8, not/a/network")


@pytest.mark.parametrize("host", ["relay.example.org", "192.0.2.1", "2001:db8::1"])
def test_takes_the_proxy(host: str) -> None:
    assert http_proxy_for(host) == PROXY


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "internal.corp",
        "relay.internal.corp",
        "10.1.2.3",
        "fd00::1",
    ],
)
def test_goes_directly(host: str) -> None:
    assert http_proxy_for(host) is None


def test_a_proxy_may_be_named_for_all_and_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    assert http_proxy_for("relay.example.org") is None
    monkeypatch.setenv("ALL_PROXY", "proxy.corp:3128")
    assert http_proxy_for("relay.example.org") == "http://proxy.corp:3128"
