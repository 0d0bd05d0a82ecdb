"""Lists that a server answers in pages, in ARM's shape and in Graph's."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from towrope.client.rest import Json, Rest

ARM_LINK = "nextLink"
GRAPH_LINK = "@odata.nextLink"


def pages(rest: Rest, path: str, query: Mapping[str, str], *, link: str) -> Iterator[Json]:
    """The members of all pages; `link` is the member of an answer that names the next one."""
    while True:
        page = rest.json("GET", path, query=query)
        yield from page.get("value", [])
        if not page.get(link):
            return
        # Only its path and query: a link must not send the token to another host.
        following = urlsplit(page[link])
        path, query = following.path, dict(parse_qsl(following.query))
