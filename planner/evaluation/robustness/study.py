"""A study: evaluations of the same episodes in one world after another, the standard one first."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from tqdm import tqdm

from planner.evaluation.evaluation import Evaluation
from planner.evaluation.robustness.contact_sheet import draw_sheet
from planner.evaluation.robustness.shifts import Change, V
from world_models.files import write_results
from world_models.jobs.outputs import check_outputs

E = TypeVar("E", bound=Evaluation)
Row = dict[str, Any]


class Study(ABC, Generic[V, E]):
    """A study as its command line states it."""

    verb: ClassVar[str]
    """The command, as in ``python -m <verb>``."""
    out: Path

    @abstractmethod
    def changes(self) -> list[Change[V]]:
        """The worlds, the standard first. Raises ValueError, with the valid names, for what is not known."""

    @abstractmethod
    def evaluation(self, change: Change[V]) -> E:
        """The evaluation that yields this world's rows."""

    @abstractmethod
    def evaluate(self, evaluation: E) -> dict[str, Any]:
        """Run it; answers the JSON content of its results."""

    @abstractmethod
    def row(self, change: Change[V], row: Row, standard: Row) -> Row:
        """What the study keeps of a row, given that of the same labels in the standard world."""

    @abstractmethod
    def content(self, outcome: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
        """What the results say beside their rows, given the results of an evaluation."""

    @abstractmethod
    def table(self, rows: Sequence[Row]) -> str:
        """The rows as a Markdown table."""

    def place(self, change: Change[V]) -> Path:
        """Where the results of one world go."""
        return self.out.with_name(self.out.name + ".variations") / f"{change.name}.json"

    def sheet_path(self) -> Path:
        """Where the pictures of all worlds go."""
        return self.out.with_suffix(".png")

    def drawings(self) -> list[Path]:
        """All pictures that are drawn."""
        return [self.sheet_path()]

    def draw(self, rows: Sequence[Row]) -> None:
        """Draw what can only be drawn when all rows are there."""
        return None


def measure(study: Study[V, E], evaluation: Callable[[E], dict[str, Any]] | None = None) -> dict[str, Any]:
    """Draw how all worlds begin, evaluate in each and write the rows to ``study.out``; returns the JSON
    content. ``evaluation`` takes the place of :meth:`Study.evaluate`.
    """
    evaluate = study.evaluate if evaluation is None else evaluation
    changes = study.changes()
    jobs = [study.evaluation(change) for change in changes]
    check_outputs("--out", study.out, *study.drawings())
    draw_sheet({change.name: job for change, job in zip(changes, jobs, strict=True)}, study.sheet_path())
    rows: list[Row] = []
    result: dict[str, Any] = {}
    standard: dict[tuple[str, ...], Row] = {}
    for number, (change, job) in enumerate(zip(changes, jobs, strict=True), start=1):
        job.out.parent.mkdir(parents=True, exist_ok=True)
        tqdm.write(f"{change.name} ({number} of {len(changes)}): {change.what}")
        outcome = evaluate(job)
        for row in outcome["rows"]:
            labels = tuple(row[label] for label in job.labels)
            rows.append(study.row(change, row, standard.setdefault(labels, row)))
        content = {**study.content(outcome, rows), "rows": rows}
        result = write_results(study.out, study.verb, content, study.table(rows))
    study.draw(rows)
    return result
