import datetime
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from tests.control.conftest import CLUSTERS, NOW, URL, OnboardingKey, Plane, error_of
from towrope.control import agents, json_body
from towrope.control.agent_keys import check_authority
from towrope.control.arm_error import ArmError
from towrope.control.store import clusters
from towrope.ops.certificates import new_authority, new_leaf
from towrope.wire import assertion, names, sas
from towrope.wire.errors import Forbidden

AGENT_KEY = ECKey.generate_key("P-256")
AUTHORITY = new_authority("cluster", now=datetime.datetime.now(datetime.UTC))
FACTS = {"agentVersion": "0.1.0", "kubernetesVersion": "1.37.0", "totalNodeCount": 3}


def enrolment(key: ECKey = AGENT_KEY, authority: bytes = AUTHORITY.certificate) -> dict[str, str]:
    return {
        "publicKey": key.as_pem(private=False).decode(),
        "caCertificate": authority.decode(),
    }


async def call(
    plane: Plane,
    action: str,
    body: dict[str, Any] | None = None,
    *,
    key: assertion.Key,
    subject: str,
    audience: str = URL,
) -> httpx2.Response:
    token = assertion.mint(key, subject=subject, audience=audience, now=plane.now)
    return await plane.anonymous.post(
        f"/agent/v1/{action}", json=body or {}, headers={"authorization": f"Bearer {token}"}
    )


@pytest.fixture
async def cluster(plane: Plane, onboarding_key: OnboardingKey) -> str:
    """The resource id of a cluster that no agent has enrolled for."""
    await plane.make_group()
    return str((await plane.make_cluster(onboarding_key))["id"])


@pytest.fixture
async def enrolled(plane: Plane, cluster: str, onboarding_key: OnboardingKey) -> str:
    key = assertion.load_key(onboarding_key.private)
    answer = await call(plane, "enroll", enrolment(), key=key, subject=cluster)
    told = answer.json()
    assert told["resourceId"] == cluster
    assert told["tlsServerName"] == names.tls_server_name(
        cluster, domain="clusters.towrope.example.org"
    )
    [own] = told["trust"]["issuers"]
    assert own["audiences"] == [cluster]
    return cluster


async def test_enrolling_again_with_the_same_key_is_harmless(
    plane: Plane, enrolled: str, onboarding_key: OnboardingKey
) -> None:
    key = assertion.load_key(onboarding_key.private)
    again = await call(plane, "enroll", enrolment(), key=key, subject=enrolled)
    assert again.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        enrolment(ECKey.generate_key("P-256")),
        enrolment(
            authority=new_authority("thief", now=datetime.datetime.now(datetime.UTC)).certificate
        ),
    ],
    ids=["another key", "another authority"],
)
async def test_nobody_else_enrols_after(
    plane: Plane, enrolled: str, onboarding_key: OnboardingKey, body: dict[str, str]
) -> None:
    key = assertion.load_key(onboarding_key.private)
    answer = await call(plane, "enroll", body, key=key, subject=enrolled)
    assert error_of(answer) == (409, "AgentAlreadyEnrolled")


@pytest.mark.parametrize(
    "change",
    [
        {"publicKey": ""},
        {"publicKey": ECKey.generate_key("P-384").as_pem(private=False).decode()},
        {"publicKey": AGENT_KEY.as_pem(private=True).decode()},
        {"publicKey": "x" * 40_000},
        {"caCertificate": ""},
        {"caCertificate": AGENT_KEY.as_pem(private=False).decode()},
        {
            "caCertificate": new_leaf(
                AUTHORITY, names=["leaf"], now=datetime.datetime.now(datetime.UTC)
            ).certificate.decode()
        },
        {"caCertificate": None},
    ],
    ids=["none", "curve", "private", "long", "no ca", "key", "leaf", "null"],
)
async def test_a_bad_key_or_authority_is_refused(
    plane: Plane, cluster: str, onboarding_key: OnboardingKey, change: dict[str, str]
) -> None:
    key = assertion.load_key(onboarding_key.private)
    answer = await call(plane, "enroll", enrolment() | change, key=key, subject=cluster)
    assert error_of(answer) == (400, "InvalidRequestContent")
    # Nothing was kept of it.
    good = await call(plane, "enroll", enrolment(), key=key, subject=cluster)
    assert good.status_code == 200


async def test_only_the_onboarding_key_enrols(
    plane: Plane, cluster: str, another_key: OnboardingKey
) -> None:
    for key in (AGENT_KEY, assertion.load_key(another_key.private)):
        answer = await call(plane, "enroll", enrolment(), key=key, subject=cluster)
        assert error_of(answer) == (401, "AuthenticationFailed")


async def test_the_onboarding_key_does_nothing_but_enrol(
    plane: Plane, enrolled: str, onboarding_key: OnboardingKey
) -> None:
    key = assertion.load_key(onboarding_key.private)
    for action in ("heartbeat", "policy", "listen"):
        answer = await call(plane, action, FACTS, key=key, subject=enrolled)
        assert error_of(answer) == (401, "AuthenticationFailed")


async def test_before_it_enrolled_an_agent_does_nothing(plane: Plane, cluster: str) -> None:
    for action in ("heartbeat", "policy", "listen"):
        answer = await call(plane, action, FACTS, key=AGENT_KEY, subject=cluster)
        assert error_of(answer) == (401, "AuthenticationFailed")


async def test_a_key_acts_for_its_own_cluster_alone(
    plane: Plane, enrolled: str, another_key: OnboardingKey
) -> None:
    other = (await plane.make_cluster(another_key, "shop-18"))["id"]
    key = assertion.load_key(another_key.private)
    their_key = ECKey.generate_key("P-256")
    await call(plane, "enroll", enrolment(their_key), key=key, subject=other)
    for action in ("heartbeat", "policy", "listen"):
        answer = await call(plane, action, FACTS, key=AGENT_KEY, subject=other)
        assert error_of(answer) == (401, "AuthenticationFailed")
        answer = await call(plane, action, FACTS, key=their_key, subject=enrolled)
        assert error_of(answer) == (401, "AuthenticationFailed")
    answer = await call(plane, "enroll", enrolment(), key=key, subject=enrolled)
    assert error_of(answer) == (401, "AuthenticationFailed")


async def test_an_assertion_for_another_server_is_refused(plane: Plane, enrolled: str) -> None:
    answer = await call(
        plane, "listen", key=AGENT_KEY, subject=enrolled, audience="https://other.example.org"
    )
    assert error_of(answer) == (401, "AuthenticationFailed")


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "nobody",
        names.cluster_id("another", "shops", "shop-17"),
        f"{CLUSTERS}/shop-18",
        f"{CLUSTERS}/shop-17/x",
    ],
)
async def test_an_unknown_subject_is_refused(plane: Plane, enrolled: str, subject: str) -> None:
    answer = await call(plane, "listen", key=AGENT_KEY, subject=subject)
    assert error_of(answer) == (401, "AuthenticationFailed")


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer x", "Basic eDp5", "x"])
async def test_what_is_no_assertion_is_refused(
    plane: Plane, enrolled: str, header: str | None
) -> None:
    headers = {} if header is None else {"authorization": header}
    for action in ("enroll", "heartbeat", "policy", "listen"):
        answer = await plane.anonymous.post(f"/agent/v1/{action}", json={}, headers=headers)
        assert error_of(answer) == (401, "AuthenticationFailed")


async def test_an_access_token_is_no_assertion(plane: Plane, enrolled: str) -> None:
    answer = await plane.api.post("/agent/v1/listen")
    assert error_of(answer) == (401, "AuthenticationFailed")


async def test_an_assertion_is_no_access_token(plane: Plane, enrolled: str) -> None:
    token = assertion.mint(AGENT_KEY, subject=enrolled, audience=URL, now=NOW)
    answer = await plane.anonymous.get(
        CLUSTERS, params={"api-version": "1"}, headers={"authorization": f"Bearer {token}"}
    )
    assert error_of(answer) == (401, "AuthenticationFailed")


async def test_facts_become_the_resources_properties(plane: Plane, enrolled: str) -> None:
    plane.now += 60
    odd = FACTS | {"infrastructure": "bad\x1b[2Jtext", "distribution": "kind", "later": 1}
    answer = await call(plane, "heartbeat", odd, key=AGENT_KEY, subject=enrolled)
    assert answer.json()["resourceId"] == enrolled
    shown = (await plane.api.get(enrolled)).json()["properties"]
    assert shown["agentVersion"] == "0.1.0"
    assert shown["totalNodeCount"] == 3
    assert shown["infrastructure"] == "bad�[2Jtext"
    assert shown["distribution"] == "k3s"  # as the user said
    assert shown["lastConnectivityTime"] == "2027-01-15T08:01:00Z"
    assert "caCertificate" not in shown
    assert "later" not in shown
    assert shown["connectivityStatus"] == "Connecting"


async def test_a_heartbeat_heals_the_authority(plane: Plane, enrolled: str) -> None:
    newer = new_authority("newer", now=datetime.datetime.now(datetime.UTC)).certificate.decode()
    body = FACTS | {"caCertificate": newer}
    assert (
        await call(plane, "heartbeat", body, key=AGENT_KEY, subject=enrolled)
    ).status_code == 200
    async with plane.control.services.database.reading() as connection:
        cluster = await clusters.find(connection, "shops", "shop-17")
    assert cluster is not None
    assert cluster.ca_certificate == newer


async def test_listening_needs_what_it_gets(plane: Plane, enrolled: str) -> None:
    told = (await call(plane, "listen", key=AGENT_KEY, subject=enrolled)).json()
    assert told["relay"] == "wss://towrope.example.org:8443"
    assert told["expiresAt"] == NOW + 3 * 3600
    path = told["hybridConnectionName"]
    assert path.startswith(f"microsoft.kubernetes/connectedclusters/{names.cluster_hash(enrolled)}")
    assert await plane.control.knows(path)
    sas.verify(
        told["token"],
        master=plane.settings.master,
        path=path,
        right=sas.Right.LISTEN,
        now=plane.now,
    )
    with pytest.raises(Forbidden):
        sas.verify(
            told["token"],
            master=plane.settings.master,
            path=path,
            right=sas.Right.SEND,
            now=plane.now,
        )


async def test_a_policy_is_told_once(plane: Plane, enrolled: str) -> None:
    async def fetch(**known: str) -> httpx2.Response:
        return await call(plane, "policy", known, key=AGENT_KEY, subject=enrolled)

    async def switch(mode: dict[str, Any]) -> None:
        async with plane.control.services.database.writing() as connection:
            there = await clusters.find(connection, "shops", "shop-17")
            assert there is not None
            await clusters.change(connection, there, properties={"aadProfile": mode})

    first = (await fetch()).json()
    assert not first["isEnforced"]
    same = await fetch(version=first["version"])
    assert (same.status_code, same.content) == (204, b"")
    await switch({"enableAzureRBAC": True})
    second = (await fetch(version=first["version"])).json()
    assert second["isEnforced"]
    assert (await fetch(version=second["version"])).status_code == 204
    await switch({})
    assert (await fetch(version=second["version"])).json() == first


async def test_connecting_anew_puts_the_old_agent_out(
    plane: Plane, enrolled: str, another_key: OnboardingKey
) -> None:
    before = (await call(plane, "listen", key=AGENT_KEY, subject=enrolled)).json()
    plane.now += 1
    await plane.make_cluster(another_key)
    answer = await call(plane, "listen", key=AGENT_KEY, subject=enrolled)
    assert error_of(answer) == (401, "AuthenticationFailed")
    assert not await plane.control.knows(before["hybridConnectionName"])
    key = assertion.load_key(another_key.private)
    theirs = ECKey.generate_key("P-256")
    await call(plane, "enroll", enrolment(theirs), key=key, subject=enrolled)
    after = (await call(plane, "listen", key=theirs, subject=enrolled)).json()
    assert after["hybridConnectionName"] != before["hybridConnectionName"]


async def test_the_agent_of_a_deleted_cluster_is_refused(plane: Plane, enrolled: str) -> None:
    await plane.api.delete(enrolled)
    answer = await call(plane, "heartbeat", FACTS, key=AGENT_KEY, subject=enrolled)
    assert error_of(answer) == (401, "AuthenticationFailed")
    assert "connect it again" in answer.text


@pytest.mark.parametrize("action", ["enroll", "heartbeat"])
async def test_connecting_anew_in_the_middle_of_a_call_puts_the_old_agent_out(
    plane: Plane,
    enrolled: str,
    onboarding_key: OnboardingKey,
    another_key: OnboardingKey,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = json_body.decode

    async def connect_anew_meanwhile(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        plane.now += 1
        await plane.make_cluster(another_key)
        return await decode(*args, **kwargs)

    monkeypatch.setattr(agents, "decode", connect_anew_meanwhile)
    key = assertion.load_key(onboarding_key.private) if action == "enroll" else AGENT_KEY
    answer = await call(plane, action, FACTS | enrolment(), key=key, subject=enrolled)
    assert error_of(answer) == (401, "AuthenticationFailed")
    shown = (await plane.api.get(enrolled)).json()["properties"]
    assert "agentVersion" not in shown


async def test_an_enrolment_in_the_middle_of_another_wins(
    plane: Plane, cluster: str, onboarding_key: OnboardingKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, decode = assertion.load_key(onboarding_key.private), json_body.decode

    async def enrol_meanwhile(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        body = enrolment(ECKey.generate_key("P-256"))
        assert (await call(plane, "enroll", body, key=key, subject=cluster)).status_code == 200
        return await decode(*args, **kwargs)

    monkeypatch.setattr(agents, "decode", enrol_meanwhile)
    answer = await call(plane, "enroll", enrolment(), key=key, subject=cluster)
    assert error_of(answer) == (409, "AgentAlreadyEnrolled")


def test_a_self_signed_leaf_is_no_authority() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leaf")])
    now = datetime.datetime.now(datetime.UTC)
    leaf = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(ArmError, match="self-signed CA"):
        check_authority(leaf.public_bytes(Encoding.PEM).decode())
