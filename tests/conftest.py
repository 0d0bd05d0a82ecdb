"""Fixtures for every test. The programs and the cluster are real; see `tests/fixtures/`."""

pytest_plugins = ["tests.fixtures.cluster"]
