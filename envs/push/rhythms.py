"""Rhythms of demonstrations: how long its pushes take, and where it rests.

All push the puck along paths of the same kind. What differs is when: a model that expects its keyframes at
constant times meets pushes of nearly equal length (``regular``), of very different length (``irregular``), or
rests between them (``pauses``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from envs.push.ids import PUSH_STEPS

Steps = NDArray[np.int64]

PUSHES = 6
FRAMES = 31
"""States that are saved of a demonstration, evenly spaced, the first among them."""
SPARE = 2
"""Steps left when all pushes should be done."""
FIRST_PUSH = 16
"""Most steps of the first push of a steady tempo, for which the finger has to come from the middle."""
SHORTEST, LONGEST = 6, 42
"""Steps of an irregular push: 2 to 14 frames."""
CONCENTRATION = 0.7
"""... below 1, so that few pushes are long and most are short."""
SHORTEST_REST, LONGEST_REST = 3, 10
"""Frames of a rest."""
MOST_RESTS = 3
DRAWS = 1000
"""Draws of a tempo before it counts as too fast for the approach it needs."""


@dataclass(frozen=True)
class Tempo:
    """Control steps ``[6]`` of each push, and of the rest before each."""

    durations: Steps
    rests: Steps


@dataclass(frozen=True)
class Rhythm:
    """One way to time a demonstration of ``steps`` control steps, of which every ``stride``-th state is kept.

    ``draw`` answers a tempo whose first push is long enough for an approach of so many steps, or None. The
    pushes that were carried out have to last ``first`` and ``later`` frames, least and most.
    """

    what: str
    steps: int
    draw: Callable[[np.random.Generator, int, int], Tempo | None]
    first: tuple[int, int]
    later: tuple[int, int]

    @property
    def stride(self) -> int:
        """Control steps from one saved state to the next."""
        return self.steps // (FRAMES - 1)


def steady(rng: np.random.Generator, approach: int, steps: int) -> Tempo | None:
    """Pushes of 8 to 11 steps; the first may take up to 16, since the finger comes from the middle."""
    first = max(8, approach + 3)
    if first > FIRST_PUSH:
        return None
    durations = np.array([rng.integers(first, max(first, 11) + 1), *rng.integers(8, 12, size=PUSHES - 1)])
    if durations.sum() > steps - SPARE:
        return None
    return Tempo(durations, np.zeros(PUSHES, dtype=np.int64))


def irregular(rng: np.random.Generator, approach: int, steps: int) -> Tempo | None:
    """Pushes of 6 to 42 steps that fill the time together: what the shortest pushes leave of it is shared out
    at random, most of it to few of them (a Dirichlet distribution).
    """
    spread = steps - SPARE - PUSHES * SHORTEST
    for _ in range(DRAWS):
        shares = rng.dirichlet(np.full(PUSHES, CONCENTRATION))
        durations = SHORTEST + np.floor(spread * shares).astype(np.int64)
        if durations.max() <= LONGEST and durations[0] >= approach + 3:
            return Tempo(durations, np.zeros(PUSHES, dtype=np.int64))
    return None


def with_pauses(rng: np.random.Generator, approach: int, steps: int) -> Tempo | None:
    """Steady pushes with one to three rests of 3 to 10 frames before some of them; together they fill the
    time.
    """
    tempo = steady(rng, approach, steps)
    if tempo is None:
        return None
    stride, room = steps // (FRAMES - 1), steps - SPARE - int(tempo.durations.sum())
    count = int(rng.integers(1, MOST_RESTS + 1))
    places = rng.choice(PUSHES, size=count, replace=False)
    for _ in range(DRAWS):
        rests = stride * rng.integers(SHORTEST_REST, LONGEST_REST + 1, size=count)
        if rests.sum() <= room:
            before = np.zeros(PUSHES, dtype=np.int64)
            before[places] = rests
            slower = (steps - SPARE - rests.sum()) / tempo.durations.sum()
            return Tempo(np.floor(tempo.durations * slower).astype(np.int64), before)
    return None


RHYTHMS = MappingProxyType(
    {
        "regular": Rhythm("pushes of nearly equal length", PUSH_STEPS, steady, (4, 8), (4, 6)),
        "irregular": Rhythm("pushes of very different length", 90, irregular, (2, 16), (2, 16)),
        "pauses": Rhythm("rests between the pushes", 90, with_pauses, (2, 18), (2, 18)),
    }
)


def find_rhythm(name: str) -> Rhythm:
    """The rhythm called ``name``.

    Raises:
        ValueError: there is no such rhythm.
    """
    if name not in RHYTHMS:
        raise ValueError(f"no rhythm {name!r}; there are: {', '.join(RHYTHMS)}")
    return RHYTHMS[name]
