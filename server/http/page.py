"""The page at ``/``: files of ``server/web``, read once and checked again by whoever has a copy."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.http.headers import has_copy

router = APIRouter(include_in_schema=False)

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page; ``etag`` is the SHA-256 of its bytes in quotes."""

    content: bytes
    media_type: str
    etag: str


def read_asset(name: str, content: bytes) -> Asset:
    """A file of that name with its type and tag."""
    media_type = _TYPES[name.rpartition(".")[2]]
    return Asset(content, media_type, f'"{hashlib.sha256(content).hexdigest()}"')


ASSETS: Mapping[str, Asset] = {
    file.name: read_asset(file.name, file.read_bytes())
    for file in files("server").joinpath("web").iterdir()
    if file.is_file()
}
"""All files by name: there are no others, whatever a path may say."""


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    """The page."""
    return asset_reply(request, ASSETS["index.html"])


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def asset(request: Request, name: str) -> Response:
    """What the page is made of."""
    if name not in ASSETS:
        raise HTTPException(404, "The page has no such file.")
    return asset_reply(request, ASSETS[name])


def asset_reply(request: Request, asset: Asset) -> Response:
    """The file, or 304 to whoever has it already."""
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
    if has_copy(request, asset.etag):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)
