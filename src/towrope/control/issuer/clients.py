"""The programs that people sign in with: two that are always there, and every application of the
directory. None of them has a redirect address but on the user's own machine."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from towrope.control.store import service_principals

AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
TOWROPE_CLI = "7f1e5b1a-6d1f-4e0b-9a3e-0c7d5a2f9b10"
ID_LIMIT = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    client_id: str
    display_name: str


BUILT_IN = {
    AZURE_CLI: Client(client_id=AZURE_CLI, display_name="Azure CLI"),
    TOWROPE_CLI: Client(client_id=TOWROPE_CLI, display_name="Towrope CLI"),
}


async def find(connection: AsyncConnection, client_id: str) -> Client | None:
    """The client with this id; an application that is disabled is none."""
    if len(client_id) > ID_LIMIT:
        return None
    if built_in := BUILT_IN.get(client_id.lower()):
        return built_in
    principal = await service_principals.find(connection, client_id)
    if principal is None or not principal.account_enabled:
        return None
    return Client(client_id=principal.app_id, display_name=principal.display_name)
