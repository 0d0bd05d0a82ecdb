"""Going on with a sign-in (RFC 6749 §6).

The provider may give another refresh token each time and take a second use of the old one for
theft: callers see to it that one process refreshes, and keep what it got before anything else.
"""

from towrope.client.oauth.grant import TokenAnswer
from towrope.client.oauth.provider import Provider


def refresh(provider: Provider, client_id: str, token: str, scope: str) -> TokenAnswer:
    """Never repeated: whether a lost answer's token was used cannot be told."""
    form = {
        "grant_type": "refresh_token",
        "client_id": client_id,
        "refresh_token": token,
        "scope": scope,
    }
    return provider.redeem(form)
