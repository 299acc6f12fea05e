"""An evaluation: who acts where, compared on the same episodes, in any world.

Outcomes are appended to ``<out>.episodes.jsonl`` as they come, so that an interrupted evaluation goes on
where it stopped.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from envs.world import Episodes, Start, World
from planner.episode import Outcome
from planner.evaluation.journal import journal_path
from planner.goals import Goal
from planner.low_levels.low_level import LowLevel
from planner.pursuit import EpisodeConfig, Randomness
from planner.search.hierarchy import Count
from planner.subgoals import Subgoals, no_subgoals
from world_models.eye import Eye
from world_models.frames import Picture

Trial = tuple[str, str]
"""One row of the table: the values of the evaluation's two labels."""
Settings = dict[str, Any]
"""What outcomes depend on; JSON types."""


@dataclass(frozen=True)
class Proposer:
    """Where subgoals come from."""

    subgoals: Callable[[World[Any], Start], Subgoals] = lambda world, start: no_subgoals
    keyframes: Count | None = None
    """Size of its plans, the goal included; None where that says nothing."""
    imagined: Callable[[int], int] = lambda subgoals: 0
    """Keyframes that a learned model imagines for a plan of so many subgoals."""


@dataclass(frozen=True)
class Team:
    """Who acts in a trial, and by which rules."""

    low_level: LowLevel
    proposer: Proposer = field(default_factory=Proposer)
    config: EpisodeConfig = field(default_factory=EpisodeConfig)
    device: str = "cpu"
    """Where pictures are handed over."""
    eye: Eye = field(default_factory=Eye)
    """What pictures pass through before they are handed over."""
    goal: Goal | None = None
    """What of the goal picture counts, where that is not what the world says."""


Run = Callable[[Trial, int], Outcome]
"""Run an episode of a trial, here and now."""


class Evaluation(ABC):
    """An evaluation as its command line states it. It is sent to the processes that run its episodes."""

    verb: ClassVar[str]
    """The command, as in ``python -m <verb>``."""
    labels: ClassVar[tuple[str, str]]
    """What rows say of themselves."""
    start_label: ClassVar[str]
    """What records call the digest of their start."""

    episodes: int
    workers: int
    ray: str | None = None
    """Address of the Ray cluster that runs them, if one does."""
    device: str = "cpu"
    out: Path
    together: int = 1
    """Episodes that a process runs side by side, where the low level imagines with a learned model."""

    @abstractmethod
    def trials(self) -> list[Trial]:
        """The rows, in the order of the table. Raises ValueError for what is not known."""

    @abstractmethod
    def place(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        """Id and settings of the world that a trial takes place in."""

    @abstractmethod
    def starts(self, trial: Trial) -> Episodes[Any]:
        """The episodes, at least as many as are asked for. Raises ValueError if there are fewer."""

    @abstractmethod
    def dependencies(self, trials: Sequence[Trial]) -> dict[Trial, Settings]:
        """What outcomes depend on beside trial and start (and the type of device).

        Raises:
            ValueError: a setting is wrong, or there is no such model.
        """

    @abstractmethod
    def team(self, trial: Trial, world: World[Any]) -> Team:
        """Who acts; asked once per process and trial."""

    @abstractmethod
    def randomness(self, index: int) -> Randomness:
        """That of all searches of an episode."""

    @abstractmethod
    def content(self, settings: Mapping[Trial, Settings]) -> dict[str, Any]:
        """What the results say beside their rows."""

    def outputs(self) -> list[Path]:
        """The files that are written, but for films."""
        return [self.out, journal_path(self.out)]

    def who(self, trial: Trial) -> str:
        """Who acts, among all who run the same episodes."""
        return ", ".join(trial)

    def order(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """The order in which they are run."""
        return trials

    def length(self, world: World[Any], start: Any) -> int:
        """Most control steps of an episode."""
        return world.length(start)

    def goal_picture(self, trial: Trial, index: int, run: Run) -> Picture | None:
        """What is to be reached, or was by others, where that is not the world's own goal picture."""
        return None

    def pursues(self, trial: Trial) -> bool:
        """Whether the trial is after that goal picture."""
        return True

    def keep(self, trial: Trial, index: int, outcome: Outcome) -> None:
        """Keep more of an outcome than its record."""
        return None

    def film_path(self, trial: Trial, index: int) -> Path | None:
        """Where the episode's video goes, if one is wanted."""
        return None


def check_counts(**counts: int | None) -> None:
    """Raises ValueError if an option of this name is given and below 1."""
    if any(count is not None and count < 1 for count in counts.values()):
        *others, last = [f"--{name}" for name in counts]
        raise ValueError(f"{', '.join(others)} and {last} must be at least 1")


def parse_names(text: str, valid: Sequence[str], what: str) -> list[str]:
    """Comma-separated names, each once; a ValueError names the valid ones."""
    names = split_names(text)
    unknown = [name for name in names if name not in valid]
    if unknown or not names:
        raise ValueError(f"unknown {what} {', '.join(unknown) or '(none)'}; choose from {', '.join(valid)}")
    return names


def split_names(text: str) -> list[str]:
    """Comma-separated names, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
