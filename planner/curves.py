"""Where planners succeed: ``python -m planner.curves table2.json long.json --out curves.png``.

Success rate by the length of the way, by the wall, by the number of keyframes and by simulator steps, over
all episodes of the given results of :mod:`planner.evaluate`. The numbers behind the picture are written
beside it as JSON.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from envs.push.env import SUCCESS
from envs.push.episodes import Scenes, draw_episodes, load_manifest
from envs.push.ids import TASKS_BY_ID
from planner.evaluation.figures import curves as figures
from planner.evaluation.journal import journal_path
from planner.report import Measurement, read_measurement
from world_models.files import write_bytes
from world_models.jobs.command import command
from world_models.statistics import wilson_interval

DISTANCE_BIN = 0.25
"""Width of the bins of initial shortest-path distances, table units."""
WALL_BIN = 0.05
"""Width of the bins of the walls' half-lengths, table units."""


@dataclass(frozen=True)
class Curves:
    """Which results are plotted together."""

    results: tyro.conf.Positional[tuple[Path, ...]]
    """JSON files of planner.evaluate, with their journals (.episodes.jsonl) beside them."""
    out: Path = Path("curves.png")
    """PNG to write; the numbers go to the same name with .json."""


@dataclass(frozen=True)
class Trial:
    """One episode of one planner.

    ``keyframes`` is the size of its plans, None where that is not known or there are none; ``way`` the
    initial shortest-path distance and ``half_length`` that of the first wall, in table units; ``scene`` its
    digest; ``settings`` what the outcome depends on besides (searches, weights, seed), as JSON.
    """

    file: str
    task: str
    planner: str
    keyframes: int | None
    scene: str
    way: float
    walls: int
    half_length: float
    success: bool
    simulator_steps: float
    settings: str

    @property
    def identity(self) -> Hashable:
        """Equal for two trials that are one outcome, kept in two files."""
        return self.planner, self.keyframes, self.scene, self.settings


Entry = dict[str, Any]
"""A group of trials: what they share, ``n``, distinct ``scenes``, ``success_rate`` and ``success_ci95``."""


def read_trials(path: Path) -> list[Trial]:
    """All trials behind a result of :mod:`planner.evaluate`, from its journal.

    Raises:
        ValueError: the file is no such result, its episodes are no longer what they were, or its journal
            lacks some of them.
    """
    measured = read_measurement(path)
    if not measured.maker.endswith("evaluate push"):
        raise ValueError(f"{path} is of {measured.maker}; curves are drawn of planner.evaluate push")
    result, episodes = measured.content, _episodes(measured)
    records = _records(path, result["settings"])
    trials = []
    for row in result["rows"]:
        for index, scene in enumerate(episodes.starts[: row["episodes"]]):
            record = records.get((row["planner"], row["servo"], index))
            if record is None or record["scene"] != scene.digest:
                raise ValueError(
                    f"{journal_path(path)} lacks episode {index} of {row['planner']}; "
                    "`python -m planner.evaluate` runs what is missing"
                )
            trials.append(
                Trial(
                    file=path.stem,
                    task=episodes.task,
                    planner=_name(row),
                    keyframes=record.get("keyframes"),
                    scene=scene.digest,
                    way=record["initial_distance"],
                    walls=len(scene.walls),
                    half_length=scene.walls[0].half_length,
                    success=record["distance"] < SUCCESS,
                    simulator_steps=record["simulator_steps"],
                    settings=json.dumps(record["settings"], sort_keys=True),
                )
            )
    return trials


def _name(row: dict[str, Any]) -> str:
    """The planner, with its low level where that is not the usual one."""
    return f"{row['planner']}, learned servo" if row["servo"] == "learned" else str(row["planner"])


def _episodes(measured: Measurement) -> Scenes:
    """The episodes of a result, drawn again if they are fresh ones."""
    path, result = measured.path, measured.content
    manifest = result["manifest"]
    if result["env"] not in TASKS_BY_ID:
        raise ValueError(f"{path} is about {result['env']}; there are: {', '.join(TASKS_BY_ID)}")
    if manifest["name"].endswith(f"fresh-{manifest['seed']}"):
        count = max(row["episodes"] for row in result["rows"])
        episodes = draw_episodes(manifest["seed"], count, TASKS_BY_ID[result["env"]])
    else:
        episodes = load_manifest(manifest["name"])
    if episodes.fingerprint != manifest["fingerprint"]:
        raise ValueError(
            f"{path}: the episodes {manifest['name']} have changed since (fingerprint "
            f"{manifest['fingerprint'][:16]}, now {episodes.fingerprint[:16]}); evaluate again"
        )
    return episodes


def _records(path: Path, settings: dict[str, Any]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The journal's outcomes with these settings; an evaluation may have left others in it."""
    journal = journal_path(path)
    if not journal.is_file():
        raise ValueError(f"there is no file {journal}; it is written beside {path} and belongs to it")
    records = {}
    for line in journal.read_text().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be torn
        if "servo" not in record:
            continue  # lines did not name it while there was only one
        trial = record["planner"], record["servo"]
        if record["settings"] == settings.get(", ".join(trial)):
            records[*trial, record["episode"]] = record
    return records


def gather(trials: Sequence[Trial]) -> dict[str, list[Entry]]:
    """The points of the four panels.

    ``distance`` and ``half_length`` are binned (``low`` to ``high``, high excluded; ``mean`` of what is in
    the bin); ``half_length`` is about single walls, ``two_walls`` about the others. ``keyframes`` has each
    task apart, ``simulator_steps`` each file. Everywhere a planner's plans of different size are apart.

    An outcome that several files hold counts once, but in ``simulator_steps``, where files are apart. The
    intervals are Wilson's and take trials as independent, also those of several weights in one scene.
    """
    once = list({trial.identity: trial for trial in trials}.values())
    single = [trial for trial in once if trial.walls == 1]
    double = [trial for trial in once if trial.walls > 1]
    return {
        "distance": _binned(once, lambda trial: trial.way, DISTANCE_BIN),
        "half_length": _binned(single, lambda trial: trial.half_length, WALL_BIN),
        "two_walls": [entry for entry, _ in _grouped(double, ())],
        "keyframes": [entry for entry, _ in _grouped(once, ("task",))],
        "simulator_steps": [
            {**entry, "simulator_steps_mean": float(np.mean([trial.simulator_steps for trial in group]))}
            for entry, group in _grouped(trials, ("file", "task"))
        ],
    }


def _grouped(trials: Iterable[Trial], shared: tuple[str, ...]) -> list[tuple[Entry, list[Trial]]]:
    """One entry for each planner, size of plans and value of the attributes ``shared``, with its trials."""
    names = ("planner", "keyframes", *shared)
    groups = defaultdict(list)
    for trial in trials:
        groups[tuple(getattr(trial, name) for name in names)].append(trial)
    return [(dict(zip(names, key, strict=True)) | _rate(group), group) for key, group in groups.items()]


def _rate(group: Sequence[Trial]) -> Entry:
    successes = sum(trial.success for trial in group)
    return {
        "n": len(group),
        "scenes": len({trial.scene for trial in group}),
        "success_rate": successes / len(group),
        "success_ci95": list(wilson_interval(successes, len(group))),
    }


def _binned(trials: Sequence[Trial], value: Callable[[Trial], float], width: float) -> list[Entry]:
    """Entries by bin, in ascending order; empty bins are left out."""
    bins = defaultdict(list)
    for trial in trials:
        # The standard wall's 0.4 is the lower edge of a bin and must not slip under it by rounding.
        bins[int(np.floor(value(trial) / width + 1e-9))].append(trial)
    return [
        {
            **entry,
            "low": round(index * width, 9),
            "high": round((index + 1) * width, 9),
            "mean": float(np.mean([value(trial) for trial in group])),
        }
        for index in sorted(bins)
        for entry, group in _grouped(bins[index], ())
    ]


def _share_scenes(trials: Iterable[Trial]) -> bool:
    """Whether all planners, at every size of plans, ran the same scenes: only then can they be compared."""
    scenes = defaultdict(set)
    for trial in trials:
        scenes[trial.planner, trial.keyframes].add(trial.scene)
    return len({frozenset(seen) for seen in scenes.values()}) == 1


def draw(settings: Curves) -> dict[str, Any]:
    """Write the picture and the numbers; returns the JSON content.

    Raises:
        ValueError: there is nothing to draw, a result cannot be read, or ``out`` is no place for the picture.
    """
    numbers = settings.out.with_suffix(".json")
    if not settings.results:
        raise ValueError("say which results of planner.evaluate to draw: FILE FILE ...")
    if settings.out.suffix != ".png":
        raise ValueError(f"--out must end in .png, got {settings.out}")
    if numbers.resolve() in {path.resolve() for path in settings.results}:
        raise ValueError(f"the numbers would overwrite {numbers}; choose another --out")
    trials = [trial for path in dict.fromkeys(settings.results) for trial in read_trials(path)]
    content = {
        "results": [str(path) for path in settings.results],
        "same_scenes": _share_scenes(trials),
        **gather(trials),
    }
    write_bytes(numbers, (json.dumps(content, indent=2) + "\n").encode())
    figures.panels(content, settings.out)
    return content


@command()
def main() -> None:
    """Command line entry point."""
    settings = tyro.cli(Curves, prog="python -m planner.curves", description=__doc__)
    draw(settings)
    print(f"written: {settings.out}, {settings.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
