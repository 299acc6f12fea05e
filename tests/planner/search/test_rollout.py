from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from planner.search.rollout import Pricing, encode_rows, repeat_row, target_rows
from world_models.interface import Context, Future


@dataclass(frozen=True)
class State:
    hidden: Tensor
    offset: Tensor


@dataclass(frozen=True)
class Untidy:
    hidden: Tensor
    label: str


class Dense:
    """A model whose rows go through matrix products, and which records the shapes it sees."""

    decision_dim = 3

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.recurrent = torch.randn(40, 40, generator=generator) / 6
        self.read_in = torch.randn(3, 40, generator=generator)
        self.shapes: list[torch.Size] = []

    def encode(self, context: Context) -> State:
        self.shapes.append(context.frames.shape)
        pixels = context.frames[:, -1].flatten(1)
        return State((pixels[:, :40] @ self.recurrent).tanh(), pixels[:, :1])

    def imagine(self, state: State, decisions: Tensor) -> Future:
        self.shapes.append(decisions.shape)
        hidden, steps = state.hidden, []
        for decision in decisions.unbind(dim=1):
            hidden = (hidden @ self.recurrent + decision @ self.read_in + state.offset).tanh()
            steps.append(hidden)
        return Future(torch.stack(steps, dim=1), torch.ones(decisions.shape[:2]))

    def embed(self, frames: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, features: Tensor) -> Tensor:
        raise NotImplementedError


class SquaredDistance:
    def target(self, goal: Tensor) -> Tensor:
        return goal.flatten(1)[:, :40]

    def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
        return (future.features[:, -1] - target).square().sum(-1) + decisions.square().sum((1, 2))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def states(batch: int) -> State:
    return State(random(batch, 40, seed=1), random(batch, 1, seed=2))


@pytest.mark.parametrize("chunk", [1, 7, 50, 64])
def test_costs_are_those_of_a_plain_loop_whatever_the_chunk(chunk: int) -> None:
    model, cost, state = Dense(), SquaredDistance(), states(3)
    candidates, target = random(3, 50, 4, 3), random(3, 40, seed=3)
    costs = Pricing(model, state, cost, target, chunk)(candidates)
    for b in range(3):
        for n in range(50):
            decisions = candidates[b, n][None]
            one = State(state.hidden[b][None], state.offset[b][None])
            expected = cost(model.imagine(one, decisions), decisions, target[b][None])
            torch.testing.assert_close(costs[b, n], expected[0])


def test_padding_changes_no_bits_of_an_elementwise_model(point_mass: Any) -> None:
    class Distance(SquaredDistance):
        def __call__(self, future: Future, decisions: Tensor, target: Tensor) -> Tensor:
            return (future.features[:, -1] - target).square().sum(-1)

    context = Context(point_mass.decode(torch.tensor([[20.0, 20.0]]))[:, None], torch.zeros(1, 0, 2))
    state, target, candidates = point_mass.encode(context), torch.full((1, 2), 30.0), random(1, 200, 6, 2)
    whole, *others = (
        Pricing(point_mass, state, Distance(), target, chunk)(candidates) for chunk in (200, 7, 64, 256)
    )
    assert all(torch.equal(whole, other) for other in others)


@pytest.mark.parametrize(("chunk", "calls"), [(50, 1), (20, 3), (64, 1)])
def test_the_model_only_sees_full_chunks(chunk: int, calls: int) -> None:
    model = Dense()
    Pricing(model, states(2), SquaredDistance(), random(2, 40), chunk)(random(2, 50, 4, 3))
    assert model.shapes == [torch.Size([chunk, 4, 3])] * (2 * calls)


@pytest.mark.parametrize("chunk", [200, 64, 256])
def test_a_batch_of_two_equals_two_batches_of_one(chunk: int) -> None:
    model, cost, state = Dense(), SquaredDistance(), states(2)
    candidates, target = random(2, 200, 4, 3), random(2, 40, seed=3)
    together = Pricing(model, state, cost, target, chunk)(candidates)
    for b in (0, 1):
        rows = slice(b, b + 1)
        one = State(state.hidden[rows], state.offset[rows])
        alone = Pricing(model, one, cost, target[rows], chunk)(candidates[rows])
        assert torch.equal(alone[0], together[b])


def test_encoding_goes_row_by_row_and_keeps_the_order() -> None:
    model = Dense()
    context = Context(random(3, 2, 3, 8, 8), torch.zeros(3, 1, 2))
    state = encode_rows(model, context)
    assert model.shapes == [torch.Size([1, 2, 3, 8, 8])] * 3
    whole = model.encode(context)
    torch.testing.assert_close(state.hidden, whole.hidden)
    torch.testing.assert_close(state.offset, whole.offset)


def test_targets_go_row_by_row() -> None:
    goal = random(3, 3, 8, 8)
    assert torch.equal(target_rows(SquaredDistance(), goal), goal.flatten(1)[:, :40])


def test_repeat_row_copies_one_row_of_every_field() -> None:
    state = states(3)
    repeated = repeat_row(state, 1, 4)
    assert torch.equal(repeated.hidden, state.hidden[1].repeat(4, 1))
    assert torch.equal(repeated.offset, state.offset[1].repeat(4, 1))
    assert repeated.hidden.is_contiguous()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (Untidy(torch.zeros(1, 2), "x"), "field 'label' must be a tensor, got str"),
        ({"hidden": torch.zeros(1, 2)}, "must be a frozen dataclass of tensors, got dict"),
    ],
)
def test_a_state_must_be_a_dataclass_of_tensors(state: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        repeat_row(state, 0, 2)


def test_wrong_sizes_are_named() -> None:
    make: Callable[[int], Any] = lambda chunk: Pricing(  # noqa: E731
        Dense(), states(2), SquaredDistance(), random(2, 40), chunk
    )
    with pytest.raises(ValueError, match="at least 1, got 0"):
        make(0)
    with pytest.raises(ValueError, match="3 rows, the target 2"):
        make(10)(random(3, 10, 4, 3))
