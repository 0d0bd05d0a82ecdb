"""Whose tokens are good at a cluster, as its agent is told: the server's own for that cluster, and
those of trusted issuers."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control import issuers
from towrope.control.issuer.signing_keys import ALGORITHM
from towrope.control.issuer_settings import OWN_NAME
from towrope.control.issuers import Issuer
from towrope.control.services import Services
from towrope.control.store import directory
from towrope.wire.agent_api import IssuerKind, Trust, TrustedIssuer


async def trust_at(connection: AsyncConnection, services: Services, resource_id: str) -> Trust:
    """For the agent of the cluster with this resource id. An issuer without keys is left out."""
    found = await issuers.every(connection)
    others = (_other(issuer) for issuer in found if issuer.metadata.keys)
    return Trust(
        issuers=(_own(services, resource_id), *others),
        directory_changed_at=await directory.changed_at(connection),
    )


def _own(services: Services, resource_id: str) -> TrustedIssuer:
    return TrustedIssuer(
        name=OWN_NAME,
        kind=IssuerKind.TOWROPE,
        issuers=(services.tokens.issuer,),
        audiences=(resource_id,),
        algorithms=(ALGORITHM,),
        keys=services.tokens.public_keys(),
        tenant=services.settings.tenant,
    )


def _other(issuer: Issuer) -> TrustedIssuer:
    settings = issuer.settings
    keys: dict[str, Any] = {"keys": list(issuer.metadata.keys)}
    return TrustedIssuer(
        name=issuer.name,
        kind=settings.kind,
        issuers=settings.issuers,
        audiences=settings.audiences,
        algorithms=settings.algorithms,
        keys=keys,
        username_claims=settings.username_claims,
        groups_claim=settings.groups_claim,
        username_prefix=settings.username_prefix,
        groups_prefix=settings.groups_prefix,
        tenant=settings.tenant_id,
    )
