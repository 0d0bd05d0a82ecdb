"""Fixtures for every test. The programs and the cluster are real; see `tests/fixtures/`."""

import pytest

pytest_plugins = [
    "tests.fixtures.cluster",
    "tests.fixtures.installation",
    "tests.fixtures.relay",
    "tests.fixtures.server",
    "tests.fixtures.workshop",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
