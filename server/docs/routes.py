"""``GET /docs``: Swagger UI on ``/openapi.json``, from files of this server alone."""

from collections.abc import Iterator, Mapping
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from server.http.headers import DOCS_PATH
from server.http.page import Asset, asset_reply, read_asset

router = APIRouter(include_in_schema=False)

_SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")
"""What is taken of the package fastapi-offline, which ships Swagger UI and is kept up to date."""


def _assets() -> Iterator[Asset]:
    own, swagger = files("server").joinpath("docs"), files("fastapi_offline").joinpath("static")
    for folder, names in ((own, ("docs.html", "docs.js")), (swagger, _SWAGGER)):
        yield from (read_asset(name, folder.joinpath(name).read_bytes()) for name in names)


ASSETS: Mapping[str, Asset] = dict(zip(("docs.html", "docs.js", *_SWAGGER), _assets(), strict=True))
"""All files by name."""


@router.get(DOCS_PATH)
async def docs(request: Request) -> Response:
    """The page."""
    return asset_reply(request, ASSETS["docs.html"])


@router.get(f"{DOCS_PATH}/{{name}}")
async def asset(request: Request, name: str) -> Response:
    """What the page is made of."""
    if name not in ASSETS:
        raise HTTPException(404, "The description has no such file.")
    return asset_reply(request, ASSETS[name])
