"""What a sign-in asks for, and what it gives."""

import secrets
from dataclasses import dataclass

import msgspec


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The token endpoint's answer (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3)."""

    access_token: str
    expires_in: int = 3600
    refresh_token: str = ""
    id_token: str = ""

    def __repr__(self) -> str:
        return f"TokenAnswer(expires_in={self.expires_in})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person is to sign in for."""

    client_id: str
    scopes: tuple[str, ...]
    login_hint: str = ""
    """Who it should be, where that is known."""
    redirect_host: str = "127.0.0.1"
    """How the browser names this machine; Entra takes any port of `localhost` alone."""
    asks_consent: bool = False
    """OpenID Connect Core §11: some providers give a refresh token only with consent."""

    @property
    def scope(self) -> str:
        return " ".join(self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person's sign-in; its identity token is not verified yet."""

    answer: TokenAnswer
    nonce: str | None
    """What the identity token must repeat; None where the grant sends none (RFC 8628)."""


def unguessable() -> str:
    """43 characters: a PKCE verifier (RFC 7636 §4.1), a state or a nonce."""
    return secrets.token_urlsafe(32)
