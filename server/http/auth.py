"""Who may use the server: the holders of a key, or without keys whoever sits at this machine.

What is open is named and the rest is refused, so that an endpoint added later is not open by accident.
"""

import re
from collections.abc import Container

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.hosts import is_loopback
from server.http.headers import is_page
from server.http.problems import HTTP_KINDS, problem
from server.keys import ANONYMOUS, Keys

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9a-zA-Z.-]+))(?::[0-9]{1,5})?")
_BEARER = re.compile(r"(?i:bearer) +([\x21-\x7e]{1,200})")


class Gate:
    """Lets a request in and names its caller in ``request.state.caller``, or refuses it."""

    def __init__(self, app: ASGIApp, keys: Keys | None, open_paths: Container[str]) -> None:
        """``keys``: None serves everybody on this machine; ``open_paths`` may be read without one.

        The page is open too, but not what it asks for.
        """
        self.app = app
        self.keys = keys
        self.open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Request(scope)
        request.state.caller = ANONYMOUS
        refusal = _refuse_other_sites(request)
        if self.keys is None:
            refusal = refusal or _refuse_other_hosts(request)
        else:
            refusal = refusal or _refuse_strangers(request, self.keys, self.open_paths)
        await (refusal or self.app)(scope, receive, send)


def _refuse_other_sites(request: Request) -> Response | None:
    """Browsers say which page a request comes from; pages of others may not have work done here."""
    origin = request.headers.get("sec-fetch-site", "none")
    if request.method in _READING or origin in {"none", "same-origin"}:
        return None
    return problem(request, HTTP_KINDS[403], "Only this server's own page may send this from a browser.")


def _refuse_other_hosts(request: Request) -> Response | None:
    """A page whose name was made to point at this machine still sends its own name (DNS rebinding)."""
    if all(_names_this_machine(host) for host in request.headers.getlist("host")):
        return None
    sentence = "This server has no keys and answers to localhost, 127.0.0.1 and [::1] alone."
    return problem(request, HTTP_KINDS[421], sentence)


def _names_this_machine(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found[1] or found[2])


def _refuse_strangers(request: Request, keys: Keys, open_paths: Container[str]) -> Response | None:
    sent = request.headers.getlist("authorization")
    bearer = _BEARER.fullmatch(sent[0]) if len(sent) == 1 else None
    owner = None if bearer is None else keys.owner(bearer[1])
    if owner is not None:
        request.state.caller = owner
        return None
    path = request.scope["path"]
    if request.method in _READING and (path in open_paths or is_page(path)):
        return None
    sentence = "Send the header `Authorization: Bearer KEY` with a key of this server."
    return problem(request, HTTP_KINDS[401], sentence, headers={"WWW-Authenticate": "Bearer"})
