"""Running an evaluation: outcomes kept as they come, rows and a table of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from envs.world import Column, Record
from envs.worlds import find_world
from planner.evaluation.evaluation import Evaluation, Trial
from planner.evaluation.films import is_film_of
from planner.evaluation.journal import journal_path, resume, run_missing
from planner.evaluation.results import markdown_table, summarise
from planner.evaluation.worker import run_some, start_worker
from world_models.files import write_results
from world_models.jobs.identity import fingerprint
from world_models.jobs.outputs import check_folder, check_outputs

VERSION = 3
"""Of the records: outcomes kept by other versions are not taken over."""


def evaluate(run: Evaluation) -> tuple[dict[str, Any], dict[Trial, list[Record]]]:
    """Run all episodes of all trials and write the results as JSON; answers them, and the outcomes behind.

    Raises:
        ValueError: a setting is wrong; nothing was run or written.
    """
    trials = run.trials()
    check_outputs("--out", *run.outputs())
    for trial in trials:
        if (film := run.film_path(trial, 0)) is not None:
            check_folder("--video", film.parent)
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
    missing = {
        key: wanted[key]
        for key in wanted
        if key not in records or not _is_filmed(run, *key, fingerprint(wanted[key]))
    }
    done = len(wanted) - len(missing)
    records |= run_missing(
        journal,
        missing,
        done,
        run.workers,
        start_worker,
        (run,),
        run_some,
        run.together,
        ray=run.ray,
        device=run.device,
    )
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


def _is_filmed(run: Evaluation, first: str, second: str, index: int, identity: str) -> bool:
    """Whether the episode's video is there, if one is wanted, and no other's of that name."""
    film = run.film_path((first, second), index)
    return film is None or is_film_of(film, identity)
