"""What a world is: a place one can act in, seen through pictures. Nothing here knows a particular one."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.batch_simulator import Simulator
from world_models.segmenter import Wanted

Picture = NDArray[np.uint8]
"""``[H, W, 3]``."""
Measures = Mapping[str, Any]
"""True figures of a moment by name: for results and recordings, never for a model."""
Record = dict[str, Any]
"""What is kept of an episode; JSON types."""


class Diverged(Exception):
    """The simulation has become unstable: the episode cannot go on."""


@runtime_checkable
class Start(Protocol):
    """Where an episode starts; ``digest`` names it exactly."""

    @property
    def digest(self) -> str: ...


S = TypeVar("S", bound=Start)


@dataclass(frozen=True)
class Episodes(Generic[S]):
    """Episodes to be judged on, in order."""

    name: str
    seed: int
    """What they were drawn with."""
    fingerprint: str
    """Names the content of their manifest, or what was drawn, exactly."""
    starts: Sequence[S]


@dataclass(frozen=True)
class Column:
    """A column of a results table: what it adds to a row's JSON, and how that reads."""

    title: str
    figures: Callable[[Sequence[Record], Mapping[str, Sequence[Record]]], dict[str, Any]]
    """(a row's episodes, those of all rows about the same episodes by who acts) -> figures by JSON key."""
    text: Callable[[Mapping[str, Any]], str]
    """A row's figures -> its cell."""


def mean_column(title: str, key: str, field: str, form: str = ".3f") -> Column:
    """The mean of a field of the records, under ``key``."""
    return Column(
        title,
        lambda records, _: {key: float(np.mean([record[field] for record in records]))},
        lambda row: f"{row[key]:{form}}",
    )


@dataclass(frozen=True)
class Demonstrated:
    """A demonstration: its pictures, evenly spaced in time, and which of them are true keyframes, the last
    one at the goal.
    """

    pictures: Sequence[Picture]
    keyframes: Sequence[int]


class World(ABC, Generic[S]):
    """A place one can act in. Subclasses are made with the defaults of what they are, by one process each."""

    id: str
    """``push``, ``dmc/walker-walk``: what :func:`envs.worlds.make_world` makes it by."""
    env: gymnasium.Env[Picture, NDArray[np.float64]]
    """Its observations are pictures uint8 ``[H, W, 3]``, its actions a box ``[-1, 1]^A``."""
    steps: int
    """Control steps of a whole episode."""
    goal: Wanted | None = None
    """What of its goal pictures is wanted; None where reward is what counts."""
    columns: ClassVar[Sequence[Column | str]] = (
        mean_column("return", "return_mean", "return"),
        "steps",
        "imagined",
        "decision_seconds",
    )
    """Those of its results: its own, and those of the closed loop by their names."""

    @property
    def image_size(self) -> int:
        """Height and width of its pictures."""
        return int(self.env.observation_space.shape[0])  # type: ignore[index]

    @property
    def action_size(self) -> int:
        """A, the numbers of an action."""
        return int(self.env.action_space.shape[0])  # type: ignore[index]

    @abstractmethod
    def episodes(self, count: int, seed: int | None = None) -> Episodes[S]:
        """The frozen episodes, at least ``count`` of them; or as many new ones drawn with ``seed``.

        Raises:
            ValueError: fewer are frozen, or none can be drawn.
        """

    @abstractmethod
    def begin(self, start: S) -> tuple[Picture, Picture | None]:
        """Start an episode: its first picture, and the goal's where pictures can show one."""

    def length(self, start: S) -> int:
        """Control steps of an episode from there, at most."""
        return self.steps

    @abstractmethod
    def measure(self) -> Measures:
        """True figures of this moment; ``reward``, where there is one, is that of the last step."""

    def step(self, action: NDArray[np.float32]) -> Picture:
        """Do the action ``[A]`` and see what comes of it.

        Raises:
            Diverged: the simulation has become unstable.
        """
        picture, *_ = self.env.step(action.astype(np.float64))
        return picture

    @property
    def over(self) -> bool:
        """Whether the world itself has ended the episode."""
        return False

    def simulator(self, pool: int, threads: int = 1) -> Simulator[Any] | None:
        """The true dynamics for up to ``pool`` candidates at once, where there are any.

        Their features are what ``goal`` is about: pixels of the object and what moves it, or ``[reward]``.
        """
        return None

    def demonstrate(self, start: S) -> Demonstrated | None:
        """A demonstration from there; None where nobody can demonstrate."""
        return None

    def record(
        self, start: S, measures: Sequence[Measures], plans: Sequence[Sequence[tuple[float, ...]]]
    ) -> Record:
        """What results keep of an episode: of the measures at its start and after every step, and of where
        each plan's subgoals show what is wanted.
        """
        return {"return": sum(measure["reward"] for measure in measures[1:])}

    def close(self) -> None:
        """Free the environment."""
        self.env.close()


def canonical(value: object) -> bytes:
    """JSON of which equal values have equal bytes, for digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
