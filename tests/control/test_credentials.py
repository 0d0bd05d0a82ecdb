import base64
from typing import Any

import pytest
from joserfc.jwk import ECKey
from ruamel.yaml import YAML

from tests.control.conftest import CLUSTERS, NOW, TENANT, OnboardingKey, Plane, error_of
from tests.control.test_agents import AUTHORITY, call, enrolment
from towrope.wire import assertion, names, sas
from towrope.wire.errors import Forbidden, Unauthenticated

PATH = f"{CLUSTERS}/shop-17/listClusterUserCredential"
ASKED = {"authenticationMethod": "Token", "clientProxy": True}


@pytest.fixture
async def enrolled(plane: Plane, onboarding_key: OnboardingKey) -> str:
    await plane.make_group("Shops")
    cluster: str = (await plane.make_cluster(onboarding_key))["id"]
    key = assertion.load_key(onboarding_key.private)
    await call(plane, "enroll", enrolment(), key=key, subject=cluster)
    return cluster


@pytest.mark.parametrize("method", ["Token", "AAD"])
async def test_the_shape_is_arcs(plane: Plane, enrolled: str, method: str) -> None:
    body = ASKED | {"authenticationMethod": method}
    answer = (await plane.api.post(PATH, json=body)).raise_for_status().json()
    connection = answer["hybridConnectionConfig"]
    path = names.hybrid_connection(enrolled, created_ns=int(NOW * 1e9))
    assert connection.pop("token").startswith("SharedAccessSignature ")
    assert connection == {
        "expirationTime": int(NOW) + 3 * 3600 - 600,
        "hybridConnectionName": path,
        "relay": "towrope.example.org:8443",
        "relayTid": TENANT,
        "relayType": "towrope",
    }
    [kubeconfig] = answer["kubeconfigs"]
    assert kubeconfig["name"] == "KubeConfig"
    text = base64.b64decode(kubeconfig["value"]).decode()
    authority = base64.b64encode(AUTHORITY.certificate).decode()
    assert YAML(typ="safe").load(text) == {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "shop-17",
        "clusters": [
            {
                "name": "shop-17",
                "cluster": {
                    "server": "https://127.0.0.1:47011",
                    "tls-server-name": names.tls_server_name(
                        enrolled, domain="clusters.towrope.example.org"
                    ),
                    "certificate-authority-data": authority,
                },
            }
        ],
        "contexts": [
            {
                "name": "shop-17",
                "context": {"cluster": "shop-17", "user": "clusterUser_Shops_shop-17"},
            }
        ],
        "users": [{"name": "clusterUser_Shops_shop-17", "user": {}}],
    }


async def test_the_token_sends_to_this_cluster_and_does_nothing_else(
    plane: Plane, enrolled: str, another_key: OnboardingKey
) -> None:
    other = (await plane.make_cluster(another_key, "shop-18"))["id"]
    answer = (await plane.api.post(PATH, json=ASKED)).json()["hybridConnectionConfig"]

    def verify(path: str, right: sas.Right = sas.Right.SEND, now: float = NOW) -> None:
        master = plane.settings.master
        sas.verify(answer["token"], master=master, path=path, right=right, now=now)

    verify(answer["hybridConnectionName"])
    verify(answer["hybridConnectionName"], now=NOW + 3 * 3600 - 1)
    with pytest.raises(Unauthenticated):
        verify(answer["hybridConnectionName"], now=NOW + 3 * 3600)
    with pytest.raises(Forbidden):
        verify(answer["hybridConnectionName"], sas.Right.LISTEN)
    with pytest.raises(Forbidden):
        verify(names.hybrid_connection(other, created_ns=int(NOW * 1e9)))


async def test_a_cluster_without_an_agent_has_none(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    answer = await plane.api.post(PATH, json=ASKED)
    assert error_of(answer) == (404, "HybridConnectionNotFound")
    assert answer.json()["error"]["message"] == (
        "Hybrid connection for the target resource does not exist. Agent might not have started"
        " successfully."
    )


async def test_a_cluster_connected_anew_has_none_until_its_agent_enrols(
    plane: Plane, enrolled: str, another_key: OnboardingKey
) -> None:
    plane.now += 1
    await plane.make_cluster(another_key)
    answer = await plane.api.post(PATH, json=ASKED)
    assert error_of(answer) == (404, "HybridConnectionNotFound")
    key = assertion.load_key(another_key.private)
    body = enrolment(ECKey.generate_key("P-256"))
    await call(plane, "enroll", body, key=key, subject=enrolled)
    assert (await plane.api.post(PATH, json=ASKED)).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (ASKED | {"clientProxy": False}, "HostedProxyNotEnabled"),
        (ASKED | {"authenticationMethod": "Password"}, "InvalidRequestContent"),
        (ASKED | {"clientProxy": "yes"}, "InvalidRequestContent"),
        ({}, "InvalidRequestContent"),
        ([], "InvalidRequestContent"),
    ],
)
async def test_what_is_not_served_is_refused(
    plane: Plane, enrolled: str, body: Any, code: str
) -> None:
    assert error_of(await plane.api.post(PATH, json=body)) == (400, code)


async def test_an_unknown_cluster_is_not_found(plane: Plane) -> None:
    await plane.make_group()
    assert error_of(await plane.api.post(PATH, json=ASKED)) == (404, "ResourceNotFound")
