import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from tests.control.conftest import CLUSTERS, GROUP, GROUPS, OnboardingKey, Plane, error_of
from towrope.control import json_body
from towrope.control.arm_error import ArmError
from towrope.control.envelope import one_form
from towrope.control.store import resource_groups


async def test_each_answer_has_its_ids(plane: Plane) -> None:
    mine = str(uuid.uuid4())
    headers = {"x-ms-correlation-request-id": mine}
    for path in ("/subscriptions", "/nothing", "/a/../b"):
        answer = await plane.api.get(path, headers=headers)
        assert uuid.UUID(answer.headers["x-ms-request-id"])
        assert answer.headers["x-ms-correlation-request-id"] == mine
        assert answer.headers["cache-control"] == "no-store"


async def test_a_strange_correlation_id_is_not_repeated(plane: Plane) -> None:
    answer = await plane.api.get("/tenants", headers={"x-ms-correlation-request-id": "a b<c>"})
    assert uuid.UUID(answer.headers["x-ms-correlation-request-id"])


async def test_paths_are_compared_without_case_or_empty_segments(
    plane: Plane, onboarding_key: OnboardingKey
) -> None:
    await plane.make_group()
    await plane.make_cluster(onboarding_key)
    for path in (
        f"{CLUSTERS}/shop-17".upper(),
        f"{CLUSTERS}/shop-17/".lower(),
        f"/{CLUSTERS}//shop-17".replace("Microsoft.Kubernetes/", "Microsoft.Kubernetes//"),
        f"{CLUSTERS}/shop%2D17",
    ):
        answer = await plane.api.get(f"https://towrope.example.org:8443{path}")
        assert answer.json()["name"] == "shop-17", path


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"", "/"),
        (b"//a///b/", "/a/b"),
        (b"/a%20b", "/a b"),
        (b"/a%2Fb", "/a%2Fb"),
        (b"/a%2fb/c", "/a%2Fb/c"),
        (b"/%C3%A4", "/ä"),
    ],
)
def test_a_path_has_one_form(raw: bytes, form: str) -> None:
    assert one_form(raw) == form


@pytest.mark.parametrize(
    "raw",
    [
        b"/.",
        b"/a/../b",
        b"/%2e%2E/b",
        b"/a%00",
        b"/a%0d%0a",
        b"/%252e",
        b"/a%5Cb",
        b"/%ff",
        b"/a%3Fb",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(ArmError, match="invalid segment"):
        one_form(raw)


async def test_the_api_version_is_required(plane: Plane) -> None:
    headers = {"authorization": plane.api.headers["authorization"]}
    for query in ("", "?api-version=", "?x=1"):
        answer = await plane.anonymous.get(f"/subscriptions{query}", headers=headers)
        assert error_of(answer) == (400, "MissingApiVersionParameter")
    good = await plane.anonymous.get("/subscriptions?API-Version=anything", headers=headers)
    assert good.status_code == 200


async def test_what_is_not_there_and_what_is_not_allowed(plane: Plane) -> None:
    assert error_of(await plane.api.get("/nothing")) == (404, "NotFound")
    answer = await plane.api.post(GROUP)
    assert error_of(answer) == (405, "MethodNotAllowed")
    assert "DELETE" in answer.headers["allow"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"nul", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b'{"location":"\xff"}'],
    ids=["empty", "cut", "text", "bytes", "deep list", "deep object", "bad text"],
)
async def test_what_is_no_json_is_refused(plane: Plane, content: bytes) -> None:
    answer = await plane.api.put(GROUP, content=content)
    assert error_of(answer) == (400, "InvalidRequestContent")


async def test_a_body_over_the_limit_is_refused(plane: Plane) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    for content in (b" " * (json_body.BODY_LIMIT + 1), chunks()):
        answer = await plane.api.put(GROUP, content=content)
        assert error_of(answer) == (413, "RequestContentTooLarge")
        assert answer.headers["connection"] == "close"


async def test_a_body_that_does_not_come_is_refused(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr(json_body, "BODY_TIMEOUT", 0.01)
    assert error_of(await plane.api.put(GROUP, content=never())) == (408, "RequestTimeout")


async def test_our_own_fault_is_an_answer_without_its_cause(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("what went wrong")

    monkeypatch.setattr(resource_groups, "find", fail)
    answer = await plane.api.get(GROUP)
    assert error_of(answer) == (500, "InternalServerError")
    assert "went wrong" not in answer.text


async def test_odd_names_do_no_harm(plane: Plane) -> None:
    await plane.make_group()
    for name in ("'; drop table resource_groups; --", "a' or '1'='1", "=cmd", "<script>", "%25s"):
        assert (await plane.api.get(f"{GROUPS}/{name}")).status_code in (400, 404)
    assert (await plane.api.head(GROUP)).status_code == 204
