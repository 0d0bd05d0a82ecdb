"""The real `az`, told by `ARM_CLOUD_METADATA_URL` alone where the server is."""

from pathlib import Path

from tests.fixtures.azure_cli import azure_at
from tests.fixtures.server import Server


def test_the_server_is_the_one_cloud_that_there_is(
    azure_python: Path, server: Server, tmp_path: Path
) -> None:
    az = azure_at(tmp_path, azure_python, server.ca_file)
    environment = {
        "ARM_CLOUD_METADATA_URL": f"{server.url}/metadata/endpoints?api-version=2019-05-01",
        # `az` fetches this one document with Python's own trust.
        "SSL_CERT_FILE": str(server.ca_file),
    }
    query = "[].[name, isActive, endpoints.resourceManager, endpoints.activeDirectory]"
    words = ["cloud", "list", "--query", query, "-o", "tsv"]
    listed = az.run(*words, environment=environment).stdout
    assert listed.split() == ["towrope", "True", server.url, f"{server.url}/adfs"]
