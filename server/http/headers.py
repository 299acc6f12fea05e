"""Headers: those that keep a browser from doing with a reply what it is not for, and copies it may have."""

from collections.abc import Mapping

from starlette.requests import Request

_ALL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

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


def is_page(path: str) -> bool:
    """Whether a path belongs to the page, which is the same for everybody."""
    return path == "/" or path.startswith("/web/")


def has_copy(request: Request, etag: str) -> bool:
    """Whether the client has what ``etag`` names and asks for news alone (``If-None-Match``)."""
    tags = ",".join(request.headers.getlist("if-none-match")).split(",")
    return not {tag.strip().removeprefix("W/") for tag in tags}.isdisjoint({etag, "*"})
