"""Many episodes over several processes, every outcome kept as it comes.

Outcomes are lines of JSON in ``<out>.episodes.jsonl``, so that an interrupted evaluation goes on where it
stopped, and one with other settings leaves them alone.
"""

import json
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

from tqdm import tqdm

from world_models.files import write_bytes
from world_models.jobs.identity import fingerprint
from world_models.jobs.workers import Job, run_jobs

Record = dict[str, Any]
Key = TypeVar("Key", bound=tuple[str | int, ...])
"""Names one episode of an evaluation: the values of some fields of its record."""


def journal_path(out: Path) -> Path:
    """Where the outcomes behind the results in ``out`` are kept."""
    return out.with_name(out.name + ".episodes.jsonl")


def resume(journal: Path, fields: tuple[str, ...], wanted: Mapping[Key, Record]) -> dict[Key, Record]:
    """Outcomes of earlier runs that are still valid; other whole lines of the journal are left in it.

    ``fields`` are those that make up a key; a record is valid if it holds all that ``wanted`` says of it.
    """
    records, lines = {}, []
    for line in journal.read_text().splitlines() if journal.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be torn
        lines.append(line)
        key = cast(Key, tuple(record.get(field) for field in fields))
        if key in wanted and all(record.get(name) == value for name, value in wanted[key].items()):
            records[key] = record
    write_bytes(journal, "".join(line + "\n" for line in lines).encode())
    return records


def append(file: TextIO, record: Record) -> None:
    """Add an outcome to a journal that is open for appending."""
    file.write(json.dumps(record) + "\n")
    file.flush()


def run_missing(
    journal: Path,
    missing: Mapping[Key, Record],
    done: int,
    workers: int,
    start: Callable[..., None],
    arguments: tuple[Any, ...],
    episodes: Callable[..., list[Record]],
    together: int,
    ray: str | None = None,
    device: str = "cpu",
) -> dict[Key, Record]:
    """Run ``episodes((*key, identity), ...)`` for all missing keys; the records, with what is wanted, are
    written.

    ``identity`` is the fingerprint of all that the episode depends on. Up to ``together`` keys that differ in
    the last field alone are run in one call.

    Each of the ``workers`` processes first calls ``start(*arguments)``; with ``ray`` they are those of a
    cluster, see :func:`run_jobs`. ``done`` episodes count as finished on the progress bar.
    """
    records = {}
    with (
        tqdm(total=done + len(missing), initial=done, unit="episode") as bar,
        journal.open("a") as file,
    ):

        def keep(job: Job, found: list[Record]) -> None:
            for (*fields, _), record in zip(job, found, strict=True):
                key = cast(Key, tuple(fields))
                records[key] = record | missing[key]
                append(file, records[key])
                bar.update()

        asked = [(*key, fingerprint(missing[key])) for key in missing]
        trials = [list(keys) for _, keys in groupby(asked, lambda key: key[:-2])]
        jobs = [
            tuple(keys[first : first + together])
            for keys in trials
            for first in range(0, len(keys), together)
        ]
        run_jobs(
            episodes,
            jobs,
            keep,
            workers=workers,
            start=start,
            arguments=arguments,
            ray=ray,
            device=device,
        )
    return records
