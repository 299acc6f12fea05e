"""An evaluation: who acts where, compared on the same episodes, in any world.

Outcomes are appended to ``<out>.episodes.jsonl`` as they come, so that an interrupted evaluation goes on
where it stopped.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from envs.world import Column, Episodes, Record, Start, World
from envs.worlds import find_world
from planner.episode import Outcome
from planner.evaluation.journal import journal_path, resume, run_missing
from planner.evaluation.results import markdown_table, summarise
from planner.low_levels.low_level import LowLevel
from planner.pursuit import EpisodeConfig, Randomness
from planner.subgoals import Subgoals, no_subgoals
from world_models.files import write_results
from world_models.frames import Picture

VERSION = 2
"""Of the records: outcomes kept by other versions are not taken over."""
Trial = tuple[str, str]
"""One row of the table: the values of the evaluation's two labels."""
Settings = dict[str, Any]
"""What outcomes depend on; JSON types."""


@dataclass(frozen=True)
class Proposer:
    """Where subgoals come from."""

    subgoals: Callable[[World[Any], Start], Subgoals] = lambda world, start: no_subgoals
    keyframes: int | None = None
    """Size of its plans, the goal included, where that is known."""
    imagined: int = 0
    """Keyframes that a learned model imagines for a plan."""


@dataclass(frozen=True)
class Team:
    """Who acts in a trial, and by which rules."""

    low_level: LowLevel
    proposer: Proposer = field(default_factory=Proposer)
    config: EpisodeConfig = field(default_factory=EpisodeConfig)
    device: str = "cpu"
    """Where pictures are handed over."""


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
    out: Path

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


def evaluate(run: Evaluation) -> tuple[dict[str, Any], dict[Trial, list[Record]]]:
    """Run all episodes of all trials and write the results as JSON; answers them, and the outcomes behind.

    Raises:
        ValueError: a setting is wrong; nothing was run or written.
    """
    from planner.evaluation.worker import run_one, start_worker

    trials = run.trials()
    starts = {trial: run.starts(trial).starts[: run.episodes] for trial in trials}
    settings = run.dependencies(trials)
    wanted = {
        (*trial, index): {
            run.start_label: start.digest,
            "settings": settings[trial],
            "version": VERSION,
        }
        for trial in run.order(trials)
        for index, start in enumerate(starts[trial])
    }
    journal = journal_path(run.out)
    records = resume(journal, (*run.labels, "episode"), wanted)
    missing = {key: wanted[key] for key in wanted if key not in records or not _is_filmed(run, *key)}
    done = len(wanted) - len(missing)
    records |= run_missing(journal, missing, done, run.workers, start_worker, (run,), run_one)
    found = {trial: [records[*trial, index] for index in range(len(starts[trial]))] for trial in trials}
    rows = [_row(run, trial, found) for trial in trials]
    content = {**run.content(settings), "rows": rows}
    return write_results(run.out, run.verb, content, _table(run, trials, rows)), found


def _table(run: Evaluation, trials: Sequence[Trial], rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown, worlds of other columns in tables of their own."""
    tables: dict[tuple[Column | str, ...], list[dict[str, Any]]] = {}
    for trial, row in zip(trials, rows, strict=True):
        tables.setdefault(tuple(find_world(run.place(trial)[0]).columns), []).append(row)
    return "\n\n".join(markdown_table(group, run.labels, columns) for columns, group in tables.items())


def _row(run: Evaluation, trial: Trial, found: Mapping[Trial, list[Record]]) -> dict[str, Any]:
    world = run.place(trial)
    together = {run.who(other): found[other] for other in found if run.place(other) == world}
    labels = dict(zip(run.labels, trial, strict=True))
    return summarise(labels, found[trial], find_world(world[0]).columns, together)


def _is_filmed(run: Evaluation, first: str, second: str, index: int) -> bool:
    """Whether the episode's video is there, if one is wanted."""
    film = run.film_path((first, second), index)
    return film is None or film.exists()


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
