"""Trusted issuers of the server, as an administrator of it sees them."""

from urllib.parse import quote

from towrope.client.rest import Json, Rest
from towrope.wire.errors import Hop, Refused

VERSION = "2026-11-01"
PATH = "/providers/Towrope.Identity/issuers"


class Issuers:
    """Resources come as the server's JSON objects, unchanged."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def list_all(self) -> list[Json]:
        """There are few, so they come in one page."""
        answer = self._rest.json("GET", PATH, query={"api-version": VERSION})
        found: list[Json] = answer.get("value", [])
        return found

    def get(self, name: str) -> Json:
        return self._rest.json("GET", _path(name), query={"api-version": VERSION})

    def put(self, name: str, properties: Json) -> Json:
        body = {"properties": properties}
        return self._rest.json("PUT", _path(name), query={"api-version": VERSION}, body=body)

    def remove(self, name: str) -> None:
        self._rest.json("DELETE", _path(name), query={"api-version": VERSION})


def _path(name: str) -> str:
    if name in ("", ".", ".."):
        raise Refused(f"'{name}' is no name of an issuer. Give another.", hop=Hop.CLIENT)
    return f"{PATH}/{quote(name, safe='')}"
