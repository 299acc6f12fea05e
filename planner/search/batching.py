"""Roll-outs of several requests in one call of the model, with the bits of each request alone.

A larger batch is often faster, but a matrix product may round differently for another number of rows, or in
another place. Products in bfloat16 do: what is computed with them has no kind and is never shared. Others are
tried: the first batches of every new shape, and some later ones, are computed both ways and answered with the
bits of each request alone; where a single bit differs, that shape is never used again for these roll-outs.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from planner.search.rollout import RollOut, call

_WIDEST_CPU, _WIDEST_ACCELERATOR = 256, 4096
"""Rows of the widest batch: beyond, rows gain nothing from company and others wait longer."""
_TRIALS, _CHECKED = 8, 64
"""Batches that must agree before a shape is trusted, and after how many more it is checked again."""


class Question:
    """A roll-out that is being answered, batch by batch."""

    def __init__(self, roll_out: RollOut) -> None:
        self.roll_out = roll_out
        self.done = 0
        self._pieces: list[Tensor] = []

    @property
    def left(self) -> int:
        """Rows that wait for an answer."""
        return len(self.roll_out) - self.done

    def next_rows(self, count: int) -> tuple[Tensor, ...]:
        """The inputs of the next ``count`` rows."""
        return self.roll_out.rows(self.done, self.done + count)

    def take(self, piece: Tensor) -> None:
        """The answer for the next rows."""
        self._pieces.append(piece)
        self.done += len(piece)

    def answer(self) -> Tensor:
        """All rows of output, once none is left."""
        return self._pieces[0] if len(self._pieces) == 1 else torch.cat(self._pieces)


class Batcher:
    """Computes one batch at a time for questions of one kind, the first of them first."""

    def __init__(self, device: str) -> None:
        self._widest = _WIDEST_CPU if torch.device(device).type == "cpu" else _WIDEST_ACCELERATOR
        self._passed: dict[tuple[Hashable, int], int] = {}

    def forget(self) -> None:
        """Forget what was found out, and with it the models it was found out about."""
        self._passed = {}

    def has_room(self, question: Question) -> bool:
        """Whether others' rows may be computed with the next rows of a question."""
        roll_out = question.roll_out
        fits = question.left < roll_out.chunk or 2 * roll_out.chunk <= self._widest
        return roll_out.kind is not None and fits

    def compute(self, questions: Sequence[Question]) -> "Batch":
        """Answer some rows of the first question, and of others if they may share its batch."""
        chunk = questions[0].roll_out.chunk
        rows = sum(question.left for question in questions)
        for height in self._heights(chunk, rows):
            batch = _filled(questions, height, chunk)
            if (pieces := self._exact(batch)) is not None:
                break
        else:
            batch = _filled(questions[:1], chunk, chunk)
            pieces = batch.output()
        for (question, _), piece in zip(batch.shares, pieces, strict=True):
            question.take(piece)
        return batch

    def _heights(self, chunk: int, rows: int) -> list[int]:
        """Sizes of batches to try, the largest that can be filled first."""
        heights = [chunk]
        while 2 * heights[-1] <= min(self._widest, rows):
            heights.append(2 * heights[-1])
        return heights[::-1]

    def _exact(self, batch: "Batch") -> Sequence[Tensor] | None:
        """The answers, with the bits of each question alone; None if such batches have others."""
        if len(batch.shares) == 1 and batch.height == batch.roll_out.chunk:
            return batch.output()
        if batch.roll_out.kind is None:
            return None
        verdicts, key = self._passed, (batch.roll_out.kind, batch.height)
        passed = verdicts.get(key, 0)
        if passed < 0:
            return None
        if passed >= _TRIALS and passed % _CHECKED:
            verdicts[key] = passed + 1
            return batch.output()
        alone = batch.alone()
        same = all(_same_bits(one, other) for one, other in zip(alone, batch.output(), strict=True))
        verdicts[key] = passed + 1 if same else -1
        return alone


@dataclass(frozen=True)
class Batch:
    """The next rows of some questions, to be computed in one call of ``height`` rows."""

    height: int
    shares: tuple[tuple[Question, int], ...]

    @property
    def roll_out(self) -> RollOut:
        """That of the first question; the others are of its kind."""
        return self.shares[0][0].roll_out

    @property
    def rows(self) -> int:
        """Rows that somebody waits for."""
        return sum(share for _, share in self.shares)

    def output(self) -> tuple[Tensor, ...]:
        """The rows of output of each question."""
        portions = [question.next_rows(share) for question, share in self.shares]
        inputs = tuple(torch.cat(column) for column in zip(*portions, strict=True))
        output = call(self.roll_out.function, inputs, self.height)
        return output.split([share for _, share in self.shares])

    def alone(self) -> list[Tensor]:
        """The same, each question's as if there were no other."""
        whole = self.roll_out
        return [
            RollOut(whole.kind, question.roll_out.function, question.next_rows(share), whole.chunk).alone()
            for question, share in self.shares
        ]


def _filled(questions: Sequence[Question], height: int, chunk: int) -> Batch:
    """A batch of this height: of each question whole chunks, or all rows that are left."""
    shares, room = [], height
    for question in questions:
        share = question.left if question.left <= room else room - room % chunk
        if share:
            shares.append((question, share))
            room -= share
    return Batch(height, tuple(shares))


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8))
