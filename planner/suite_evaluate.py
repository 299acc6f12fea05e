"""The DM Control part of :mod:`planner.evaluate`: control from pictures beside control with true dynamics."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envs.dmc.episodes import DmcEpisodes, load_starts
from envs.dmc.tasks import TASKS, find_task
from planner.evaluation.journal import journal_path, resume, run_missing
from planner.loading import load_world_model
from planner.search.servo import ServoConfig
from planner.suite_learned import SUITE_SERVO, find_head, model_for
from planner.suite_results import summarise
from planner.suite_worker import Objective, SuiteTrial, SuiteWorker
from world_models.files import write_bytes

ARMS = {
    "simulator": "the search in the true dynamics, for true reward",
    "learned": "the search in the learned model, from pictures",
    "random": "uniform actions",
}
"""In the order in which they are run: the simulator's episodes leave goal pictures behind."""
GOAL_TASKS = ("acrobot-swingup", "cartpole-balance", "reacher-easy", "walker-stand")
"""Tasks whose aim a picture can show; speed cannot be seen in one."""


@dataclass(frozen=True)
class Dmc:
    """Control DM Control tasks: predictively with a learned model or the true dynamics, or at random."""

    task: str = "all"
    """Comma-separated tasks, or all (that have a goal picture, with --objective goal)."""
    arms: str = "learned,simulator,random"
    """Comma-separated: learned, simulator, random."""
    objective: Objective = "reward"
    """What the learned arm is after: predicted reward, or a goal picture: the one of the highest reward in
    the simulator arm's episode from the same start. The simulator arm always searches for true reward."""
    episodes: int = 20
    """How many of the frozen episodes, from the first."""
    steps: int | None = None
    """Stop after so many steps of the environment; None runs whole episodes."""
    workers: int = os.cpu_count() or 1
    seed: int = 0
    """Seed of the searches; the starts do not depend on it."""
    model: str = "struct-vrnn-{domain}"
    """Shipped model or model folder of the learned arm; {domain} stands for acrobot, cartpole, ..."""
    device: str = "cpu"
    horizon: int | None = None
    """Steps looked ahead; unless given, 30 with the acrobot and the cart-pole, 12 with the others."""
    settings: ServoConfig = SUITE_SERVO
    """The search, the same for the learned and the simulator arm: an equal budget. Steps along the
    gradient are the learned arm's alone."""
    out: Path = Path("dmc.json")
    video: Path | None = None
    """Folder for one MP4 per task and arm, of the first episode."""

    def tasks(self) -> list[str]:
        """The tasks asked for; an error names the valid ones."""
        valid = GOAL_TASKS if self.objective == "goal" else tuple(TASKS)
        names = list(valid) if self.task == "all" else _names(self.task)
        for name in names:
            find_task(name)
        without = [name for name in names if name not in valid]
        if without:
            raise ValueError(
                f"no picture shows the aim of {', '.join(without)}; choose from {', '.join(valid)}"
            )
        if not names:
            raise ValueError(f"no task; choose from all, {', '.join(valid)}")
        return names

    def arm_names(self) -> list[str]:
        """The arms asked for; an error names the valid ones."""
        names = _names(self.arms)
        unknown = [name for name in names if name not in ARMS]
        if unknown or not names:
            raise ValueError(f"unknown arm {', '.join(unknown) or '(none)'}; choose from {', '.join(ARMS)}")
        return names

    def trial(self) -> SuiteTrial:
        """What a worker needs."""
        goals = self.out.with_name(self.out.name + ".goals")
        return SuiteTrial(
            self.objective,
            self.settings,
            self.horizon,
            self.model,
            self.seed,
            self.steps,
            self.device,
            goals,
            self.video,
        )


_worker: SuiteWorker | None = None


def _start_worker(trial: SuiteTrial) -> None:
    global _worker
    _worker = SuiteWorker(trial)


def _run_episode(task: str, arm: str, index: int) -> dict[str, Any]:
    assert _worker is not None, "the pool runs _start_worker first"
    return _worker.episode(task, arm, index)


def evaluate_suite(run: Dmc) -> dict[str, Any]:
    """Run all episodes of all tasks and arms and write JSON; returns its content."""
    tasks, arms, episodes, trial = run.tasks(), run.arm_names(), load_starts(), run.trial()
    _check(run, episodes)
    settings = {(task, arm): _settings(run, task, arm) for task in tasks for arm in arms}
    # The slowest come first: the last to finish should be short.
    wanted = {
        (task, arm, index): {
            "start": episodes.starts[task][index].digest,
            "settings": settings[task, arm],
        }
        for arm in sorted(arms, key=list(ARMS).index)
        for task in sorted(tasks, key=lambda task: -find_task(task).steps)
        for index in range(run.episodes)
    }
    journal = journal_path(run.out)
    records = resume(journal, ("task", "arm", "episode"), wanted)
    missing = {key: wanted[key] for key in wanted if key not in records or not _is_filmed(trial, *key)}
    done = len(wanted) - len(missing)
    records |= run_missing(journal, missing, done, run.workers, _start_worker, (trial,), _run_episode)
    rows = []
    for task in tasks:
        rows += summarise(
            task, {arm: [records[task, arm, index] for index in range(run.episodes)] for arm in arms}
        )
    result = {
        "objective": run.objective,
        "manifest": {"name": episodes.name, "fingerprint": episodes.fingerprint, "seed": episodes.seed},
        "settings": {task: {arm: settings[task, arm] for arm in arms} for task in tasks},
        "rows": rows,
    }
    write_bytes(run.out, (json.dumps(result, indent=2) + "\n").encode())
    return result


def _check(run: Dmc, episodes: DmcEpisodes) -> None:
    if run.episodes < 1 or run.workers < 1 or (run.steps is not None and run.steps < 1):
        raise ValueError("--episodes, --workers and --steps must be at least 1")
    if run.settings.horizon != SUITE_SERVO.horizon or (run.horizon is not None and run.horizon < 1):
        raise ValueError("say with --horizon, at least 1, how far the search looks ahead")
    count = min(len(starts) for starts in episodes.starts.values())
    if run.episodes > count:
        raise ValueError(f"{episodes.name} has {count} episodes of every task; ask for fewer")


def _settings(run: Dmc, task: str, arm: str) -> dict[str, Any]:
    """What an outcome of this arm depends on, beside its task and start (and the type of device)."""
    settings: dict[str, Any] = {"seed": run.seed, "steps": run.trial().length(task)}
    if arm != "random":
        settings["search"] = run.trial().search_of(arm, task).model_dump(mode="json")
    if arm == "learned":
        model = load_world_model(model_for(run.model, task), "cpu")
        head = find_head(model, task)
        settings |= {
            "objective": run.objective,
            "weights_sha256": model.weights_sha256,
            "head_sha256": head.sha256,
        }
    return settings


def _is_filmed(trial: SuiteTrial, task: str, arm: str, index: int) -> bool:
    """Whether the episode's video is there, if one is wanted."""
    film = trial.film_path(task, arm)
    return film is None or index > 0 or film.exists()


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
