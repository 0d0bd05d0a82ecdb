"""Resource providers: which types of resources there are, where, and in which api-versions.

All of them are part of the server, so they are registered from the start and stay so.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.arm_error import ArmError
from towrope.control.authority import LIST_CREDENTIAL, allowed, listed
from towrope.control.json_body import answer
from towrope.control.operation import Page, operation
from towrope.control.paging import whole
from towrope.control.routing import SUBSCRIPTION, arm_route
from towrope.control.settings import Settings
from towrope.control.subscriptions import for_readers
from towrope.wire import names
from towrope.wire.errors import foreign

KUBERNETES = names.CLUSTER_TYPE.split("/")[0]
_KUBERNETES_VERSIONS = ("2026-05-01", "2025-08-01-preview", "2024-01-01", "2021-10-01")
_RESOURCES_VERSIONS = ("2024-11-01", "2022-12-01", "2022-09-01", "2021-04-01")
_AUTHORIZATION_VERSIONS = ("2022-04-01", "2022-05-01-preview", "2018-07-01", "2015-07-01")
_RELAY_VERSIONS = ("2024-01-01", "2021-11-01", "2017-04-01")

_REGIONAL: Mapping[str, Mapping[str, Sequence[str]]] = {
    KUBERNETES: {"connectedClusters": _KUBERNETES_VERSIONS},
    "Microsoft.ExtendedLocation": {"customLocations": ("2021-08-15",)},
    "Microsoft.KubernetesConfiguration": {},
    "Microsoft.Relay": {
        "namespaces/hybridconnections": _RELAY_VERSIONS,
        "namespaces/hybridconnections/authorizationRules": _RELAY_VERSIONS,
    },
    "Microsoft.Resources": {
        "resourceGroups": _RESOURCES_VERSIONS,
        "subscriptions/resourceGroups": _RESOURCES_VERSIONS,
    },
}
_GLOBAL: Mapping[str, Mapping[str, Sequence[str]]] = {
    KUBERNETES: {"operations": _KUBERNETES_VERSIONS},
    "Microsoft.Resources": {
        "locations": _RESOURCES_VERSIONS,
        "providers": _RESOURCES_VERSIONS,
        "resources": _RESOURCES_VERSIONS,
        "subscriptions": _RESOURCES_VERSIONS,
        "subscriptions/locations": _RESOURCES_VERSIONS,
        "subscriptions/providers": _RESOURCES_VERSIONS,
        "subscriptions/resources": _RESOURCES_VERSIONS,
        "tenants": _RESOURCES_VERSIONS,
    },
    "Microsoft.Authorization": {
        "checkAccess": ("2018-09-01-preview",),
        "permissions": _AUTHORIZATION_VERSIONS,
        "roleAssignments": _AUTHORIZATION_VERSIONS,
        "roleDefinitions": _AUTHORIZATION_VERSIONS,
    },
}


NAMESPACES = sorted({*_REGIONAL, *_GLOBAL})


class _ResourceType(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource_type: str
    locations: Sequence[str]
    api_versions: Sequence[str]
    default_api_version: str
    capabilities: str


class _Provider(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    namespace: str
    resource_types: Sequence[_ResourceType]
    registration_policy: str = "RegistrationFree"
    registration_state: str = "Registered"


class _Display(msgspec.Struct, frozen=True, kw_only=True):
    provider: str
    resource: str
    operation: str
    description: str


class _Operation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    display: _Display
    is_data_action: bool = False
    origin: str = "user,system"


def _operation(name: str, resource: str, does: str) -> _Operation:
    display = _Display(provider=KUBERNETES, resource=resource, operation=does, description=does)
    return _Operation(name=name, display=display)


_OPERATIONS = [
    _operation(f"{names.CLUSTER_TYPE}/read", "Connected Cluster", "Reads connected clusters"),
    _operation(f"{names.CLUSTER_TYPE}/write", "Connected Cluster", "Writes a connected cluster"),
    _operation(f"{names.CLUSTER_TYPE}/delete", "Connected Cluster", "Deletes a connected cluster"),
    _operation(LIST_CREDENTIAL, "Connected Cluster", "Lists what a user needs to reach a cluster"),
    _operation(f"{KUBERNETES}/register/action", KUBERNETES, "Registers the resource provider"),
    _operation(f"{KUBERNETES}/unregister/action", KUBERNETES, "Unregisters the resource provider"),
    _operation(f"{KUBERNETES}/operations/read", KUBERNETES, "Lists the operations"),
]


class Providers:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[Route]:
        read = "Microsoft.Resources/subscriptions/providers/read"
        return [
            arm_route(
                self._settings,
                SUBSCRIPTION + "/providers",
                get=for_readers(self._settings, read, self._list),
            ),
            *[route for namespace in NAMESPACES for route in self._registration(namespace)],
            arm_route(
                self._settings,
                SUBSCRIPTION + "/providers/{namespace}",
                get=for_readers(self._settings, read, self._show),
            ),
            arm_route(
                self._settings,
                "/providers",
                get=listed("Microsoft.Resources/providers/read", self._list),
            ),
            arm_route(
                self._settings,
                "/providers/{namespace}",
                get=listed("Microsoft.Resources/providers/read", self._show),
            ),
            arm_route(
                self._settings,
                f"/providers/{KUBERNETES}/operations",
                get=listed(f"{KUBERNETES}/operations/read", self._list_operations),
            ),
        ]

    def _registration(self, namespace: str) -> list[Route]:
        path = f"{SUBSCRIPTION}/providers/{namespace}"
        return [
            arm_route(
                self._settings,
                f"{path}/register",
                post=allowed(f"{namespace}/register/action", self._register(namespace)),
            ),
            arm_route(
                self._settings,
                f"{path}/unregister",
                post=allowed(f"{namespace}/unregister/action", self._unregister),
            ),
        ]

    @operation(None, {HTTPStatus.OK: Page[_Provider]})
    async def _list(self, _: Request) -> Response:
        return whole([self._shape(namespace) for namespace in NAMESPACES])

    @operation(None, {HTTPStatus.OK: _Provider})
    async def _show(self, request: Request) -> Response:
        given = request.path_params["namespace"]
        for namespace in NAMESPACES:
            if namespace.lower() == given.lower():
                return answer(self._shape(namespace))
        raise ArmError(
            HTTPStatus.NOT_FOUND,
            "InvalidResourceNamespace",
            f"The resource namespace '{foreign(given)}' is invalid. This server has"
            f" {', '.join(NAMESPACES)}.",
        )

    def _register(self, namespace: str) -> Callable[[Request], Awaitable[Response]]:
        @operation(None, {HTTPStatus.OK: _Provider})
        async def register(_: Request) -> Response:
            return answer(self._shape(namespace))

        return register

    @operation(None, {})
    async def _unregister(self, _: Request) -> Response:
        raise ArmError(
            HTTPStatus.CONFLICT,
            "CannotUnregisterResourceNamespace",
            "The resource providers are part of this server and stay registered.",
        )

    @operation(None, {HTTPStatus.OK: Page[_Operation]})
    async def _list_operations(self, _: Request) -> Response:
        return whole(_OPERATIONS)

    def _shape(self, namespace: str) -> _Provider:
        # Clients compare these with a location's name in lower case and without its spaces.
        everywhere = [location.display_name for location in self._settings.locations]
        regional, others = _REGIONAL.get(namespace, {}), _GLOBAL.get(namespace, {})
        types = [_type(name, versions, everywhere) for name, versions in regional.items()]
        types += [_type(name, versions, ()) for name, versions in others.items()]
        return _Provider(
            id=f"/subscriptions/{self._settings.subscription}/providers/{namespace}",
            namespace=namespace,
            resource_types=types,
        )


def _type(name: str, versions: Sequence[str], locations: Sequence[str]) -> _ResourceType:
    is_tracked = name == "connectedClusters"
    return _ResourceType(
        resource_type=name,
        locations=locations,
        api_versions=versions,
        default_api_version=versions[0],
        capabilities="SupportsTags, SupportsLocation" if is_tracked else "None",
    )
