"""The style sheet and the icon: files of the package, which browsers keep for a while."""

import hashlib
from http import HTTPStatus
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from towrope.control.authority import Handler
from towrope.control.routing import CaselessRoute

MEDIA_TYPES = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
LIFETIME = 3600


def routes() -> list[Route]:
    folder = resources.files("towrope.control.web")
    return [
        CaselessRoute(f"/web/{name}", {"GET": _asset((folder / name).read_bytes(), media_type)})
        for name, media_type in MEDIA_TYPES.items()
    ]


def _asset(content: bytes, media_type: str) -> Handler:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "etag": etag,
        "cache-control": f"public, max-age={LIFETIME}",
        "cross-origin-resource-policy": "same-origin",
    }

    async def asset(request: Request) -> Response:
        known = request.headers.get("if-none-match", "")
        if etag in (each.strip().removeprefix("W/") for each in known.split(",")):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return asset
