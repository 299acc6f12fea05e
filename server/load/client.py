"""A light client on plain sockets, which leaves the cores to the server: requests come when they come."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

NO_REPLY = 0
"""Status of a request that the server did not answer."""
_MOST_SECONDS = 90.0


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        at: when it was due, in seconds since its phase began.
        lag: by how many seconds it was sent late, as this machine was busy with other things.
        seconds: from when it was due to the last byte.
        status: of HTTP, or :data:`NO_REPLY`.
        retry_after: whether the header is there.
        complete: whether a plan came whose search went through.
        digest: of the content, as hexadecimal digits; empty without one.
    """

    at: float
    lag: float
    seconds: float
    status: int
    retry_after: bool
    complete: bool
    digest: str


class LoadClient:
    """Sends prepared requests, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or address.hostname is None:
            raise ValueError(f"{url} is no address like http://127.0.0.1:8000")
        self._host, self._port = address.hostname, address.port or 80

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """A request as it is sent."""
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        host = f"Host: {self._host}:{self._port}\r\nConnection: close\r\n"
        return f"{method} {path} HTTP/1.1\r\n{host}{length}\r\n".encode("ascii") + body

    async def send(self, request: bytes, begun: float, due: float | None = None) -> Reply:
        """Send a prepared request, and wait for the reply.

        Args:
            request: from :meth:`request`.
            begun: when the phase began, ``time.perf_counter``.
            due: when it should have been sent, likewise; now for None.
        """
        now = time.perf_counter()
        due = now if due is None else due
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                reply = await self._exchange(request)
        except (OSError, TimeoutError):
            reply = b""
        seconds = time.perf_counter() - due
        head, _, body = reply.partition(b"\r\n\r\n")
        return Reply(
            at=due - begun,
            lag=now - due,
            seconds=seconds,
            status=int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else NO_REPLY,
            retry_after=b"\r\nretry-after:" in head.lower(),
            complete=b'"stop_reason":"iterations"' in body,
            digest=_digest(body),
        )

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request)
            return await reader.read(-1)
        finally:
            writer.close()


def _digest(body: bytes) -> str:
    mark = b'"digest":"'
    place = body.rfind(mark)
    return "" if place < 0 else body[place + len(mark) :][:64].decode("ascii", "replace")


async def closed_loop(
    client: LoadClient, request: Callable[[int], bytes], clients: int, seconds: float
) -> tuple[list[Reply], float]:
    """So many clients, each of which asks again as soon as it is answered; the replies, and the time it took.

    ``request(n)`` is the n-th request.
    """
    begun = time.perf_counter()
    replies: list[Reply] = []
    sent = 0

    async def ask() -> None:
        nonlocal sent
        while time.perf_counter() - begun < seconds:
            sent += 1
            replies.append(await client.send(request(sent - 1), begun))

    await asyncio.gather(*(ask() for _ in range(clients)))
    return replies, time.perf_counter() - begun


async def open_loop(
    client: LoadClient, request: Callable[[int], bytes], times: Sequence[float]
) -> list[Reply]:
    """Requests at these times, in seconds from now, whether or not earlier ones are answered."""
    begun = time.perf_counter()
    waiting = []
    for number, at in enumerate(times):
        await asyncio.sleep(max(0.0, begun + at - time.perf_counter()))
        waiting.append(asyncio.create_task(client.send(request(number), begun, begun + at)))
    return list(await asyncio.gather(*waiting))


def poisson(rate: float, seconds: float, rng: np.random.Generator) -> list[float]:
    """Arrival times within so many seconds, ``rate`` per second on average."""
    gaps = rng.exponential(1 / rate, size=int(2 * rate * seconds) + 100)
    times = np.cumsum(gaps)
    return [float(at) for at in times[times < seconds]]


async def poll(client: LoadClient, path: str, every: float, seconds: float) -> list[Reply]:
    """Ask for a path again and again, whether or not earlier ones are answered."""
    request = client.request("GET", path)
    return await open_loop(client, lambda number: request, list(np.arange(0.0, seconds, every)))
