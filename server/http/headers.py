"""Headers: those that keep a browser from doing with a reply what it is not for, and copies it may have."""

from collections.abc import Mapping

from starlette.requests import Request

_ALL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

DOCS_PATH = "/docs"

API: Mapping[str, str] = _ALL | {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of replies that carry data: nothing in them is run, shown in a frame or kept."""

PAGE: Mapping[str, str] = _ALL | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
}
"""Of the page and its files: all comes from this server, nothing is inline, no markup is made of text."""


DOCS: Mapping[str, str] = _ALL | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
}
"""Of the description for readers: Swagger UI has pictures in its style sheet, and makes markup of text."""


def headers_of(path: str) -> Mapping[str, str]:
    """Those of replies at a path."""
    if path == "/" or path.startswith("/web/"):
        return PAGE
    return DOCS if path == DOCS_PATH or path.startswith(f"{DOCS_PATH}/") else API


def is_page(path: str) -> bool:
    """Whether a path belongs to a page, which is the same for everybody."""
    return headers_of(path) is not API


def has_copy(request: Request, etag: str) -> bool:
    """Whether the client has what ``etag`` names and asks for news alone (``If-None-Match``)."""
    tags = ",".join(request.headers.getlist("if-none-match")).split(",")
    return not {tag.strip().removeprefix("W/") for tag in tags}.isdisjoint({etag, "*"})
