"""Streams, and plans to be asked for later, from Python."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.client import (
    Client,
    EpisodeReply,
    FrameReply,
    IterationEvent,
    PlanReply,
    Queued,
    ServerProblem,
    SubgoalReply,
    plans,
)
from server.client.calls import Calls
from server.models.service import ModelService

START, GOAL = (12.0, 50.0), (47.0, 16.0)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


@pytest.fixture
def pictures(toy_bytes: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray]:
    return toy_bytes(*START), toy_bytes(*GOAL)


def streaming(chunks: list[bytes]) -> Calls:
    """A client of a server that sends these events whatever is asked."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {"Content-Type": "text/event-stream; charset=utf-8"}
        return httpx2.Response(200, headers=headers, content=iter(chunks))

    return Calls(httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://x"))


def test_a_search_can_be_watched(client: Client, pictures: tuple[np.ndarray, np.ndarray]) -> None:
    queued, *told, plan = client.watch_plan(*pictures, seed=3, samples=60, iterations=2)
    assert isinstance(queued, Queued) and isinstance(plan, PlanReply)
    assert [type(event) for event in told] == [IterationEvent, *[SubgoalReply] * 6] * 2
    costs = [event.best_cost for event in told if isinstance(event, IterationEvent)]
    assert costs == plan.response.cost_history
    shown = [event for event in told if isinstance(event, SubgoalReply)]
    assert [event.response.index for event in shown] == [*range(6)] * 2
    assert shown[-1].image.shape == (64, 64, 3) and shown[-1].image.dtype == np.uint8
    alone = client.plan(*pictures, seed=3, samples=60, iterations=2)
    assert plan.response.digest == alone.response.digest and np.array_equal(plan.images, alone.images)
    assert client.plan_status(str(queued.id)).result == plan.response


def test_refusals_are_raised_before_and_in_a_stream(
    client: Client, pictures: tuple[np.ndarray, np.ndarray], toy_bytes: Callable[..., Any]
) -> None:
    with pytest.raises(ServerProblem, match="available: toy") as caught:
        next(client.watch_plan(*pictures, model="none"))
    assert caught.value.problem.status == 404
    stream = client.watch_plan(pictures[0], toy_bytes(-50, -50))
    assert isinstance(next(stream), Queued)
    with pytest.raises(ServerProblem, match="No puck was found"):
        next(stream)


def test_work_stops_when_the_watcher_closes(
    client: Client,
    pictures: tuple[np.ndarray, np.ndarray],
    gated: Any,
    service: ModelService,
    eventually: Callable[..., None],
) -> None:
    gated.rest_seconds = 0.3
    stream = client.watch_plan(*pictures, samples=20, iterations=200, deadline_ms=60_000)
    assert [type(next(stream)) for _ in range(2)] == [Queued, IterationEvent]
    stream.close()
    # Two hundred iterations would rest for a minute; the engine is free long before.
    eventually(lambda: service.engine.unfinished == 0)


def test_plans_can_be_fetched_later(
    client: Client, pictures: tuple[np.ndarray, np.ndarray], gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "_POLL_SECONDS", 0.02)
    gated.gate.clear()
    name = client.begin_plan(*pictures, seed=3)
    assert client.plan_status(name).status in ("queued", "running")
    with pytest.raises(TimeoutError, match="is still"):
        client.wait_for_plan(name, timeout=0.05)
    stream = client.follow_plan(name)
    assert isinstance(next(stream), Queued)
    gated.gate.set()
    *_, watched = stream
    waited = client.wait_for_plan(name)
    assert isinstance(watched, PlanReply) and np.array_equal(watched.images, waited.images)
    assert waited.response == client.plan_status(name).result


def test_cancelled_plans_are_raised(
    client: Client, pictures: tuple[np.ndarray, np.ndarray], gated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "_POLL_SECONDS", 0.02)
    gated.gate.clear()
    name = client.begin_plan(*pictures)
    for _ in range(2):
        client.cancel_plan(name)
    gated.gate.set()
    with pytest.raises(ServerProblem, match="cancelled"):
        client.wait_for_plan(name)
    for unknown in ("none", "../models", "a?b"):
        with pytest.raises(ServerProblem) as caught:
            client.plan_status(unknown)
        assert caught.value.problem.status == 404


def test_a_key_makes_repeating_safe(
    client: Client, pictures: tuple[np.ndarray, np.ndarray], gated: Any
) -> None:
    plans = gated.plans
    first, second = (client.plan(*pictures, idempotency_key="a") for _ in range(2))
    assert first.response == second.response and gated.plans == plans + 1
    with pytest.raises(ServerProblem, match="Idempotency-Key"):
        client.plan(*pictures, seed=1, idempotency_key="a")


def test_an_episode_can_be_watched(worlds: ModelService, serve: Callable[..., Any]) -> None:
    service = ModelService(worlds.settings, lambda name, device: worlds.models[name])
    with serve(service) as url, Client(url) as client:
        queued, *frames, whole = client.watch_episode("cartpole-balance", seed=1, episode_seed=1, steps=2)
        alone = client.episode("cartpole-balance", seed=1, episode_seed=1, steps=2)
    assert isinstance(queued, Queued) and isinstance(whole, EpisodeReply)
    shown = [event for event in frames if isinstance(event, FrameReply)]
    assert [event.response.step for event in shown] == [0, 1, 2]
    assert np.array_equal(np.stack([event.image for event in shown]), whole.frames)
    assert whole.response.digest == alone.response.digest


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


@given(
    st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), max_size=4),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_events_arrive_however_they_are_cut(
    told: list[tuple[str, list[str]]], end: str, data: st.DataObject
) -> None:
    """Comments, lines of every ending and characters of several bytes, in any pieces."""
    sent = [*((f"x{name}", lines) for name, lines in told), ("result", ["{}"])]
    text = ""
    for name, lines in sent:
        comment = f": {data.draw(TEXT)}{end}"
        text += f"{comment}event: {name}{end}" + "".join(f"data: {line}{end}" for line in lines) + end
    raw = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    arrived = [*streaming(pieces)._watch("/")]
    assert arrived == [(name, "\n".join(lines)) for name, lines in sent]


def test_a_stream_that_breaks_off_is_no_reply() -> None:
    event = b'event: queued\ndata: {"request_id": "1", "id": null, "predicted_wait_ms": 0}\n\n'
    for rest in (b"", b"event: result\ndata: {}\n"):
        with pytest.raises(httpx2.RemoteProtocolError, match="before the result"):
            [*streaming([event, rest])._watch("/")]


def test_large_events_arrive() -> None:
    picture = json.dumps("A" * 3_000_000)
    ((_, data),) = streaming([f"event: result\ndata: {picture}\n\n".encode()])._watch("/")
    assert len(data) == len(picture)
