"""Training the reward heads of a finished run: one per task, on held-out sequences (section S2.3).

Of the sequences that the world model has not learned from, the first train the heads and the last test them.
Heads read the recurrent states over seen frames (posterior means) and then over frames imagined under the
true actions (prior means), as they do when a planner asks.
"""

import filecmp
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from world_models.checkpoint import CheckpointError, read_model, write_bytes, write_card, write_model
from world_models.data import DataError, read_attributes
from world_models.losses import Loss
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.recipe import StructVRNNRecipe
from world_models.struct_vrnn.rewards import RewardHead, RewardHeadConfig
from world_models.struct_vrnn.run import FEATURES, VISION
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.struct_vrnn.training import cache_features
from world_models.trainer import FitConfig, Positive, Session, fit

REWARDS = "rewards"
"""Folder of the heads in a run."""
CHUNK = 250
"""Sequences read or rolled out together."""
Result = dict[str, Any]
"""What a head achieves: ``n`` test sequences, and for ``head`` and ``null`` the ``mse``, its standard error
``se`` over sequences, and ``per_step``, the mean squared error at every frame."""


class RewardRecipe(FitConfig):
    """How every head learns, whatever it reads.

    Attributes:
        observed: frames that the world model sees; it imagines the rest.
        tested: sequences, at the end, that test the heads; the other held-out ones train them.
        width: units of each layer.
    """

    steps: Positive = 800
    batch: Positive = 32
    learning_rate: float = 1e-3
    observed: Positive = 8
    tested: Positive = 1000
    width: Positive = 128


class RewardRun(BaseModel):
    """The reward heads of one finished run.

    Attributes:
        run: folder of the run; the heads go to ``rewards`` in it. Finished ones are kept.
        data: folder with one folder of sequences per task.
        device: ``cpu``, ``cuda``, ...
        threads: CPU threads; one per process is fastest when cores are shared.
        recipe: how a head learns.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Path = Path("runs/struct-vrnn-dmc-0")
    data: Path = Path("data/dmc")
    device: str = "cpu"
    threads: int = 1
    recipe: RewardRecipe = RewardRecipe()


@dataclass(frozen=True)
class Labels:
    """The held-out sequences of a task without their pictures; the first ``learned`` train the head."""

    actions: Float[Tensor, "n T-1 A"]
    rewards: Float[Tensor, "n T"]
    observations: Float[Tensor, "n T O"]
    learned: int


@dataclass(frozen=True)
class Reader:
    """Whose states the heads read.

    Attributes:
        folder: run folder.
        seed: seed of the heads: that of the run.
        world_model: digest of its weights; empty for the true states.
        states: what a head reads of a task's held-out sequences, ``[n T H]``.
    """

    folder: Path
    seed: int
    world_model: str
    states: Callable[[TaskData, Labels], Float[Tensor, "n T H"]]


def train_rewards(job: RewardRun, command: str) -> Path:
    """Train what is missing of a run's six heads; answers the folder they are in.

    Raises:
        DataError: the data is missing, does not fit the model or has no rewards.
        ValueError: there is no finished run, or too few sequences are held out.
    """
    recipe = read_recipe(job.run)
    tasks = open_tasks(job.data, recipe.model, recipe.held_out)
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    reader = read_run(job.run, job.recipe.observed, device)
    results = train_heads(reader, tasks, cached_labels(job.recipe), job.recipe, command, device)
    folder = job.run / REWARDS
    lines = [f"| {task} | {_figures(result)} |" for task, result in results.items()]
    table = "\n".join(["| task | MSE | MSE / null | test sequences |", "|---|---|---|---|", *lines])
    write_bytes(folder / "card.md", f"# Reward heads of {job.run.name}\n\n{table}\n".encode())
    return folder


def read_recipe(run: Path) -> StructVRNNRecipe:
    """How a finished run was trained.

    Raises:
        ValueError: it is none, or its model knows no tasks.
    """
    if not (run / "run.json").exists() or not (run / "model" / "config.json").exists():
        raise ValueError(
            f"{run} is no finished run; `python -m world_models.train struct-vrnn-dmc --out {run}` makes one"
        )
    recipe = StructVRNNRecipe.model_validate(json.loads((run / "run.json").read_text())["recipe"])
    if not recipe.model.tasks:
        raise ValueError(f"{run} holds a model without tasks; rewards belong to a task")
    return recipe


def read_run(run: Path, observed: int, device: torch.device) -> Reader:
    """The recurrent states of a trained run.

    Raises:
        CheckpointError: its model is damaged.
    """
    model = StructVRNN.load(run / "model", device)

    def states(task: TaskData, labels: Labels) -> Float[Tensor, "n T H"]:
        features = _held_out_features(run, model, task, device)
        return recurrent_states(model, features, labels.actions, observed)

    seed = int(json.loads((run / "run.json").read_text())["seed"])
    return Reader(run, seed, read_model(run / "model").weights_digest, states)


def read_truth(folder: Path, seed: int) -> Reader:
    """The oracle: the task's true observation at every frame, also at those that others imagine."""
    return Reader(folder, seed, "", lambda task, labels: labels.observations)


def cached_labels(recipe: RewardRecipe) -> Callable[[TaskData], Labels]:
    """:func:`read_labels`, which has to unpack pictures on the way, at most once per task."""
    return cache(lambda task: read_labels(task, recipe.tested))


def read_labels(task: TaskData, tested: int) -> Labels:
    """Read the held-out sequences of a task.

    Raises:
        DataError: they have no rewards, or there are not enough to train and test on.
    """
    data, held_out = task.sequences, len(task.sequences) - task.known
    if "rewards" not in data.shapes:
        raise DataError(f"{data.folder} has no rewards; `python -m envs.collect dmc` records them")
    if held_out <= tested:
        raise DataError(f"{data.folder} has {held_out} held-out sequences, {tested} to test are too many")
    parts = list(data.batches(CHUNK, task.known)) 
    return Labels(
        torch.cat([torch.from_numpy(part.actions) for part in parts]),
        torch.cat([torch.from_numpy(part.rewards) for part in parts]),
        torch.cat([torch.from_numpy(part.states[..., : task.observation]) for part in parts]),
        held_out - tested,
    )
