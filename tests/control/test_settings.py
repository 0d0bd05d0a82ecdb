import pytest

from towrope.control.settings import parse_location, parse_public_url
from towrope.wire.errors import TowropeError


@pytest.mark.parametrize(
    ("text", "shown", "netloc", "domain"),
    [
        ("https://a.example.org", "https://a.example.org", "a.example.org:443", "a.example.org"),
        ("https://A.example.org:443/", "https://a.example.org", "a.example.org:443", None),
        ("https://localhost:8443", "https://localhost:8443", "localhost:8443", "localhost"),
        ("https://127.0.0.1:1", "https://127.0.0.1:1", "127.0.0.1:1", "towrope.internal"),
        ("https://[::1]:8443", "https://[::1]:8443", "[::1]:8443", "towrope.internal"),
    ],
)
def test_a_public_url(text: str, shown: str, netloc: str, domain: str | None) -> None:
    url = parse_public_url(text)
    assert (str(url), url.netloc) == (shown, netloc)
    assert url.cluster_domain == f"clusters.{domain or 'a.example.org'}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "http://example.org",
        "https://",
        "https://example.org/path",
        "https://example.org?x=1",
        "https://user:secret@example.org",
        "https://example.org:port",
        "https://example.org:99999",
    ],
)
def test_what_is_no_public_url(text: str) -> None:
    with pytest.raises(TowropeError, match="expected 'https://HOST"):
        parse_public_url(text)


@pytest.mark.parametrize(
    ("text", "name", "display_name", "relay_nodes"),
    [
        ("local", "local", "Local", ()),
        ("local=", "local", "Local", ()),
        ("westeurope=West Europe", "westeurope", "West Europe", ()),
        ("plant-7=Plant-7=a.example", "plant-7", "Plant-7", ("a.example:443",)),
        ("x=X=A.example:8443, [::1]:1,", "x", "X", ("a.example:8443", "[::1]:1")),
    ],
)
def test_a_location(text: str, name: str, display_name: str, relay_nodes: tuple[str, ...]) -> None:
    location = parse_location(text)
    assert (location.name, location.display_name) == (name, display_name)
    assert location.relay_nodes == relay_nodes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=Local",
        "Local",
        "west europe",
        "westeurope=North Europe",
        "a/b=a/b",
        "a" * 65,
        "x=X=host:port",
        "x=X=host:99999",
        "x=X=https://host",
        "x=X=host/path",
        "x=X=user:secret@host",
        "x=X=:443",
    ],
)
def test_what_is_no_location(text: str) -> None:
    with pytest.raises(TowropeError, match="expected 'NAME=DISPLAY NAME"):
        parse_location(text)
