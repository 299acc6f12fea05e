"""A client that has said its last word: does it still listen, or has it left?

Both look alike from here: an end of what comes in. Only an answer to bytes sent to it tells them apart: the
machine of a client that has closed its socket resets the connection. So a few bytes are sent that belong to
the reply whatever it will be: the beginning of its status line, one by one, or, within a body in chunks,
zeros before the size of the next one, which change nothing.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

FIRST_SECONDS = 0.2
"""A reply that is there by then comes whole."""
_NEXT_SECONDS = 0.1
_CERTAIN = b"HTTP/1.1 "
"""What every reply begins with."""


class ListeningClient:
    """In the place of a cycle's transport, from its client's last word on.

    If the client has left, the transport fails and its protocol learns that the connection is lost.
    """

    def __init__(
        self,
        transport: Any,  # uvloop's are no asyncio.Transport
        cycle: RequestResponseCycle,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport, self._cycle, self._loop = transport, cycle, loop
        self._ahead = 0
        self._loop.call_later(FIRST_SECONDS, self._ask, _NEXT_SECONDS, len(_CERTAIN))

    def write(self, data: bytes) -> None:
        """Send what of it has not been sent ahead."""
        ahead, self._ahead = self._ahead, 0
        self._transport.write(data[ahead:])

    def close(self) -> None:
        """The reply is whole."""
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is at its end."""
        return bool(self._transport.is_closing())

    def _ask(self, pause: float, left: int) -> None:
        """Send a byte, and ``left - 1`` more after longer and longer pauses."""
        if self._transport.is_closing() or self._cycle.response_complete or not left:
            return
        if not self._cycle.response_started:
            self._transport.write(_CERTAIN[self._ahead : self._ahead + 1])
            self._ahead += 1
        elif self._cycle.chunked_encoding:
            self._transport.write(b"0")
        self._loop.call_later(pause, self._ask, 2 * pause, left - 1)
