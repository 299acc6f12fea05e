"""Shared batches: full, fair, and with the bits of each roll-out alone."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planner.rollout import RollOut
from server.sharing import Question, Sharing


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


def settle(sharing: Sharing, asked: list[Question]) -> list[tuple[int, int, int]]:
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
    assert settle(Sharing("cpu"), asked) == batches
    for question in asked:
        assert torch.equal(question.answer(), question.roll_out.alone())


def test_a_shape_is_tried_out_once(product: Recorder) -> None:
    sharing = Sharing("cpu")
    settle(sharing, questions(product, 16, 16, 16))
    assert product.heights == [16, 16, 32, 32]
    product.heights.clear()
    settle(sharing, questions(product, 16, 16, 16))
    assert product.heights == [32]


def test_a_function_that_mixes_rows_is_never_shared() -> None:
    mixing = Recorder(lambda rows: rows - rows.mean())
    asked = questions(mixing, 16, 16, 16, 16)
    assert settle(Sharing("cpu"), asked) == [(16, 16, 1)] * 3
    for question in asked:
        assert torch.equal(question.answer(), question.roll_out.alone())


def test_only_rows_of_last_chunks_are_put_beside_others(product: Recorder) -> None:
    # Of the second question only whole chunks fit beside the first one.
    asked = questions(product, 16, 10, 40)
    batches = settle(Sharing("cpu"), asked)
    assert batches[0] == (26, 32, 2)
    for question in asked:
        assert torch.equal(question.answer(), question.roll_out.alone())


def test_an_accelerator_takes_wider_batches(product: Recorder) -> None:
    sharing = Sharing("cuda")
    assert settle(sharing, questions(product, 200, 200, 200, 200, 200)) == [(800, 800, 4)]
