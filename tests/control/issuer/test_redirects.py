import pytest

from towrope.control.issuer.redirects import LIMIT, is_loopback


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://localhost",
        "http://localhost/",
        "http://localhost:8400",
        "http://localhost:65535/callback/a_b-c.~d",
        "http://127.0.0.1:1",
        "http://[::1]:40123/",
    ],
)
def test_programs_on_the_users_machine(redirect_uri: str) -> None:
    assert is_loopback(redirect_uri)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        "localhost",
        "https://localhost",
        "HTTP://localhost",
        "ftp://localhost",
        "javascript:alert(1)",
        "urn:ietf:wg:oauth:2.0:oob",
        "http://",
        "http:localhost",
        "http:/localhost",
        "http:///localhost",
        "http://LOCALHOST",
        "http://localhost.",
        "http://localhost.evil.com",
        "http://evil.com/localhost",
        "http://evil.com#http://localhost",
        "http://localhost@evil.com",
        "http://localhost:80@evil.com",
        "http://localhost:8400@evil.com/",
        "http://user@localhost",
        "http://localhost\\@evil.com",
        "http://localhost\\.evil.com",
        "http://localhost/\\evil.com",
        "http://localhost%2eevil.com",
        "http://localhost%00.evil.com",
        "http://localhost/%2e%2e",
        "http://localhost/#fragment",
        "http://localhost/?next=http://evil.com",
        "http://localhost?x=1",
        "http://localhost;evil.com",
        "http://localhost,evil.com",
        "http://localhost evil.com",
        "http://localhost\n.evil.com",
        "http://localhost\n",
        " http://localhost",
        "http://localhost\t/",
        "http://localhost:",
        "http://localhost:0",
        "http://localhost:080",
        "http://localhost:65536",
        "http://localhost:+80",
        "http://localhost:\uff18\uff10",
        "http://\uff4cocalhost",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.2",
        "http://127.1",
        "http://0x7f000001",
        "http://2130706433",
        "http://0.0.0.0",
        "http://[::1",
        "http://[::ffff:127.0.0.1]",
        "http://[::1%25lo]",
        "http://::1",
        "http://localhost/" + "a" * LIMIT,
    ],
)
def test_everything_else_is_refused(redirect_uri: str) -> None:
    assert not is_loopback(redirect_uri)
