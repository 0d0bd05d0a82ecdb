"""A person and a program that sign in at a control plane in this process."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.control.conftest import NOW, TENANT, URL, Plane
from towrope.control.issuer import authorization
from towrope.control.issuer.clients import TOWROPE_CLI
from towrope.control.store import groups, users
from towrope.control.store.groups import Group, Member, MemberKind
from towrope.control.store.users import User

ADA = "0b1f6471-1bf0-4dda-aec3-cb9272f09590"
ADA_NAME = "ada@example.org"
VERIFIER = "v" * 43
REDIRECT = "http://localhost:40123"
SCOPE = f"{URL}/.default openid profile offline_access"
TOKEN_PATH = f"/{TENANT}/oauth2/v2.0/token"


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


REQUEST = {
    "client_id": TOWROPE_CLI,
    "response_type": "code",
    "redirect_uri": REDIRECT,
    "scope": SCOPE,
    "state": "the state",
    "nonce": "the nonce",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where sign-ins are asked for; `ada` is a user of the plane."""

    plane: Plane

    async def code(self, at: float | None = None, /, **change: str) -> str:
        """What a browser takes back once Ada has signed in."""
        services = self.plane.control.services
        request = await authorization.parse(services, list((REQUEST | change).items()))
        answer = await authorization.grant(
            services,
            request,
            object_id=ADA,
            authenticated_at=int(self.plane.now if at is None else at),
        )
        return answer.parameters["code"]

    async def post(self, path: str = TOKEN_PATH, /, **form: str | None) -> httpx2.Response:
        given = {name: value for name, value in form.items() if value is not None}
        return await self.plane.anonymous.post(path, data=given)

    async def redeem(self, code: str, /, **change: str | None) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "client_id": TOWROPE_CLI,
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        return await self.post(**(form | change))

    async def refresh(self, token: str, /, **change: str | None) -> httpx2.Response:
        form = {
            "grant_type": "refresh_token",
            "client_id": TOWROPE_CLI,
            "refresh_token": token,
        }
        return await self.post(**(form | change))

    async def signed_in(self, **change: str) -> dict[str, Any]:
        """The tokens of a sign-in."""
        answer = await self.redeem(await self.code(**change))
        tokens: dict[str, Any] = answer.raise_for_status().json()
        return tokens

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says, verified by the published keys."""
        published: Any = self.plane.control.services.tokens.public_keys()
        keys = KeySet.import_key_set(published)
        return jwt.decode(token, keys, algorithms=["RS256"]).claims

    async def add_groups(self, *object_ids: str, member: str = ADA) -> None:
        kind = MemberKind.USER if member == ADA else MemberKind.GROUP
        async with self.plane.control.services.database.writing() as connection:
            for each in object_ids:
                group = Group(
                    object_id=each, display_name=each, mail_nickname="g", created=int(NOW)
                )
                await groups.add(connection, group)
                await groups.add_member(connection, each, Member(object_id=member, kind=kind))

    async def change_ada(self, **values: Any) -> None:
        async with self.plane.control.services.database.writing() as connection:
            await users.change(connection, ADA, **values)


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    ada = User(object_id=ADA, user_principal_name=ADA_NAME, display_name="Ada", created=int(NOW))
    async with plane.control.services.database.writing() as connection:
        await users.add(connection, ada)
    return Desk(plane=plane)


def refusal(answer: httpx2.Response) -> tuple[str, int]:
    """The error of a refusal, in the RFC's word and in Entra's number."""
    body = answer.json()
    [code] = body["error_codes"]
    assert answer.headers["cache-control"] == "no-store"
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    return body["error"], code


def parameters_of(location: str) -> dict[str, str]:
    parts = urlsplit(location)
    return dict(parse_qsl(parts.query or parts.fragment, keep_blank_values=True))
