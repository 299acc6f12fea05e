"""What others suggest, among the candidates of a search, and what is worth something after its horizon."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from planner.search.cem import CemConfig, Search
from planner.search.costs import ObjectDistance, Return, WithValue
from planner.search.rollout import Proposals, drive
from planner.search.servo import Servo, ServoConfig
from world_models.interface import Context, Future

Contexts = Callable[..., Context]
Pictures = Callable[..., Tensor]
SMALL = CemConfig(candidates=10, iterations=2, elite_fraction=0.3, bound=1.0)


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


class Straight:
    """Suggests to go on to a place in pixels at full speed."""

    def __init__(self, place: Tensor) -> None:
        self.place = place

    def propose(self, state: Any, noise: Tensor) -> Tensor:
        away = (self.place - state.position)[:, None]
        return away / away.abs().amax(-1, keepdim=True) + noise


def drawn(first: Tensor | None = None, proposals: Tensor | None = None) -> list[Tensor]:
    mean = torch.zeros(2, 4, 3)
    search, found = Search(mean, mean + 1, SMALL, seeded(1, 2), first, proposals), []
    for _ in range(SMALL.iterations):
        found.append(search.ask().clone())
        search.tell(torch.arange(20.0).reshape(2, 10).flip(1))  # the last ones, which are drawn, win
    return found


def test_proposals_take_the_place_of_candidates_of_the_first_iteration_and_of_nothing_else() -> None:
    first, proposals = torch.full((2, 4, 3), 0.5), torch.full((2, 3, 4, 3), 2.0)
    plain, given = drawn(first), drawn(first, proposals)
    assert torch.equal(given[0][:, 0], first) and torch.equal(plain[0][:, 0], first)
    assert (given[0][:, 1:4] == 1.0).all()  # clipped to the bound
    assert torch.equal(given[0][:, 4:], plain[0][:, 4:])
    assert torch.equal(given[1], plain[1])
    assert torch.equal(drawn(None, proposals)[0][:, 3:], drawn()[0][:, 3:])


@pytest.mark.parametrize(
    ("shape", "words"),
    [((2, 3, 5, 3), r"shape \[2, 3, 5, 3\] do not fit"), ((2, 10, 4, 3), "11 sequences are given")],
)
def test_proposals_have_to_fit(unchecked: None, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        drawn(torch.zeros(2, 4, 3), torch.zeros(shape))


def test_a_good_suggestion_is_taken_by_the_pushing_servo(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures
) -> None:
    goal = toy_picture((54.0, 20.0), (54.0, 20.0))
    state = point_mass.encode(toy_context((10.0, 10.0), (14.0, 40.0)))  # five steps of 8 pixels away
    cost = ObjectDistance(point_mass.segmenter, lambda features: features)
    config = ServoConfig(horizon=5, cem=SMALL)
    plain = Servo(point_mass, cost, config).act(state, goal, None, seeded(0, 1))
    proposals = Proposals(Straight(cost.target(goal)[0]), 4, 0.0)
    helped = Servo(point_mass, cost, config, proposals)
    step = helped.act(state, goal, None, seeded(0, 1))
    assert torch.equal(step.action, proposals.proposer.propose(state, torch.zeros(2, 1, 2))[:, 0])
    assert (step.cost < plain.cost - 0.1).all()
    assert helped.imagined_steps == config.imagined_steps + 4 * 5


def test_noise_makes_proposals_differ_and_a_row_gets_the_same_bits_alone(
    point_mass: Any, toy_context: Contexts
) -> None:
    state = point_mass.encode(toy_context((10.0, 10.0), (40.0, 40.0)))
    proposals = Proposals(Straight(torch.tensor([60.0, 30.0])), 3, 0.2)

    def ask(state: Any, *seeds: int) -> Tensor:
        return drive(proposals.ask(state, torch.Size([5, 2]), seeded(*seeds)))

    both = ask(state, 3, 4)
    best = proposals.proposer.propose(state, torch.zeros(2, 5, 2))
    assert both.shape == (2, 3, 5, 2) and torch.equal(both[:, 0], best)
    expected = 0.2 * torch.randn(3, 5, 2, generator=seeded(4)[0])
    torch.testing.assert_close(both[1, 1:] - best[1], expected[1:])
    alone = type(state)(state.position[1:])
    assert torch.equal(ask(alone, 4)[0], both[1])


def test_rewards_are_discounted_and_the_value_comes_after_the_last() -> None:
    rewards, worth = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.0, 0.0, 10.0]])
    future = Future(torch.stack([rewards, worth], -1), torch.ones(1, 3))
    decisions, nothing = torch.zeros(1, 3, 1), torch.zeros(1, 0)
    assert float(Return()(future, decisions, nothing)) == -7.0
    assert float(Return(0.5)(future, decisions, nothing)) == -(1 + 1 + 1)
    whole = WithValue(Return(0.5), lambda features: features[:, 1], 0.5)
    assert float(whole(future, decisions, whole.target(torch.zeros(1, 3, 8, 8)))) == -(3 + 10 / 8)


def test_a_value_sees_beyond_the_horizon(
    point_mass: Any, toy_context: Contexts, toy_picture: Pictures
) -> None:
    """Where the nearest step is right costs nothing, and the far end everything."""
    cost = ObjectDistance(point_mass.segmenter, lambda features: features)
    state, here = point_mass.encode(toy_context((20.0, 30.0))), toy_picture((20.0, 30.0))
    away = WithValue(cost, lambda features: 3 * features[:, 0])  # the farther to the right the better
    config = ServoConfig(horizon=1, cem=CemConfig(candidates=100, iterations=3, bound=1.0))
    stays, goes = (Servo(point_mass, one, config).act(state, here, None, seeded(0)) for one in (cost, away))
    assert stays.action.norm() < 0.15
    assert goes.action[0, 0] > 0.9
