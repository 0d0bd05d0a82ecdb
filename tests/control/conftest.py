"""A control plane in this process, on a database of its own, and clients of it."""

import base64
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.jwk import RSAKey

from towrope.control import administrator
from towrope.control.administrator import Credential
from towrope.control.app import ControlPlane
from towrope.control.settings import Settings, parse_public_url
from towrope.ops.files import write_private

TENANT = "11111111-2222-3333-4444-555555555555"
SUBSCRIPTION = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
URL = "https://towrope.example.org:8443"
API_VERSION = "2025-08-01-preview"
NOW = 1_800_000_000.0

GROUPS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
GROUP = f"{GROUPS}/shops"
CLUSTERS = f"{GROUP}/providers/Microsoft.Kubernetes/connectedClusters"
HYBRID_CONNECTIONS = f"{GROUP}/providers/Microsoft.Relay/namespaces/printers/hybridConnections"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingKey:
    """As `connect` makes it: what is registered, and what is put into the cluster."""

    public: str
    private: bytes


def new_onboarding_key(bits: int = 2048) -> OnboardingKey:
    key = rsa.generate_private_key(65537, bits)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return OnboardingKey(
        public=base64.b64encode(der).decode(),
        private=key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    )


@dataclass(kw_only=True)
class Plane:
    """A control plane; `api` calls it as the administrator, `anonymous` as nobody."""

    control: ControlPlane
    settings: Settings
    api: httpx2.AsyncClient
    anonymous: httpx2.AsyncClient
    administrator: Credential
    now: float = NOW
    removed: list[str] = field(default_factory=list)
    notified: list[tuple[str | None, str]] = field(default_factory=list)
    """The hints that agents were given."""

    async def make_group(self, name: str = "shops", location: str = "local") -> None:
        answer = await self.api.put(f"{GROUPS}/{name}", json={"location": location})
        answer.raise_for_status()

    async def make_cluster(self, key: OnboardingKey, name: str = "shop-17") -> dict[str, Any]:
        body = {
            "location": "local",
            "identity": {"type": "SystemAssigned"},
            "properties": {"agentPublicKeyCertificate": key.public, "distribution": "k3s"},
        }
        answer = await self.api.put(f"{CLUSTERS}/{name}", json=body)
        made: dict[str, Any] = answer.raise_for_status().json()
        return made

    async def make_hybrid_connection(self, name: str = "label-printer") -> dict[str, Any]:
        answer = await self.api.put(f"{HYBRID_CONNECTIONS}/{name}", json={"properties": {}})
        made: dict[str, Any] = answer.raise_for_status().json()
        return made

    async def pages(self, path: str) -> list[list[dict[str, Any]]]:
        """Every page of a list, by its links. A link is followed as it is."""
        headers = {"authorization": self.api.headers["authorization"]}
        link, pages = f"{URL}{path}?api-version={API_VERSION}", list[list[dict[str, Any]]]()
        while link and len(pages) < 10:
            answer = await self.anonymous.get(link, headers=headers)
            shown = answer.raise_for_status().json()
            pages.append(shown["value"])
            link = shown.get("nextLink", "")
        return pages

    async def connectivity(self, name: str = "shop-17") -> str:
        shown = (await self.api.get(f"{CLUSTERS}/{name}")).raise_for_status().json()
        status: str = shown["properties"]["connectivityStatus"]
        return status


@pytest.fixture(scope="session")
def onboarding_key() -> OnboardingKey:
    return new_onboarding_key()


@pytest.fixture(scope="session")
def signing_key() -> RSAKey:
    return RSAKey.generate_key(2048)


@pytest.fixture(scope="session")
def another_key() -> OnboardingKey:
    return new_onboarding_key()


@pytest.fixture
def signing_keys(tmp_path: Path, signing_key: RSAKey) -> Path:
    """The folder of a server's signing keys, with one key in it."""
    folder = tmp_path / "signing-keys"
    path = folder / "first.pem"
    write_private(path, signing_key.as_pem(private=True))
    os.utime(path, (NOW, NOW))
    return folder


@pytest.fixture
def settings(signing_keys: Path, database_url: str) -> Settings:
    return Settings(
        url=parse_public_url(URL),
        tenant=TENANT,
        subscription=SUBSCRIPTION,
        master=b"m" * 32,
        signing_keys=signing_keys,
        database_url=database_url,
        ca_certificate=b"-----BEGIN CERTIFICATE-----\n",
        page_size=3,
    )


@pytest.fixture
async def plane(settings: Settings) -> AsyncIterator[Plane]:
    removed: list[str] = []
    notified: list[tuple[str | None, str]] = []
    made: list[Plane] = []
    control = ControlPlane(
        settings,
        removed=removed.append,
        notify=lambda path, kind: notified.append((path, kind)),
        clock=lambda: made[0].now if made else NOW,
    )
    await control.start()
    try:
        delivered: list[Credential] = []
        await administrator.ensure(control.services.database, deliver=delivered.append)
        [credential] = delivered
        transport = httpx2.ASGITransport(app=control.asgi)
        async with (
            httpx2.AsyncClient(
                transport=transport, base_url=URL, params={"api-version": API_VERSION}
            ) as api,
            httpx2.AsyncClient(transport=transport, base_url=URL) as anonymous,
        ):
            plane = Plane(
                control=control,
                settings=settings,
                api=api,
                anonymous=anonymous,
                administrator=credential,
                removed=removed,
                notified=notified,
            )
            made.append(plane)
            api.headers["authorization"] = f"Bearer {await sign_in(plane)}"
            yield plane
    finally:
        await control.stop()


async def sign_in(plane: Plane) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": plane.administrator.app_id,
        "client_secret": plane.administrator.secret,
        "scope": f"{URL}/.default",
    }
    answer = await plane.anonymous.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    """The status and ARM's code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
