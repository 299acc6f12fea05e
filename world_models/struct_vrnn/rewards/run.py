"""Training the reward heads of a finished run: one per task."""

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from world_models.files import write_bytes
from world_models.struct_vrnn.recipe import StructVRNNRecipe
from world_models.struct_vrnn.rewards.card import Result, card_text, figures
from world_models.struct_vrnn.rewards.data import Labels, Reader, read_labels, read_run
from world_models.struct_vrnn.rewards.head import RewardHead, RewardHeadConfig
from world_models.struct_vrnn.rewards.recipe import RewardRecipe, RewardRun
from world_models.struct_vrnn.rewards.training import measure, train_head
from world_models.struct_vrnn.sequences import TaskData, check_observed, open_tasks
from world_models.training import run as runs
from world_models.training.run import SETTINGS, Session, export, origin_of

REWARDS = "rewards"
"""Folder of the heads in a run."""


def train_rewards(job: RewardRun, command: str) -> Path:
    """Train what is missing of a run's six heads; answers the folder they are in.

    Raises:
        DataError: the data is missing, does not fit the model or has no rewards.
        ValueError: there is no finished run, too few sequences are held out, or no frames are left to
            imagine.
    """
    recipe = read_recipe(job.run)
    tasks = open_tasks(job.data, recipe.model, recipe.held_out)
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    reader = read_run(job.run, job.recipe.observed, device)
    results = train_heads(reader, tasks, cached_labels(job.recipe), job.recipe, command, device)
    folder = job.run / REWARDS
    lines = [f"| {task} | {figures(result)} |" for task, result in results.items()]
    table = "\n".join(["| task | MSE | MSE / null | test sequences |", "|---|---|---|---|", *lines])
    write_bytes(folder / "card.md", f"# Reward heads of {job.run.name}\n\n{table}\n".encode())
    return folder


def read_recipe(run: Path) -> StructVRNNRecipe:
    """How a finished run was trained whose model knows tasks.

    Raises:
        ValueError: it is none, or its model knows no tasks.
    """
    recipe = read_finished(run)
    if not recipe.model.tasks:
        raise ValueError(f"{run} holds a model without tasks; rewards belong to a task")
    return recipe


def read_finished(run: Path) -> StructVRNNRecipe:
    """How a finished run was trained.

    Raises:
        ValueError: it is none.
    """
    if not (run / SETTINGS).exists() or not (run / "model" / "config.json").exists():
        raise ValueError(
            f"{run} is no finished run; `python -m world_models.train struct-vrnn-dmc --out {run}` makes one"
        )
    return StructVRNNRecipe.model_validate(runs.read_recipe(run))


def cached_labels(recipe: RewardRecipe) -> Callable[[TaskData], Labels]:
    """:func:`read_labels`, which has to unpack pictures on the way, at most once per task."""
    return cache(lambda task: read_labels(task, recipe.tested))


def train_heads(
    reader: Reader,
    tasks: Sequence[TaskData],
    labels: Callable[[TaskData], Labels],
    recipe: RewardRecipe,
    command: str,
    device: torch.device,
) -> dict[str, Result]:
    """One head per task; those that are there and were made in the same way are kept.

    Answers their results by task, which also lie in ``<task>.json`` beside the model folder ``<task>``.

    Raises:
        DataError: a task has no rewards, or too few sequences to train and test on.
        ValueError: the recipe leaves no frames to imagine.
    """
    for task in tasks:
        check_observed(task, recipe.observed)
    session, results = Session(reader.folder / REWARDS, reader.seed, device), dict[str, Result]()
    session.folder.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        path = session.folder / f"{task.name}.json"
        settings = _settings(reader, task, recipe)
        stored = json.loads(path.read_text()) if path.exists() else {}
        made = stored.get("settings") == settings and (session.folder / task.name).exists()
        if not made or "sequences" not in stored["result"]["head"]:  # results of before had no intervals
            result = _train(reader, task, labels(task), recipe, command, session)
            stored = {"settings": settings, "result": result}
            write_bytes(path, (json.dumps(stored, indent=2) + "\n").encode())
        results[task.name] = stored["result"]
    return results


def _settings(reader: Reader, task: TaskData, recipe: RewardRecipe) -> dict[str, Any]:
    """All that a head depends on."""
    return {
        "world_model": reader.world_model,
        "seed": reader.seed,
        "recipe": recipe.model_dump(mode="json"),
        "held_out": [task.known, len(task.sequences)],
        "data": origin_of(task.sequences),
    }


def _train(
    reader: Reader, task: TaskData, labels: Labels, recipe: RewardRecipe, command: str, session: Session
) -> Result:
    """Train, store and test one head."""
    states = reader.states(task, labels)
    config = RewardHeadConfig(
        task=task.name,
        actions=task.actions,
        hidden_size=states.shape[-1],
        width=recipe.width,
        world_model=reader.world_model,
    )
    head = train_head(states, labels, config, recipe, session)
    result: Result = {}

    def tested(stored: RewardHead) -> Result:
        result.update(measure(stored, states, labels))
        return result

    export(session, head, tested, partial(card_text, reader, task, labels, recipe, command), task.name)
    return result
