"""Who may do what at the resource API: one function, asked before every handler.

Role assignments decide, each at its scope and below. Administrators need none; and some reading is
everybody's who is signed in, as with Azure. A request is judged by its path alone, before anything
is looked up: so who may not read a resource does not learn whether there is one.
"""

from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from towrope.control.arm_error import ArmError
from towrope.control.operation import operation_of
from towrope.control.principal import Principal
from towrope.control.roles.decision import allowed_by, grants
from towrope.control.roles.scope import ROOT, Scope, Scopes

Handler = Callable[[Request], Awaitable[Response]]

OWN_ACCOUNT = "Towrope.Directory/me/"
"""How the actions begin that concern the caller's own account alone, whoever that is."""
LIST_CREDENTIAL = "Microsoft.Kubernetes/connectedClusters/listClusterUserCredential/action"
READ_TENANTS = "Microsoft.Resources/tenants/read"
READ_SUBSCRIPTION = "Microsoft.Resources/subscriptions/read"

_DIRECTORY = "Towrope.Directory/"


def may(principal: Principal, action: str, scope: Scope) -> bool:
    """Whether the principal may do `action`, in the words of ARM's operations, at `scope`."""
    is_allowed = allowed_by(principal.held, action=action, scope=scope) is not None
    return is_allowed or _needs_no_role(principal, action.lower(), scope)


def _needs_no_role(principal: Principal, action: str, scope: Scope) -> bool:
    if principal.is_administrator:
        return True
    if action == READ_TENANTS.lower() or action.startswith(OWN_ACCOUNT.lower()):
        return True
    if action == READ_SUBSCRIPTION.lower():
        return any(h.scope.covers(scope) or scope.covers(h.scope) for h in principal.held)
    # As Entra's members may by default; a guest may not.
    is_directory_read = action.startswith(_DIRECTORY.lower()) and action.endswith("/read")
    return is_directory_read and not principal.issuer


def allowed(action: str, handler: Handler) -> Handler:
    """`handler`, for those who may do `action` at the request's path; `action_of` tells which
    action that is."""

    async def checked(request: Request) -> Response:
        if not may(caller(request), action, Scope(path=request.scope["path"])):
            raise forbidden(request, action, request.scope["path"])
        return await handler(request)

    return _declaring(action, checked, handler)


def listed(action: str, handler: Handler) -> Handler:
    """`handler` of a list, for everybody: it shows what `visible` says for the same action."""

    async def unchecked(request: Request) -> Response:
        return await handler(request)

    return _declaring(action, unchecked, handler)


def visible(request: Request, action: str) -> Callable[[str], bool]:
    """Tells of a resource, by its id, whether the caller may do `action` there."""
    principal = caller(request)
    # As `may`, with what is the same for all resources done once.
    granted = Scopes(each.scope for each in principal.held if grants(each, action))

    def is_visible(resource_id: str) -> bool:
        scope = Scope(path=resource_id)
        return granted.cover(scope) or _needs_no_role(principal, action.lower(), scope)

    return is_visible


def where_visible(request: Request, action: str) -> Collection[Scope]:
    """The scopes outside which `visible` says yes of nothing."""
    principal = caller(request)
    if _needs_no_role(principal, action.lower(), ROOT):
        return {ROOT}
    return {each.scope for each in principal.held if grants(each, action)}


def caller(request: Request) -> Principal:
    """Who sent a request to a guarded route."""
    principal: Principal = request.scope["towrope.principal"]
    return principal


def action_of(handler: Handler) -> str | None:
    """The action that a handler is guarded by."""
    return getattr(handler, "action", None)


def _declaring(action: str, guarded: Handler, handler: Handler) -> Handler:
    guarded.action = action  # type: ignore[attr-defined] # read by `action_of` alone
    guarded.operation = operation_of(handler)  # type: ignore[attr-defined] # by `operation_of`
    return guarded


def forbidden(request: Request, action: str, scope: str) -> ArmError:
    """The refusal of an action, in Azure's words."""
    principal = caller(request)
    return ArmError(
        HTTPStatus.FORBIDDEN,
        "AuthorizationFailed",
        f"The client '{principal.name}' with object id '{principal.object_id}' does not have"
        f" authorization to perform action '{action}' over scope '{scope}' or the scope is invalid."
        " If access was recently granted, please refresh your credentials.",
    )
