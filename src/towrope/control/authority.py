"""Who may do what at the resource API: one function, asked before every handler.

Until role assignments decide it, administrators may do everything, and every other principal may
read and may reach clusters; what it may do in a cluster is the cluster's to decide.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from towrope.control.arm_error import ArmError
from towrope.control.operation import operation_of
from towrope.control.principal import Principal

Handler = Callable[[Request], Awaitable[Response]]

OWN_ACCOUNT = "Towrope.Directory/me/"
"""How the actions begin that concern the caller's own account alone, whoever that is."""
LIST_CREDENTIAL = "Microsoft.Kubernetes/connectedClusters/listClusterUserCredential/action"


def may(principal: Principal, action: str) -> bool:
    """Whether the principal may do `action`, in the words of ARM's operations."""
    if principal.is_administrator:
        return True
    wanted = action.lower()
    if wanted.startswith(OWN_ACCOUNT.lower()):
        return True
    return wanted == LIST_CREDENTIAL.lower() or wanted.endswith("/read")


def allowed(action: str, handler: Handler) -> Handler:
    """`handler`, for those who may do `action`; `action_of` tells which that is."""

    async def checked(request: Request) -> Response:
        principal: Principal = request.scope["towrope.principal"]
        if not may(principal, action):
            raise _forbidden(principal, action, request.scope["path"])
        return await handler(request)

    checked.action = action  # type: ignore[attr-defined] # read by `action_of` alone
    checked.operation = operation_of(handler)  # type: ignore[attr-defined] # the same there
    return checked


def action_of(handler: Handler) -> str | None:
    """The action that a handler is guarded by."""
    return getattr(handler, "action", None)


def _forbidden(principal: Principal, action: str, path: str) -> ArmError:
    return ArmError(
        HTTPStatus.FORBIDDEN,
        "AuthorizationFailed",
        f"The client '{principal.name}' with object id '{principal.object_id}' does not have"
        f" authorization to perform action '{action}' over scope '{path}' or the scope is invalid."
        " If access was recently granted, please refresh your credentials.",
    )
