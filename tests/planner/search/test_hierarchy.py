from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from planner.search.cem import CemConfig, CemStep, cheapest
from planner.search.hierarchy import HierarchyConfig, Planner
from planner.search.plan import Plan
from world_models.interface import Context, Future
from world_models.segmenter import ColorSegmenter

Contexts = Callable[..., Context]
Pictures = Callable[..., Tensor]


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class FirstDecision:
    """A cost that ignores the world: the first coordinate of the first decision."""

    def target(self, goal: Tensor) -> Tensor:
        return goal.flatten(1)[:, :1]

    def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
        return decisions[:, 0, 0]


class InvisibleCost(FirstDecision):
    """The same, but infinite for half of the candidates."""

    def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
        return torch.where(decisions[:, 0, 1] > 0, torch.inf, decisions[:, 0, 0])


class Echo:
    """A model whose features are the decisions, and whose frames show them in the first pixels."""

    decision_dim = 2

    def __init__(self, model: Any) -> None:
        self.encode = model.encode
        self.decoded = 0

    def imagine(self, state: Any, decisions: Tensor) -> Future:
        return Future(decisions, torch.arange(decisions.shape[1]) + decisions[:, :, 0])

    def embed(self, frames: Tensor) -> Tensor:
        return frames[:, 0, 0, :2]

    def decode(self, features: Tensor) -> Tensor:
        self.decoded += 1
        frames = torch.zeros(len(features), 3, 4, 4)
        frames[:, 0, 0, :2] = features
        return frames


def second_positive(frames: Tensor) -> Tensor:
    """Plausible: the second coordinate of the decision behind the frame is positive."""
    return frames[:, 0, 0, 1] > 0


def echo_planner(
    model: Any,
    cost: Any,
    plausible: Any,
    keyframes: int = 2,
    shortlist: int = 20,
    choice: Literal["likeliest", "cheapest"] = "cheapest",
) -> Planner:
    search = CemConfig(candidates=100)
    config = HierarchyConfig(keyframes=keyframes, shortlist=shortlist, choice=choice, cem=search)
    return Planner(Echo(model), cost, config, plausible)


def planned(planner: Planner, context: Context, **arguments: Any) -> tuple[Plan, list[CemStep]]:
    steps: list[CemStep] = []
    goal = torch.zeros(context.frames.shape[0], 3, 4, 4)
    generators = seeded(*range(len(goal)))
    return planner.plan(context, goal, generators, on_iteration=steps.append, **arguments), steps


def test_the_last_subgoal_reaches_the_goal(
    toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures, toy_segmenter: ColorSegmenter
) -> None:
    goal = toy_picture((45.0, 50.0), (12.0, 30.0))
    plan = toy_planner.plan(toy_context((20.0, 15.0), (40.0, 20.0)), goal, seeded(0, 1))
    assert plan.subgoals.shape == (2, 6, 3, 64, 64)
    reached = toy_segmenter.blob(plan.subgoals[:, -1]).centre
    distance = (reached - toy_segmenter.blob(goal).centre).norm(dim=1)
    assert (distance < 5).all()  # on the way from 43 pixels away
    torch.testing.assert_close(plan.cost, distance)
    assert plan.whole.all()
    assert plan.times.tolist() == [[1, 2, 3, 4, 5, 6]] * 2
    assert plan.history.shape == (2, 3)
    assert (plan.history.diff(dim=1) <= 0).all()
    assert plan.stop_reason == "iterations"


def test_subgoals_are_the_decoded_decisions(
    toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures, point_mass: Any
) -> None:
    context = toy_context((20.0, 15.0))
    plan = toy_planner.plan(context, toy_picture((45.0, 50.0)), seeded(0))
    features = point_mass.imagine(point_mass.encode(context), plan.decisions).features
    torch.testing.assert_close(plan.subgoals[0], point_mass.decode(features[0]))


def test_the_cheapest_plausible_candidate_beats_cheaper_implausible_ones(
    point_mass: Any, toy_context: Contexts
) -> None:
    planner = echo_planner(point_mass, FirstDecision(), second_positive)
    plan, steps = planned(planner, toy_context((20.0, 15.0), (30.0, 15.0), (40.0, 15.0)))
    ranks = []
    for row in range(3):
        population, costs = cheapest(steps, row, 20, planner.config.cem)
        rank = next(n for n in range(20) if (population[n, :, 1] > 0).all())
        assert torch.equal(plan.decisions[row], population[rank])
        assert plan.cost[row] == costs[rank]
        assert torch.equal(plan.times[row], torch.arange(2) + population[rank, :, 0])
        ranks.append(rank)
    assert max(ranks) > 0
    assert plan.whole.all()
    # Nothing is decoded beyond the chosen candidate of each row.
    assert planner.model.decoded == sum(ranks) + 3


def test_without_a_plausible_candidate_the_most_plausible_keyframes_win(
    point_mass: Any, toy_context: Contexts
) -> None:
    planner = echo_planner(point_mass, FirstDecision(), lambda f: f[:, 0, 0, 1] > 0.7, keyframes=6)
    plan, steps = planned(planner, toy_context((20.0, 15.0)))
    population, _ = cheapest(steps, 0, 20, planner.config.cem)
    counts = (population[:, :, 1] > 0.7).sum(dim=1).tolist()
    assert 0 < max(counts) < 6
    assert counts.count(max(counts)) > 1, "the test needs a tie"
    assert torch.equal(plan.decisions[0], population[counts.index(max(counts))])
    assert plan.whole.sum() == max(counts)


def test_only_the_shortlist_is_considered(point_mass: Any, toy_context: Contexts) -> None:
    planner = echo_planner(point_mass, FirstDecision(), lambda f: f[:, 0, 0, 1] > 9, shortlist=3)
    plan, steps = planned(planner, toy_context((20.0, 15.0)))
    assert planner.model.decoded == 3
    assert torch.equal(plan.decisions, steps[-1].best)


def test_the_likeliest_plausible_plan_of_the_shortlist_is_chosen(
    point_mass: Any, toy_context: Contexts
) -> None:
    planner = echo_planner(point_mass, FirstDecision(), second_positive, shortlist=30, choice="likeliest")
    plan, steps = planned(planner, toy_context((20.0, 15.0)))
    shortlist, costs = cheapest(steps, 0, 30, planner.config.cem)
    likelihood = shortlist.square().sum((1, 2)) + 1e3 * ~(shortlist[:, :, 1] > 0).all(1)
    assert torch.equal(plan.decisions[0], shortlist[likelihood.argmin()])
    assert plan.whole.all() and plan.cost[0] > costs[0]


def test_a_plausible_candidate_of_infinite_cost_is_not_taken(point_mass: Any, toy_context: Contexts) -> None:
    planner = echo_planner(point_mass, InvisibleCost(), second_positive, keyframes=1, shortlist=100)
    plan, _ = planned(planner, toy_context((20.0, 15.0)))
    assert plan.cost.isfinite().all()
    assert not plan.whole.any()


def test_a_plan_is_returned_even_if_every_cost_is_infinite(point_mass: Any, toy_context: Contexts) -> None:
    class Hopeless(FirstDecision):
        def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
            return torch.full((len(decisions),), torch.nan)

    plan, _ = planned(echo_planner(point_mass, Hopeless(), second_positive), toy_context((20.0, 15.0)))
    assert plan.cost.tolist() == [torch.inf]
    assert plan.whole.all()


class Receding(FirstDecision):
    """The same, but every later iteration costs 100 more, as if the search had gone astray."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        return decisions[:, 0, 0] + 100 * (self.calls - 1)


@pytest.mark.parametrize("plausible", [None, second_positive])
def test_the_plan_is_chosen_among_the_best_ever_seen(
    point_mass: Any, toy_context: Contexts, plausible: Any
) -> None:
    planner = echo_planner(point_mass, Receding(), plausible)
    plan, steps = planned(planner, toy_context((20.0, 15.0)))
    population = steps[0].candidates[0]
    fitting = (population[:, :, 1] > 0).all(dim=1) if plausible else torch.ones(100, dtype=torch.bool)
    assert torch.equal(plan.decisions[0], population[fitting][0])
    assert plan.cost < 50
    assert plan.whole.all()


@pytest.mark.parametrize("plausible", [None, second_positive])
def test_the_papers_plan_is_chosen_from_the_last_population(
    point_mass: Any, toy_context: Contexts, plausible: Any
) -> None:
    planner = echo_planner(point_mass, Receding(), plausible)
    planner.config = planner.config.model_copy(update={"cem": CemConfig(candidates=100, best_ever=False)})
    plan, steps = planned(planner, toy_context((20.0, 15.0)))
    assert (plan.decisions[0] == steps[-1].candidates[0]).all(dim=(1, 2)).any()
    assert plan.cost > 150


@pytest.mark.parametrize("reason", ["deadline", "cancelled"])
def test_stops_between_iterations(point_mass: Any, toy_context: Contexts, reason: Any) -> None:
    answers: Iterator[Any] = iter([None, reason])
    planner = echo_planner(point_mass, FirstDecision(), None)
    plan, steps = planned(planner, toy_context((20.0, 15.0)), iterations=10, stop=lambda: next(answers))
    assert (plan.stop_reason, len(steps), plan.history.shape) == (reason, 2, (1, 2))
    assert plan.cost == steps[1].best_cost


def test_stop_is_not_asked_before_the_first_or_after_the_last_iteration(
    point_mass: Any, toy_context: Contexts
) -> None:
    planner = echo_planner(point_mass, FirstDecision(), None)
    asked_after: list[int] = []
    steps: list[CemStep] = []
    planner.plan(
        toy_context((20.0, 15.0)),
        torch.zeros(1, 3, 4, 4),
        seeded(0),
        stop=lambda: asked_after.append(len(steps)),
        on_iteration=steps.append,
    )
    assert asked_after == [1, 2]


def test_a_stopped_plan_equals_a_shorter_one(
    toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures
) -> None:
    context, goal = toy_context((20.0, 15.0)), toy_picture((45.0, 50.0))
    stopped = toy_planner.plan(context, goal, seeded(0), stop=lambda: "deadline")
    short = toy_planner.plan(context, goal, seeded(0), iterations=1)
    assert torch.equal(stopped.subgoals, short.subgoals)


def test_rows_get_the_same_bits_alone_or_in_a_batch(
    toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures
) -> None:
    starts, goals = [(20.0, 15.0), (50.0, 30.0), (31.3, 40.7)], [(45.0, 50.0), (12.0, 30.0), (20.2, 20.9)]
    together = toy_planner.plan(toy_context(*starts), toy_picture(*goals), seeded(5, 6, 7))
    for row, seed in enumerate((5, 6, 7)):
        alone = toy_planner.plan(toy_context(starts[row]), toy_picture(goals[row]), seeded(seed))
        for name in ("subgoals", "times", "cost", "history", "decisions", "whole"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[row]), name


def test_the_seed_decides(toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures) -> None:
    context, goal = toy_context((20.0, 15.0)), toy_picture((45.0, 50.0))
    first, again, other = (toy_planner.plan(context, goal, seeded(seed)).decisions for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_overrides_and_large_searches(point_mass: Any, toy_context: Contexts) -> None:
    planner = echo_planner(point_mass, FirstDecision(), None)
    _, steps = planned(planner, toy_context((20.0, 15.0)), candidates=601, iterations=2)
    assert [step.candidates.shape[1] for step in steps] == [601, 601]


@pytest.mark.parametrize("override", [{"candidates": 1}, {"iterations": 0}])
def test_impossible_overrides_are_refused(
    point_mass: Any, toy_context: Contexts, override: dict[str, int]
) -> None:
    with pytest.raises(ValidationError, match=next(iter(override))):
        planned(echo_planner(point_mass, FirstDecision(), None), toy_context((20.0, 15.0)), **override)


def test_rows_must_agree(toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures) -> None:
    context = toy_context((20.0, 15.0), (30.0, 15.0))
    with pytest.raises(ValueError, match="2 contexts, 1 goals"):
        toy_planner.plan(context, toy_picture((45.0, 50.0)), seeded(0, 1))
    with pytest.raises(ValueError, match="2 rows, 1 generators"):
        toy_planner.plan(context, toy_picture((45.0, 50.0), (45.0, 50.0)), seeded(0))


def test_nothing_is_remembered_and_inputs_stay_as_they_are(
    toy_planner: Planner, toy_context: Contexts, toy_picture: Pictures
) -> None:
    context, goal = toy_context((20.0, 15.0)), toy_picture((45.0, 50.0))
    copy = replace(context, frames=context.frames.clone())
    first = toy_planner.plan(context, goal, seeded(1))
    toy_planner.plan(toy_context((50.0, 50.0)), goal, seeded(9))
    assert torch.equal(context.frames, copy.frames)
    assert torch.equal(toy_planner.plan(context, goal, seeded(1)).subgoals, first.subgoals)
    assert not first.subgoals.requires_grad
