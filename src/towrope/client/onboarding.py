"""Connecting a cluster: it is registered, the agent is installed, and then it connects by itself.

A one-time key pair proves to the server that the agent is the one that was installed here: the
public half goes to the server, the private half into the cluster, and neither is kept.
"""

import base64
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import httpx2
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from lightkube.core.client import Client
from lightkube.resources.core_v1 import Namespace

from towrope.client.agent_rights import Impersonation
from towrope.client.api import Api
from towrope.client.disconnection import remove_from_cluster
from towrope.client.kubernetes import FIELD_MANAGER, absent_as_none
from towrope.client.manifests import IMAGE, Installation, deployment, in_cluster
from towrope.client.preflight import Facts
from towrope.client.rest import Conflict, Json
from towrope.wire import names
from towrope.wire.errors import Hop, NotFound, TowropeError

KEY_BITS = 4096
KEY_ID_LENGTH = 16

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The connected cluster to be."""

    resource_group: str
    name: str
    location: str | None = None
    """None: the resource group's."""
    tags: Mapping[str, str]
    distribution: str | None = None
    """None: what the checks found."""
    infrastructure: str | None = None
    image: str | None = None
    deploys_agent: bool = True
    """False: everything but the Deployment, for an agent that runs beside the cluster."""
    impersonation: Impersonation = Impersonation.LEGACY
    """How the agent is to act for its callers: what the checks found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingKey:
    """The one-time key pair."""

    private: str
    public: str
    """Base64 of the DER (PKCS #1), as `agentPublicKeyCertificate` has it."""

    def __repr__(self) -> str:
        return f"OnboardingKey(public={self.public[:KEY_ID_LENGTH]}…)"


def new_onboarding_key() -> OnboardingKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return OnboardingKey(private=private.decode(), public=base64.b64encode(public).decode())


def check_server_side(
    api: Api, wanted: Wanted, facts: Facts, *, take_over: Callable[[str], bool]
) -> Json:
    """The resource group, if the name is free in it, this cluster's own, or to be taken over."""
    try:
        group = api.get_resource_group(wanted.resource_group)
    except NotFound:
        raise NotFound(
            f"There is no resource group '{wanted.resource_group}'. Make it with 'towrope group"
            f" create -n {wanted.resource_group}'.",
            hop=Hop.SERVER,
        ) from None
    if facts.connected_as is None and _exists(api, wanted) and not take_over(wanted.name):
        raise Conflict(
            f"The connected cluster '{wanted.name}' is there already in '{wanted.resource_group}',"
            " and belongs to another cluster, or to this one before it was made anew. Choose"
            " another name, delete that one, or take it over with --yes.",
            hop=Hop.SERVER,
        )
    return group


def _exists(api: Api, wanted: Wanted) -> bool:
    try:
        api.get_cluster(wanted.resource_group, wanted.name)
    except NotFound:
        return False
    return True


def onboard(
    api: Api,
    client: Client,
    wanted: Wanted,
    *,
    body: Json,
    authority: bytes | None,
    key: OnboardingKey,
    tell: Tell,
) -> Json:
    """Registers and installs. What it made is removed again if it fails or is interrupted."""
    with ExitStack() as undo:
        is_new = not _exists(api, wanted)
        tell(f"Registering {wanted.name} in the resource group {wanted.resource_group}")
        resource = api.put_cluster(wanted.resource_group, wanted.name, body)
        if is_new:
            delete = partial(api.delete_cluster, wanted.resource_group, wanted.name, wait=False)
            undo.callback(_attempt, delete, f"the server's resource {wanted.name}", tell)
        if is_new and not _has_namespace(client):
            remove = partial(remove_from_cluster, client, wait=False)
            undo.callback(_attempt, remove, f"the namespace {names.NAMESPACE}", tell)
        tell("Installing the agent in the namespace towrope")
        _install(client, wanted, _installation(api, resource, wanted, authority, key))
        undo.pop_all()
    return resource


def _attempt(remove: Callable[[], None], what: str, tell: Tell) -> None:
    """Removes, and says what is left if that fails too: the first failure is the one to raise."""
    try:
        remove()
    except (TowropeError, httpx2.HTTPError):
        tell(f"Leaving {what} behind: it could not be removed")


def _has_namespace(client: Client) -> bool:
    return absent_as_none(lambda: client.get(Namespace, names.NAMESPACE)) is not None


def _installation(
    api: Api, resource: Json, wanted: Wanted, authority: bytes | None, key: OnboardingKey
) -> Installation:
    return Installation(
        resource_id=str(resource["id"]),
        server=api.account.public_url,
        server_ca=authority,
        onboarding_key=key.private,
        onboarding_id=key.public[-KEY_ID_LENGTH:],
        impersonation=wanted.impersonation,
        image=wanted.image or IMAGE,
    )


def _install(client: Client, wanted: Wanted, installation: Installation) -> None:
    objects = in_cluster(installation)
    if wanted.deploys_agent:
        objects.append(deployment(installation))
    for each in objects:
        client.apply(each, field_manager=FIELD_MANAGER, force=True)


def resource_body(wanted: Wanted, facts: Facts, *, group: Json, key: OnboardingKey) -> Json:
    """What is PUT; see ARM's Microsoft.Kubernetes/connectedClusters."""
    return {
        "location": wanted.location or group["location"],
        "tags": dict(wanted.tags),
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "agentPublicKeyCertificate": key.public,
            "distribution": wanted.distribution or facts.distribution,
            "infrastructure": wanted.infrastructure or facts.infrastructure,
        },
    }
