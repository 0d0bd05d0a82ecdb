"""The two faces of an application: the application object, and its service principal.

They are one row: each has an object id of its own, both have the application id, the credentials
and the name in common, and to delete one deletes both.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from towrope.control.graph import objects
from towrope.control.graph.errors import not_found
from towrope.control.graph.names import object_id
from towrope.control.graph.objects import Kind
from towrope.control.graph.references import credentials_by_app_id
from towrope.control.services import Services
from towrope.control.store import service_principals as store
from towrope.control.store.service_principals import ServicePrincipal


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    kind: Kind
    collection: str
    """In paths, and in `@odata.context`."""
    filters: dict[str, str]
    find_by_id: Callable[[AsyncConnection, str], Awaitable[ServicePrincipal | None]]

    @property
    def provider(self) -> str:
        return f"Towrope.Directory/{self.collection}"

    @property
    def paths(self) -> tuple[str, ...]:
        return (f"/{self.collection}/{{id}}", f"/{self.collection}(appId='{{app_id}}')")

    async def find(self, connection: AsyncConnection, request: Request) -> ServicePrincipal:
        """The one that the path names. Raises `ArmError` (404)."""
        app_id = request.path_params.get("app_id")
        if app_id is not None:
            found = await store.find(connection, object_id(app_id))
        else:
            found = await self.find_by_id(connection, object_id(request.path_params["id"]))
        if found is None:
            raise not_found(app_id or request.path_params["id"])
        return found

    async def shapes(
        self,
        connection: AsyncConnection,
        principals: Sequence[ServicePrincipal],
        services: Services,
    ) -> list[objects.ServicePrincipalShape | objects.ApplicationShape]:
        made = partial(objects.of_service_principal, tenant=services.settings.tenant)
        of = made if self.kind is Kind.SERVICE_PRINCIPAL else objects.of_application
        kept = await credentials_by_app_id(connection, [each.app_id for each in principals])
        return [of(each, kept.get(each.app_id, ())) for each in principals]


_COMMON = {"appid": "app_id", "displayname": "display_name"}
PRINCIPALS = Face(
    kind=Kind.SERVICE_PRINCIPAL,
    collection="servicePrincipals",
    filters={
        **_COMMON,
        "id": "object_id",
        "serviceprincipalnames/any": "app_id",
        "accountenabled": "account_enabled",
    },
    find_by_id=store.find_by_object_id,
)
APPLICATIONS = Face(
    kind=Kind.APPLICATION,
    collection="applications",
    filters={**_COMMON, "id": "application_object_id"},
    find_by_id=store.find_by_application,
)
