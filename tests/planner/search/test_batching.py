"""Shared batches: full, fair, and with the bits of each roll-out alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planner.search.batching import Batcher, Question
from planner.search.rollout import RollOut


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


WEIGHTS = random(64, 64, seed=9)


class Recorder:
    """A function of rows that notes how many it was called with."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.heights: list[int] = []

    def __call__(self, rows: Tensor) -> Tensor:
        self.heights.append(len(rows))
        return self.function(rows)


@pytest.fixture
def product() -> Recorder:
    return Recorder(lambda rows: (rows @ WEIGHTS).tanh())


def questions(function: Callable[..., Tensor], chunk: int, *counts: int) -> list[Question]:
    return [
        Question(RollOut("kind", function, (random(count, 64, seed=i),), chunk))
        for i, count in enumerate(counts)
    ]


def settle(sharing: Batcher, asked: list[Question]) -> list[tuple[int, int, int]]:
    """Answer all; the rows, height and number of questions of every batch."""
    batches = []
    while waiting := [question for question in asked if question.left]:
        batch = sharing.compute(waiting)
        batches.append((batch.rows, batch.height, len(batch.shares)))
    return batches


@pytest.mark.parametrize(
    ("chunk", "counts", "batches"),
    [
        (16, (16,), [(16, 16, 1)]),
        (16, (40,), [(32, 32, 1), (8, 16, 1)]),
        (16, (16, 16, 16, 16), [(64, 64, 4)]),
        (64, (10, 20, 30, 40), [(60, 64, 3), (40, 64, 1)]),
        (200, (200, 200), [(200, 200, 1), (200, 200, 1)]),
        (64, (500,), [(256, 256, 1), (128, 128, 1), (64, 64, 1), (52, 64, 1)]),
    ],
)
def test_batches_are_filled_and_answers_are_those_of_each_alone(
    product: Recorder, chunk: int, counts: tuple[int, ...], batches: list[tuple[int, int, int]]
) -> None:
    asked = questions(product, chunk, *counts)
    assert settle(Batcher("cpu"), asked) == batches
    for question in asked:
        assert torch.equal(question.answer(), question.roll_out.alone())


def test_a_shape_is_trusted_after_trials_and_checked_now_and_then(product: Recorder) -> None:
    sharing, both = Batcher("cpu"), []
    for _ in range(130):
        product.heights.clear()
        settle(sharing, questions(product, 16, 16, 16))
        assert product.heights in ([32], [16, 16, 32])
        both.append(len(product.heights) == 3)
    assert all(both[:8]) and [i for i, checked in enumerate(both) if checked and i >= 8] == [64, 128]


@pytest.mark.parametrize("innocent", [0, 3, 64])
def test_a_shape_with_other_bits_is_found_out_and_given_up(innocent: int) -> None:
    calls = iter(range(10_000))
    mixing = Recorder(lambda rows: rows - (rows.mean() if next(calls) >= 3 * innocent else 0))
    sharing = Batcher("cpu")
    for _ in range(innocent + 3):
        asked = questions(mixing, 16, 16, 16)
        settle(sharing, asked)
    asked = questions(mixing, 16, 16, 16)
    if innocent < 64:
        assert settle(sharing, asked) == [(16, 16, 1)] * 2
        for question in asked:
            assert torch.equal(question.answer(), question.roll_out.alone())


def test_while_a_shape_is_tried_answers_are_those_of_each_alone() -> None:
    mixing = Recorder(lambda rows: rows - rows.mean())
    asked = questions(mixing, 16, 16, 16)
    settle(Batcher("cpu"), asked)
    for question in asked:
        assert torch.equal(question.answer(), question.roll_out.alone())


def test_what_has_no_kind_is_never_shared(product: Recorder) -> None:
    sharing = Batcher("cpu")
    asked = [Question(RollOut(None, product, (random(16, 64, seed=i),), 16)) for i in range(3)]
    assert not sharing.has_room(asked[0])
    assert settle(sharing, asked) == [(16, 16, 1)] * 3


def test_only_rows_of_last_chunks_are_put_beside_others(product: Recorder) -> None:
    # Of the second question only whole chunks fit beside the first one.
    asked = questions(product, 16, 10, 40)
    batches = settle(Batcher("cpu"), asked)
    assert batches[0] == (26, 32, 2)
    for question in asked:
        assert torch.equal(question.answer(), question.roll_out.alone())


def test_an_accelerator_takes_wider_batches(product: Recorder) -> None:
    sharing = Batcher("cuda")
    assert settle(sharing, questions(product, 200, 200, 200, 200, 200)) == [(800, 800, 4)]
