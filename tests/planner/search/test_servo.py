from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from planner.search.cem import CemConfig, cem, cheapest
from planner.search.costs import ObjectDistance
from planner.search.rollout import Pricing
from planner.search.servo import Servo, ServoConfig, ServoStep
from world_models.interface import Context, Future
from world_models.segmenter import ColorSegmenter

Contexts = Callable[..., Context]
Pictures = Callable[..., Tensor]


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Regulator:
    """The quadratic cost of a linear regulator: squared distance at every step plus effort."""

    def __init__(self, segmenter: ColorSegmenter, effort: float) -> None:
        self.segmenter = segmenter
        self.effort = effort

    def target(self, goal: Tensor) -> Tensor:
        return self.segmenter.blob(goal).centre

    def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
        distance = (future.features - target[:, None]).square().sum(dim=(1, 2))
        return distance + self.effort * decisions.square().sum(dim=(1, 2))


class Recording(ObjectDistance):
    """Keeps the decisions it is asked to score."""

    def __init__(self, segmenter: ColorSegmenter) -> None:
        super().__init__(segmenter, lambda features: features)
        self.seen: list[Tensor] = []

    def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
        self.seen.append(decisions.clone())
        return super().__call__(future, decisions, target)


def regulator_action(offset: Tensor, speed: float, effort: float, horizon: int) -> Tensor:
    """First action of the exact minimiser, by solving the normal equations of the whole horizon."""
    steps = speed * torch.ones(horizon, horizon).tril()
    hessian = steps.T @ steps + effort * torch.eye(horizon)
    return torch.linalg.solve(hessian, steps.T @ offset.expand(horizon, 2))[0]


@pytest.mark.parametrize("temperature", [None, 0.2])
def test_the_action_is_that_of_the_exact_regulator(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures, temperature: float | None
) -> None:
    point_mass.speed, effort, horizon = 4.0, 30.0, 4
    search = CemConfig(candidates=500, iterations=25, elite_fraction=0.1, temperature=temperature)
    servo = Servo(
        point_mass, Regulator(point_mass.segmenter, effort), ServoConfig(horizon=horizon, cem=search)
    )
    state = point_mass.encode(toy_context((30.0, 30.0)))
    goal = toy_picture((34.0, 25.0))
    step = servo.act(state, goal, None, seeded(0))
    offset = point_mass.embed(goal)[0] - state.position[0]
    expected = regulator_action(offset, point_mass.speed, effort, horizon)
    torch.testing.assert_close(step.action[0], expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("warm_start", [False, True])
def test_the_closed_loop_reaches_the_target(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures, warm_start: bool
) -> None:
    point_mass.speed = 2.0
    servo = Servo(point_mass, Regulator(point_mass.segmenter, 1.0), ServoConfig(warm_start=warm_start))
    state = point_mass.encode(toy_context((20.0, 15.0), (50.0, 40.0)))
    goal = toy_picture((35.0, 30.0), (30.0, 30.0))
    generators, warm = seeded(0, 1), None
    start = (state.position - point_mass.embed(goal)).norm(dim=1)
    for _ in range(25):
        step = servo.act(state, goal, warm, generators)
        warm = step.warm_start
        moved = point_mass.imagine(state, step.action[:, None])
        state = type(state)(moved.features[:, 0])
    assert (start > 20).all()
    assert ((state.position - point_mass.embed(goal)).norm(dim=1) < point_mass.speed).all()


@pytest.mark.parametrize("best_ever", [False, True])
def test_the_action_starts_the_cheapest_sequence_of_the_search(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures, best_ever: bool
) -> None:
    cost = Recording(point_mass.segmenter)
    search = CemConfig(candidates=30, iterations=4, bound=1.0, best_ever=best_ever)
    config = ServoConfig(horizon=5, cem=search)
    state, goal = point_mass.encode(toy_context((20.0, 15.0))), toy_picture((30.0, 20.0))
    score = Pricing(point_mass, state, cost, cost.target(goal), chunk=30)
    zeros = torch.zeros(1, 5, 2)
    answers = set()
    for seed in range(10):
        step = Servo(point_mass, cost, config).act(state, goal, None, seeded(seed))
        steps = list(cem(score, zeros, zeros + 1, search, seeded(seed)))
        decisions, costs = cheapest(steps, 0, 1, search)
        assert torch.equal(step.decisions, decisions)
        assert torch.equal(step.action, decisions[:, 0])
        assert torch.equal(step.cost, costs)
        assert torch.equal(step.warm_start[:, :-1], decisions[:, 1:])
        assert (step.warm_start[:, -1] == 0).all()
        answers.add(torch.equal(decisions[0], steps[-1].candidates[0, 0]))
    assert answers == ({True, False} if best_ever else {True})


def test_actions_stay_within_the_bound(point_mass: Any, toy_context: Contexts, toy_picture: Pictures) -> None:
    cost = Recording(point_mass.segmenter)
    servo = Servo(point_mass, cost, ServoConfig())
    servo.act(point_mass.encode(toy_context((5.0, 5.0))), toy_picture((60.0, 60.0)), None, seeded(0))
    assert [tuple(decisions.shape) for decisions in cost.seen] == [(48, 8, 2)] * 2
    assert all(decisions.abs().max() <= 1 for decisions in cost.seen)


@pytest.mark.parametrize("used", [False, True])
def test_the_warm_start_is_used_only_if_configured(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures, used: bool
) -> None:
    cost = Recording(point_mass.segmenter)
    search = CemConfig(candidates=2000, iterations=1)
    servo = Servo(point_mass, cost, ServoConfig(horizon=8, cem=search, warm_start=used, warm_std=0.25))
    warm = torch.full((1, 8, 2), 0.5)
    servo.act(point_mass.encode(toy_context((5.0, 5.0))), toy_picture((30.0, 30.0)), warm, seeded(0))
    drawn = cost.seen[0]
    assert drawn.mean().item() == pytest.approx(0.5 if used else 0.0, abs=0.03)
    assert drawn.std().item() == pytest.approx(0.25 if used else 1.0, abs=0.03)
    assert bool((drawn == warm).all(dim=(1, 2)).any()) == used


def test_a_warm_start_of_the_wrong_shape_is_refused(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures
) -> None:
    servo = Servo(point_mass, Recording(point_mass.segmenter), ServoConfig(warm_start=True))
    state, goal = point_mass.encode(toy_context((5.0, 5.0))), toy_picture((30.0, 30.0))
    with pytest.raises(ValueError, match=r"shape \[1, 8, 2\], got \[1, 7, 2\]"):
        servo.act(state, goal, torch.zeros(1, 7, 2), seeded(0))


def test_a_row_gets_the_same_bits_alone_or_in_a_batch(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures
) -> None:
    servo = Servo(point_mass, Recording(point_mass.segmenter), ServoConfig())
    starts, goals = [(20.0, 15.0), (50.0, 30.0)], [(25.0, 20.0), (40.0, 30.0)]
    together = servo.act(point_mass.encode(toy_context(*starts)), toy_picture(*goals), None, seeded(4, 5))
    for row, seed in enumerate((4, 5)):
        state = point_mass.encode(toy_context(starts[row]))
        alone = servo.act(state, toy_picture(goals[row]), None, seeded(seed))
        for name in ("action", "warm_start", "cost", "decisions"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[row]), name


SMALL = CemConfig(candidates=10, iterations=1, elite_fraction=0.2, bound=1.0)


@pytest.fixture
def regulate(point_mass: Any, toy_context: Contexts, toy_picture: Pictures) -> Callable[..., ServoStep]:
    """``regulate(*seeds, **settings)``: one decision of the exact regulator; inference-mode inputs."""
    point_mass.speed = 4.0

    def act(*seeds: int, **settings: Any) -> ServoStep:
        servo = Servo(
            point_mass, Regulator(point_mass.segmenter, 30.0), ServoConfig(**{"horizon": 4, **settings})
        )
        with torch.inference_mode():
            state = point_mass.encode(toy_context(*[(30.0, 30.0 + seed) for seed in seeds]))
            goal = toy_picture(*[(34.0, 25.0)] * len(seeds))
        return servo.act(state, goal, None, seeded(*seeds))

    return act


def test_gradient_steps_end_at_the_exact_regulator(regulate: Callable[..., ServoStep]) -> None:
    coarse, fine = (regulate(0, cem=SMALL, gradient_steps=steps) for steps in (0, 200))
    expected = regulator_action(torch.tensor([4.0, -5.0]), 4.0, 30.0, 4)
    assert (coarse.action[0] - expected).abs().max() > 0.1
    torch.testing.assert_close(fine.action[0], expected, atol=0.01, rtol=0)
    assert torch.equal(fine.warm_start[:, :-1], fine.decisions[:, 1:])


@pytest.mark.parametrize("size", [0.01, 0.1, 3.0])
def test_gradient_steps_never_cost_more_and_stay_within_the_bound(
    regulate: Callable[..., ServoStep], size: float
) -> None:
    cheaper = 0
    for seed in range(5):
        costs = [regulate(seed, cem=SMALL).cost]
        for steps in (1, 3, 6):
            found = regulate(seed, cem=SMALL, gradient_steps=steps, gradient_step_size=size)
            assert found.decisions.abs().max() <= 1
            costs.append(found.cost)
        assert all(later <= earlier for earlier, later in pairwise(costs))
        cheaper += int(costs[-1] < costs[0])
    assert cheaper == 5 or size > 1, "steps of a sensible size help"


def test_gradient_steps_are_those_of_torch(regulate: Callable[..., ServoStep]) -> None:
    free = SMALL.model_copy(update={"bound": None})
    start = regulate(0, cem=free).decisions.clone().requires_grad_()
    offset = torch.tensor([4.0, -5.0])
    adam = torch.optim.Adam([start], lr=0.05)
    for _ in range(4):
        cost = (4.0 * start.cumsum(1) - offset).square().sum() + 30.0 * start.square().sum()
        (start.grad,) = torch.autograd.grad(cost, start)
        adam.step()
    found = regulate(0, cem=free, gradient_steps=4, gradient_step_size=0.05)
    torch.testing.assert_close(found.decisions, start.detach(), atol=1e-4, rtol=0)


def test_refined_rows_get_the_same_bits_alone_or_in_a_batch(regulate: Callable[..., ServoStep]) -> None:
    together = regulate(4, 5, cem=SMALL, gradient_steps=3)
    for row, seed in enumerate((4, 5)):
        alone = regulate(seed, cem=SMALL, gradient_steps=3)
        for name in ("action", "warm_start", "cost", "decisions"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[row]), name


def test_refinement_counts_as_imagined() -> None:
    search = ServoConfig(horizon=5, cem=SMALL)
    assert search.imagined_steps == 10 * 5
    assert search.model_copy(update={"gradient_steps": 3}).imagined_steps == 14 * 5


def test_what_has_no_gradient_is_refused(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures
) -> None:
    class Solid(type(point_mass)):  # type: ignore[misc]
        def imagine(self, state: Any, decisions: Tensor) -> Future:
            return super().imagine(state, decisions.detach())

    segmenter = point_mass.segmenter
    pixels = ObjectDistance(segmenter, lambda features: segmenter.blob(point_mass.decode(features)).centre)
    cases = (
        (Solid(segmenter), Regulator(segmenter, 1.0), "the model has no gradient.*use gradient_steps 0"),
        (point_mass, pixels, "the cost has no gradient.*use gradient_steps 0"),
    )
    state, goal = point_mass.encode(toy_context((20.0, 15.0))), toy_picture((30.0, 20.0))
    for model, cost, message in cases:
        with pytest.raises(ValueError, match=message):
            Servo(model, cost, ServoConfig(gradient_steps=2)).act(state, goal, None, seeded(0))
