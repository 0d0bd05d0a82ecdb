"""Where a code may be sent: to a program on the user's own machine, and nowhere else.

RFC 8252 §7.3, and narrower. What is compared is the text itself, not what some parser makes of it:
no user information, escape, backslash, query or fragment can stand in it, so that every reader
finds the same host.
"""

import re

LIMIT = 2048
_LOOPBACK = re.compile(
    r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?:/[A-Za-z0-9._~/-]*)?"
)


def is_loopback(redirect_uri: str) -> bool:
    """Whether a redirect URI is `http://localhost[:PORT][/PATH]`, or an address for it."""
    match = _LOOPBACK.fullmatch(redirect_uri[: LIMIT + 1])
    if match is None or len(redirect_uri) > LIMIT:
        return False
    return match["port"] is None or int(match["port"]) <= 65535
