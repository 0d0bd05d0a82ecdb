"""The third-party clients, installed where they are not yet."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def clients() -> Path:
    """The folder with `bin/node`, and with the clients in `node_modules`."""
    done = subprocess.run([HERE / "install.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
