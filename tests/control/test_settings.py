import pytest

from towrope.control.settings import parse_public_url
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
