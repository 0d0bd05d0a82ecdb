"""Fixtures for every test. The programs and the cluster are real; see `tests/fixtures/`."""

import os
from collections.abc import Generator

import pytest

pytest_plugins = [
    "tests.fixtures.azure_cli",
    "tests.fixtures.browser",
    "tests.fixtures.cluster",
    "tests.fixtures.entra",
    "tests.fixtures.installation",
    "tests.fixtures.oidc_provider",
    "tests.fixtures.oidc_stub",
    "tests.fixtures.people",
    "tests.fixtures.postgres",
    "tests.fixtures.relay",
    "tests.fixtures.role_assignments",
    "tests.fixtures.server",
    "tests.fixtures.store",
    "tests.fixtures.workshop",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What may be skipped on somebody's machine must run in continuous integration."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which continuous integration must not do"
    return report
