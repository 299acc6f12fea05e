"""What is done to every request and reply around the routes: a name, safe headers, a limit on the body; and
what holds of every address: where it stands behind a proxy, what HEAD and OPTIONS say of it.
"""

import re
import uuid

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.headers import headers_of
from server.http.problems import HTTP_KINDS, problem

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestId:
    """Names the request, by the client's ``X-Request-Id`` if that is plain; every reply carries the name."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Request-Id", request_id)
            await send(message)

        await self.app(scope, receive, send_named)


class SafeHeaders:
    """Adds the headers of :mod:`server.http.headers` that a reply does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in headers_of(scope["path"]).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_safe)


class BodyLimit:
    """Refuses bodies over a size: at once by their announced length, else when they have grown too long."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.limit:
            refusal = problem(Request(scope), HTTP_KINDS[413], self._sentence())
            return await refusal(scope, receive, send)
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise HTTPException(413, self._sentence())
            return message

        await self.app(scope, receive_limited, send)

    def _sentence(self) -> str:
        return f"A body may have up to {self.limit} bytes; pictures and actions need less."


class RootPath:
    """Serves the same under a path, for proxies that hand that path on and for those that take it off."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http" or not self.root_path:
            return await self.app(scope, receive, send)
        if scope["path"] == self.root_path:
            # Addresses in the page are relative to one that ends with a slash.
            return await RedirectResponse(f"{self.root_path}/", 308)(scope, receive, send)
        if scope["path"].startswith(f"{self.root_path}/"):
            scope["path"] = scope["path"].removeprefix(self.root_path)
        await self.app(scope, receive, send)


class Methods:
    """Answers HEAD as GET without its body, and OPTIONS with the methods there are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http" or scope["method"] not in ("HEAD", "OPTIONS"):
            return await self.app(scope, receive, send)
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        bare, ended = scope["method"] == "HEAD", False

        async def send_head(message: Message) -> None:
            nonlocal bare, ended
            if message["type"] == "http.response.start":
                if scope["method"] == "OPTIONS" and message["status"] == 405:
                    allowed = {"Allow": MutableHeaders(scope=message)["Allow"]}
                    headers = Response(None, 204, allowed).raw_headers
                    message = {**message, "status": 204, "headers": headers}
                    bare = True
                await send(message)
            elif not bare:
                await send(message)
            elif not ended:
                # There is nothing to wait for: what comes of a stream is not sent.
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        try:
            await self.app(inner, receive, send_head)
        finally:
            scope.setdefault("route", inner.get("route"))
