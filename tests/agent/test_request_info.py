"""What a request asks of Kubernetes, as the apiserver's own tests have it."""

import pytest

from towrope.agent.request_info import RequestInfo, parse


def info(verb: str, **facts: str) -> dict[str, str]:
    return {"verb": verb, **facts}


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /api/v1/namespaces", info("list", resource="namespaces", api_version="v1")),
        (
            "GET /api/v1/namespaces/other",
            info("get", resource="namespaces", namespace="other", name="other"),
        ),
        ("GET /api/v1/namespaces/a/pods", info("list", resource="pods", namespace="a", name="")),
        ("HEAD /api/v1/namespaces/a/pods/b", info("get", resource="pods", namespace="a", name="b")),
        ("GET /api/v1/pods?watch=true", info("watch", resource="pods", namespace="")),
        ("GET /api/v1/pods?watch=1&x=y", info("watch", resource="pods")),
        ("GET /api/v1/pods?watch=", info("watch", resource="pods")),
        ("GET /api/v1/pods?watch=false", info("list", resource="pods")),
        (
            "GET /api/v1/pods?watch=1&fieldSelector=metadata.name%3Dweb",
            info("watch", resource="pods", name="web"),
        ),
        (
            "GET /api/v1/pods?fieldSelector=a=b,metadata.name==web",
            info("list", resource="pods", name="web"),
        ),
        ("GET /api/v1/pods?fieldSelector=metadata.name!=web", info("list", name="")),
        ("GET /api/v1/pods?fieldSelector=metadata.name=", info("list", name="")),
        ("DELETE /api/v1/pods?fieldSelector=metadata.name=web", info("deletecollection", name="")),
        ("GET /api/v1/watch/namespaces/a/pods", info("watch", resource="pods", namespace="a")),
        (
            "POST /api/v1/namespaces/a/pods/b/exec?command=sh",
            info("create", resource="pods", namespace="a", name="b", subresource="exec"),
        ),
        (
            "GET /api/v1/namespaces/a/services/b/proxy/c/d",
            info("get", resource="services", name="b", subresource="proxy"),
        ),
        ("PUT /api/v1/namespaces/a/finalize", info("update", resource="namespaces", name="a")),
        ("PATCH /api/v1/nodes/n/status", info("patch", resource="nodes", subresource="status")),
        ("DELETE /api/v1/namespaces/a/pods/b", info("delete", resource="pods", name="b")),
        ("DELETE /api/v1/namespaces/a/pods", info("deletecollection", resource="pods")),
        (
            "GET /apis/apps/v1/namespaces/a/deployments/b/scale",
            info("get", api_group="apps", resource="deployments", subresource="scale"),
        ),
        ("GET /apis/apps/v1/watch", info("get", resource="")),
        ("GET /apis/apps/v1", info("get", resource="")),
        ("GET /api/v1", info("get", resource="")),
        ("GET /version", info("get", resource="", path="/version")),
        ("GET /api%2fv1%2fpods", info("list", resource="pods", path="/api/v1/pods")),
        ("OPTIONS /", info("options", resource="")),
        ("BREW /api/v1/pods/a", info("", resource="pods")),
    ],
)
def test_what_a_request_asks_for(request_line: str, expected: dict[str, str]) -> None:
    method, target = request_line.split(" ")
    found = parse(method, target)
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.is_resource_request == bool(found.resource)


def test_it_never_fails() -> None:
    for target in (
        "/",
        "//",
        "/api",
        "/apis/",
        "/apis/a/b/c",
        "/api/v1/namespaces",
        "/%",
        "?watch",
    ):
        assert isinstance(parse("GET", target), RequestInfo)
