"""Repeat a state for every candidate, imagine, score: what joins a model, a cost and the search.

Every model call has the same shape whatever the batch, and never mixes rows: matrix products may
round differently for another number of rows, so this is what makes the plan of a request the same
bits alone or fused with others.
"""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from math import ceil
from typing import Any, Generic, Literal, Protocol, TypeVar, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from planner.search.costs import Cost
from world_models.interface import Context, Dynamics, State, StateIn, WorldModel

T = TypeVar("T")
ROWS = {"cpu": 256}
"""Most candidates imagined at once, by kind of device: what fits a CPU's cache; ..."""
MANY_ROWS = 8192
"""... elsewhere what bounds memory when thousands are asked for."""
Interruption = Literal["deadline", "cancelled"]


@dataclass(frozen=True, eq=False)
class RollOut:
    """Rows for a function that treats each on its own: what a search waits for.

    Attributes:
        kind: roll-outs of equal kinds have the same function, chunk and shapes of rows: they may share calls.
            None where the bits of a row depend on its place and company.
        function: ``chunk`` rows of every input to ``chunk`` rows of output.
        inputs: N rows each.
        chunk: rows per call; the last call is filled up with copies of the last row.
    """

    kind: Hashable | None
    function: Callable[..., Tensor]
    inputs: tuple[Tensor, ...]
    chunk: int

    def __len__(self) -> int:
        return len(self.inputs[0])

    def rows(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """These rows of every input."""
        return tuple(part[start:stop] for part in self.inputs)

    def alone(self) -> Tensor:
        """The N rows of output, computed with no others."""
        pieces = [
            call(self.function, self.rows(start, start + self.chunk), self.chunk)
            for start in range(0, len(self), self.chunk)
        ]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


class Interrupted(Exception):
    """Work that waits for a roll-out will not get it; ``reason`` says why."""

    def __init__(self, reason: Interruption) -> None:
        super().__init__(reason)
        self.reason = reason


def call(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], rows: int) -> Tensor:
    """The output for the N <= ``rows`` rows of the inputs, filled up to exactly ``rows`` for the call."""
    count = len(inputs[0])
    return function(*(_filled(part, rows) for part in inputs))[:count]


def drive(work: Generator[Any, Any, T], heed: Callable[[Any], Any] = lambda event: None) -> T:
    """Do work that waits for roll-outs, alone; whatever else it yields is answered by ``heed``."""
    answer = None
    while True:
        try:
            asked = work.send(answer)
        except StopIteration as end:
            return cast(T, end.value)
        answer = asked.alone() if isinstance(asked, RollOut) else heed(asked)


class Pricing(Generic[State]):
    """The costs of what ``model`` imagines from a state of B rows, for the search.

    The N candidates of each row reach the model in batches of exactly ``chunk``.
    """

    def __init__(
        self, model: Dynamics[State], state: State, cost: Cost, target: Float[Tensor, "B G"], chunk: int
    ) -> None:
        """Raises ValueError if ``chunk`` is not positive."""
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}")
        self._model, self._state, self._cost, self._target, self._chunk = model, state, cost, target, chunk

    def __call__(self, candidates: Float[Tensor, "B N L D"]) -> Float[Tensor, "B N"]:
        """Costs, computed here and now. Raises ValueError if candidates and target have unequal rows."""
        return drive(self.ask(candidates))

    def ask(self, candidates: Float[Tensor, "B N L D"]) -> Generator[RollOut, Tensor, Float[Tensor, "B N"]]:
        """Costs, from roll-outs that somebody else computes: one per row of the batch. Raises likewise."""
        if len(candidates) != len(self._target):
            raise ValueError(f"candidates have {len(candidates)} rows, the target {len(self._target)}")
        costs = []
        for roll_out in self._roll_outs(candidates):
            costs.append((yield roll_out))
        return torch.stack(costs)

    def _roll_outs(self, candidates: Float[Tensor, "B N L D"]) -> Iterator[RollOut]:
        model, cost, state = self._model, self._cost, self._state
        columns = _tensors(state).values()

        def price(decisions: Tensor, target: Tensor, *parts: Tensor) -> Tensor:
            return cost(model.imagine(_rebuilt(state, parts), decisions), decisions, target)

        kind = None
        if getattr(model, "exact_rows", True):
            kind = (model, cost, type(state), self._chunk, candidates.shape[2:])
        for row, decisions in enumerate(candidates):
            single = _row_of(columns, row, len(decisions))
            target = self._target[row].expand(len(decisions), -1)
            yield RollOut(kind, price, (decisions, target, *single), self._chunk)


@runtime_checkable
class Proposer(Protocol[StateIn]):
    """Somebody who would know what to do without a search, such as a learned policy.

    Pure like :class:`~world_models.interface.Dynamics`, rows do not influence each other.
    """

    def propose(self, state: StateIn, noise: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        """Decisions from each state: the best guess where the noise is zero, others elsewhere."""
        ...


@dataclass(frozen=True)
class Proposals(Generic[State]):
    """Sequences that somebody else suggests: candidates of a search beside those that it draws."""

    proposer: Proposer[State]
    count: int
    """P, at least 1; the first of them is without noise."""
    spread: float
    """Standard deviation of the noise of the others."""

    def ask(
        self, state: State, shape: torch.Size, generators: Sequence[torch.Generator]
    ) -> Generator[RollOut, Tensor, Float[Tensor, "B P L D"]]:
        """They are computed by somebody else, a roll-out per row of the state, which has as many as there are
        generators; ``shape`` is that of a sequence, L D.
        """
        proposer, columns = self.proposer, _tensors(state).values()

        def propose(noise: Tensor, *parts: Tensor) -> Tensor:
            return proposer.propose(_rebuilt(state, parts), noise)

        kind = None
        if getattr(proposer, "exact_rows", True):
            kind = (proposer, type(state), self.count, shape)
        found = []
        for row, generator in enumerate(generators):
            # Drawn on the CPU: one seed means the same noise on every device.
            noise = self.spread * torch.randn(self.count, *shape, generator=generator)
            noise[0] = 0.0
            device = next(iter(columns)).device
            inputs = (noise.to(device), *_row_of(columns, row, self.count))
            found.append((yield RollOut(kind, propose, inputs, self.count)))
        return torch.stack(found)


def chunk_size(candidates: int, device: torch.device) -> int:
    """The size of equal chunks, as large as the device likes them, so that padding wastes next to nothing."""
    return ceil(candidates / ceil(candidates / ROWS.get(device.type, MANY_ROWS)))


def encode_rows(model: WorldModel[State], context: Context) -> State:
    """The state of a context of B rows, encoded one row at a time."""
    rows = range(context.frames.shape[0])
    states = [model.encode(Context(context.frames[b : b + 1], context.actions[b : b + 1])) for b in rows]
    if len(states) == 1:
        return states[0]
    columns = [_tensors(state) for state in states]
    joined = {name: torch.cat([column[name] for column in columns]) for name in columns[0]}
    return cast(State, replace(cast(Any, states[0]), **joined))


def target_rows(cost: Cost, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
    """The targets of B goal images, computed one row at a time."""
    return torch.cat([cost.target(goal[b : b + 1]) for b in range(goal.shape[0])])


def repeat_row(state: State, row: int, count: int) -> State:
    """A state with ``count`` rows, all equal to one row of ``state``."""
    return _rebuilt(state, [_repeat(tensor, row, count) for tensor in _tensors(state).values()])


def _row_of(columns: Iterable[Tensor], row: int, count: int) -> list[Tensor]:
    """One row of every tensor, ``count`` times."""
    return [column[row].expand(count, *column.shape[1:]) for column in columns]


def _rebuilt(state: State, parts: Sequence[Tensor]) -> State:
    """A state of the same kind with other tensors."""
    named = dict(zip(_tensors(state), parts, strict=True))
    return cast(State, replace(cast(Any, state), **named))


def _repeat(tensor: Tensor, row: int, count: int) -> Tensor:
    # A copy even of one row: gradients cannot pass through tensors made in inference mode.
    return tensor[row].expand(count, *tensor.shape[1:]).clone(memory_format=torch.contiguous_format)


def _filled(rows: Tensor, count: int) -> Tensor:
    """Exactly ``count`` rows in one piece of memory, by copies of the last one."""
    missing = count - len(rows)
    if missing:
        rows = torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])
    return rows.contiguous()


def _tensors(state: object) -> dict[str, Tensor]:
    if not is_dataclass(state) or isinstance(state, type):
        raise TypeError(f"a state must be a frozen dataclass of tensors, got {type(state).__name__}")
    values = {field.name: getattr(state, field.name) for field in fields(state)}
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"state field {name!r} must be a tensor, got {type(value).__name__}")
    return values
