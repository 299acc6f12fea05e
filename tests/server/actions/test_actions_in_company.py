"""Actions asked for at once: they share roll-outs where products are in single precision, and only there."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.loaded import ReadyWorldModel
from planner.low_levels.learned import control_by_place, control_by_reward
from server.actions.task import ActionOutcome, ActionTask, example_action
from server.engine.engine import Engine
from server.engine.jobs import Monitor
from server.engine.task import Work, go_on
from server.models.service import ModelService

REQUESTS = 4


class Hold:
    """Work that keeps the engine until its gate is open."""

    kind, who, amount, least = "hold", "test", 1.0, 1.0

    def __init__(self) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()

    def work(self, device: str) -> Work[None]:
        self.begun.set()
        assert self.gate.wait(60)
        yield from go_on()


@pytest.fixture
def sharing() -> list[int]:
    """Jobs of every batch."""
    return []


@pytest.fixture
def engine(sharing: list[int]) -> Iterator[Engine]:
    class Notes(Monitor):
        def batched(self, rows: int, slots: int, jobs: int, seconds: float) -> None:
            sharing.append(jobs)

    engine = Engine("cpu", 20, lambda: None, Notes())
    engine.start()
    yield engine
    engine.close()


def outcomes(engine: Engine, tasks: list[ActionTask]) -> list[ActionOutcome]:
    """What comes of tasks that all wait at the same time."""
    hold = Hold()
    engine.submit(hold)
    assert hold.begun.wait(60)
    jobs = [engine.submit(task) for task in tasks]
    hold.gate.set()
    return [job.future.result(60) for job in jobs]


def bits(outcome: ActionOutcome) -> tuple[Any, ...]:
    return outcome.decisions.tobytes(), outcome.cost, outcome.action.tobytes()


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("name", ["tiny-push", "tiny-dmc"])
def test_company_changes_no_bit(
    worlds: ModelService,
    engine: Engine,
    sharing: list[int],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    reduced: bool,
) -> None:
    monkeypatch.setattr("world_models.precision._cpu_has_bf16", lambda: reduced)
    model = worlds.models[name]
    assert isinstance(model, ReadyWorldModel)
    example = example_action(model)
    frames = np.random.default_rng(0).integers(0, 256, example.seen.frames.shape, np.uint8)
    seen = example.seen if example.objective == "push" else replace(example.seen, frames=frames)
    tasks = [replace(example, seen=seen, seed=seed, render=False) for seed in range(REQUESTS)]
    alone = [bits(outcomes(engine, [task])[0]) for task in tasks]
    assert set(sharing) == {1} and len(set(alone)) == REQUESTS
    assert [bits(outcome) for outcome in outcomes(engine, tasks)] == alone
    # Whether more than the first, tried batches are shared is for the trials to say.
    assert (max(sharing) > 1) is not reduced


def test_low_levels_of_one_model_are_alike(worlds: ModelService) -> None:
    """Roll-outs share batches if model and cost are equal, and every request makes its own."""
    push, dmc = worlds.models["tiny-push"], worlds.models["tiny-dmc"]
    assert isinstance(push, ReadyWorldModel) and isinstance(dmc, ReadyWorldModel)
    for make in (
        lambda: control_by_place(push),
        lambda: control_by_reward(dmc, "cheetah-run"),
    ):
        first, second = make().servo, make().servo
        assert (first.model, first.cost) == (second.model, second.cost)
        assert hash((first.model, first.cost)) == hash((second.model, second.cost))
    other = control_by_reward(dmc, "cartpole-balance").servo
    assert other.model != control_by_reward(dmc, "cheetah-run").servo.model
