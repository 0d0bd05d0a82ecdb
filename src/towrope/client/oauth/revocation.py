"""Telling the provider that a sign-in is over (RFC 7009), so that its refresh token is worth
nothing to whoever may have a copy."""

from towrope.client.oauth.provider import Provider


def revoke(provider: Provider, client_id: str, token: str) -> bool:
    """Whether the provider ended it; one without the endpoint cannot be told."""
    if not provider.revocation_endpoint:
        return False
    form = {"client_id": client_id, "token": token, "token_type_hint": "refresh_token"}
    provider.post(provider.revocation_endpoint, form, repeatable=True)
    return True
