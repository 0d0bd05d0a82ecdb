import pytest

from tests.client.cli.inside import InsideShell
from tests.client.conftest import Shell


@pytest.fixture(scope="session")
def inside(signed_in: Shell) -> Shell:
    """The signed-in user's shell, in this process."""
    return InsideShell(folder=signed_in.folder, environment=signed_in.environment)
