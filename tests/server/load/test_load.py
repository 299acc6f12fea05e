"""The load test: requests come when they should, and the figures and bounds say what happened."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import anyio
import numpy as np
import pytest

from server.load.client import NO_REPLY, LoadClient, Reply, closed_loop, open_loop, poisson, poll
from server.load.report import bounds, markdown, overload, picture, throughput

PLAN = b'{"stop_reason":"iterations","digest":"' + b"ab" * 32 + b'","timings":{}}'


def reply(at: float, seconds: float, status: int = 200, complete: bool = True) -> Reply:
    return Reply(at, 0.001, seconds, status, retry_after=status == 503, complete=complete, digest="")


@asynccontextmanager
async def answering(answer: Callable[[bytes], Awaitable[bytes]]) -> AsyncIterator[LoadClient]:
    """A server that sends ``answer(head of the request)``, and a client of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await answer(await reader.readuntil(b"\r\n\r\n")))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield LoadClient(f"http://127.0.0.1:{port}")


def test_replies_are_read() -> None:
    async def answer(head: bytes) -> bytes:
        if b"GET /full" in head:
            return b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n\r\n{}"
        return b"HTTP/1.1 200 OK\r\n\r\n" + PLAN if b"POST /plan" in head and b"Length: 2" in head else b""

    async def check() -> None:
        async with answering(answer) as client:
            now = time.perf_counter()
            plan = await client.send(client.request("POST", "/plan", b"{}"), now)
            assert (plan.status, plan.complete, plan.digest, plan.retry_after) == (
                200,
                True,
                "ab" * 32,
                False,
            )
            full = await client.send(client.request("GET", "/full"), now)
            assert (full.status, full.complete, full.digest, full.retry_after) == (503, False, "", True)
            assert (await client.send(client.request("GET", "/none"), now)).status == NO_REPLY

    anyio.run(check)


def test_a_server_that_is_not_there_gives_no_reply() -> None:
    async def check() -> None:
        client = LoadClient("http://127.0.0.1:1")
        assert (await client.send(client.request("GET", "/livez"), time.perf_counter())).status == NO_REPLY

    anyio.run(check)
    with pytest.raises(ValueError, match="no address like http"):
        LoadClient("ftp://somewhere")


def test_an_open_loop_does_not_wait_for_replies() -> None:
    came = 0
    whole = asyncio.Event()

    async def answer(head: bytes) -> bytes:
        nonlocal came
        came += 1
        if came == 4:
            whole.set()
        await asyncio.wait_for(whole.wait(), 20)
        return b"HTTP/1.1 200 OK\r\n\r\n"

    async def check() -> None:
        async with answering(answer) as client:
            request = client.request("GET", "/")
            replies = await open_loop(client, lambda number: request, [0.0, 0.01, 0.02, 0.03])
            assert [round(reply.at, 3) for reply in replies] == [0.0, 0.01, 0.02, 0.03]
            # Nobody was answered before the last had asked.
            assert all(reply.status == 200 and reply.seconds >= 0.03 - reply.at for reply in replies)
            assert len(await poll(client, "/", 0.02, 0.1)) == 5

    anyio.run(check)


def test_a_closed_loop_waits_for_replies_and_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, came, at_once, most = 0.0, 0, 0, 0
    both = asyncio.Event()
    monkeypatch.setattr("server.load.client.time", SimpleNamespace(perf_counter=lambda: now))

    async def answer(head: bytes) -> bytes:
        nonlocal now, came, at_once, most
        came, at_once = came + 1, at_once + 1
        most = max(most, at_once)
        now = 3.0 if came == 6 else now
        if at_once == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 20)
        at_once -= 1
        return b"HTTP/1.1 200 OK\r\n\r\n"

    async def check() -> None:
        async with answering(answer) as client:
            request = client.request("GET", "/")
            replies, seconds = await closed_loop(client, lambda number: request, 2, 3.0)
            # When the time is over, the other client may have asked once more.
            assert most == 2 and len(replies) in (6, 7) and seconds == 3.0

    anyio.run(check)


def test_arrivals_are_poisson_and_reproducible() -> None:
    times = poisson(50.0, 100.0, np.random.default_rng(0))
    gaps = np.diff(times)
    assert abs(len(times) - 5000) < 4 * 5000**0.5 and times[0] > 0 and times[-1] < 100
    assert np.mean(gaps) == pytest.approx(0.02, rel=0.05) and np.std(gaps) == pytest.approx(0.02, rel=0.05)
    assert times == poisson(50.0, 100.0, np.random.default_rng(0))


def test_figures_of_overload() -> None:
    replies = [
        *[reply(0.0, 1.0) for _ in range(6)],
        reply(0.0, 1.2, complete=False),
        reply(0.0, 1.3),  # too late
        reply(9.5, 0.8),  # whole and in time, but after the end
        *[reply(1.0, 0.01, status=503) for _ in range(3)],
        Reply(1.0, 0.001, 0.01, 429, retry_after=False, complete=False, digest=""),
    ]
    found = overload(replies, [reply(0, 0.004), reply(1, 0.006)], seconds=10, deadline=1.0, capacity=2.0)
    assert found["statuses"] == {"200": 9, "429": 1, "503": 3}
    assert found["in_time_share"] == pytest.approx(8 / 9) and found["whole_share"] == pytest.approx(8 / 9)
    assert found["goodput_per_second"] == pytest.approx(0.7)
    assert found["goodput_of_capacity"] == pytest.approx(0.35)
    assert found["refused_without_retry_after"] == 1 and found["lag_p99_ms"] == pytest.approx(1.0)
    assert found["livez"]["p50_ms"] == pytest.approx(5.0) and found["livez"]["failed"] == 0


def test_throughput_counts_answers_only() -> None:
    row = throughput(2, [reply(0, 0.5), reply(0, 1.5), reply(1, 0.01, status=503)], 4.0)
    assert (row["clients"], row["per_second"], row["refused"], row["p50_ms"]) == (2, 0.5, 1, 1000.0)


def test_bounds_name_what_is_not_kept_and_the_report_shows_it(tmp_path: Path) -> None:
    good = [reply(at / 2, 0.5) for at in range(18)]
    health = [reply(0.0, 0.01), reply(5.0, 0.02)]
    result = {
        "machine": {"processor": "any", "cores": 2, "torch": "2"},
        "protocol": {"factor": 5.0, "seconds": 10.0, "deadline_ms": 1000},
        "plans": [throughput(1, good, 10.0)],
        "actions": [],
        "together": {"ratio": 0.7, "different": 0},
        "overload": overload(good, health, 10.0, 1.0, 1.9),
    }
    result["bounds"] = bounds(result)
    assert all(row["kept"] for row in result["bounds"].values())
    bad = [*good, reply(1.0, 0.1, status=500), reply(1.0, 9.0, complete=False)]
    result["overload"] = overload(bad, [*health, reply(6.0, 0.2, status=NO_REPLY)], 10.0, 1.0, 2.5)
    result["bounds"] = bounds(result | {"together": {"ratio": 1.2, "different": 1}})
    assert [name for name, row in result["bounds"].items() if row["kept"]] == ["refusals without Retry-After"]
    assert "| goodput relative to capacity | 0.72 | at least 0.9 | NO |" in markdown(result)
    picture(bad, health, 1.0, tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    json.dumps(result)
