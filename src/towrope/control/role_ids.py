"""Resource ids of role definitions."""

import re
from http import HTTPStatus

from towrope.control.arm_error import ArmError
from towrope.control.graph.names import as_guid
from towrope.control.roles.scope import ROOT, Scope
from towrope.control.settings import Settings
from towrope.wire.errors import foreign

COLLECTION = "/providers/Microsoft.Authorization/roleDefinitions"
_ID = re.compile(
    f"(?:/subscriptions/(?P<subscription>[^/]+)(?:/.*)?)?{COLLECTION}/(?P<id>[^/]+)", re.IGNORECASE
)


def role_resource_id(role_id: str, asked: Scope, settings: Settings) -> str:
    """As it is shown to who asks at a scope: clients compare it with what they get there."""
    at = "" if asked == ROOT else f"/subscriptions/{settings.subscription}"
    return f"{at}{COLLECTION}/{role_id}"


def parse_role_id(given: str, settings: Settings) -> str:
    """The role's GUID. Raises `ArmError` (400)."""
    match = _ID.fullmatch(given)
    found = as_guid(match["id"]) if match else None
    ours = settings.subscription.lower()
    if found is None or match is None or (match["subscription"] or ours).lower() != ours:
        raise ArmError(
            HTTPStatus.BAD_REQUEST,
            "InvalidRoleDefinitionId",
            f"The role definition ID '{foreign(given)}' is not valid: expected"
            f" '/subscriptions/{settings.subscription}{COLLECTION}/GUID'.",
        )
    return found
