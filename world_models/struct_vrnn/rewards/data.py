"""What reward heads read and what they are to answer.

The last sequences of a task test the heads and all others train them. Heads read the recurrent states over
seen frames (posterior means) and then over frames imagined under the true actions (prior means), as they do
when a planner asks.
"""

import filecmp
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from world_models.checkpoint import read_model
from world_models.data import DataError
from world_models.jobs.identity import fingerprint
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.run import FEATURES, VISION
from world_models.struct_vrnn.sequences import TaskData
from world_models.struct_vrnn.training import cache_task_features, describe
from world_models.training.run import SETTINGS, Session, origin_of

CHUNK = 250
"""Sequences read or rolled out together."""


@dataclass(frozen=True)
class Labels:
    """The sequences of a task without their pictures; the first ``learned`` train the head."""

    actions: Float[Tensor, "n L A"]
    rewards: Float[Tensor, "n L+1"]
    observations: Float[Tensor, "n L+1 O"]
    learned: int


@dataclass(frozen=True)
class Reader:
    """Whose states the heads read."""

    folder: Path
    """Run folder."""
    seed: int
    """Seed of the heads: that of the run."""
    world_model: str
    """Digest of its weights; empty for the true states."""
    states: Callable[[TaskData, Labels], Float[Tensor, "n T H"]]
    """What a head reads of a task's held-out sequences, ``[n T H]``."""


def read_labels(task: TaskData, tested: int) -> Labels:
    """Read a task's sequences: all but the tested ones train the heads.

    Those that the world model learned from are among these, without their rewards then; the tested ones are
    new to both.

    Raises:
        DataError: they have no rewards, or there are not enough to train and test on.
    """
    data = task.sequences
    if "rewards" not in data.shapes:
        raise DataError(f"{data.folder} has no rewards; `python -m envs.collect dmc` records them")
    if len(data) - task.known < tested:
        raise DataError(
            f"{data.folder} has {len(data) - task.known} held-out sequences, {tested} to test are too many"
        )
    actions, rewards, observations = [], [], []
    for part in data.batches(CHUNK):  # pictures are unpacked on the way, and let go
        assert part.rewards is not None
        actions.append(part.actions)
        rewards.append(part.rewards)
        observations.append(part.states[..., : task.observation].copy())
    labels = Labels(
        actions=torch.from_numpy(np.concatenate(actions)),
        rewards=torch.from_numpy(np.concatenate(rewards)),
        observations=torch.from_numpy(np.concatenate(observations)),
        learned=data.known(tested),
    )
    if not null_errors(labels).mean(0).min() > 0:
        raise DataError(f"{data.folder} has rewards that never change; there is nothing to predict")
    return labels


def null_errors(labels: Labels) -> Float[Tensor, "n T"]:
    """Squared errors of the null model, the mean reward of the training sequences, on the test sequences."""
    return (labels.rewards[labels.learned :] - labels.rewards[: labels.learned].mean()).square()


def read_run(run: Path, observed: int, device: torch.device) -> Reader:
    """The recurrent states of a trained run.

    Raises:
        CheckpointError: its model is damaged.
    """
    model = StructVRNN.load(run / "model", device)

    def states(task: TaskData, labels: Labels) -> Float[Tensor, "n T H"]:
        features = cached_features(run, model, task, device)
        return recurrent_states(model, features, labels.actions, observed)

    seed = int(json.loads((run / "run.json").read_text())["seed"])
    return Reader(run, seed, read_model(run / "model").weights_digest, states)


def read_truth(folder: Path, seed: int) -> Reader:
    """The oracle: the task's true observation at every frame, also at those that others imagine."""
    return Reader(folder, seed, "", lambda task, labels: labels.observations)


def held_out_features(
    run: Path, model: StructVRNN, task: TaskData, device: torch.device
) -> Float[Tensor, "n T F"]:
    """Features of the sequences that were not learned from."""
    return cached_features(run, model, task, device)[task.known :]


def cached_features(
    run: Path, model: StructVRNN, task: TaskData, device: torch.device
) -> Float[Tensor, "n T F"]:
    """Features of all sequences.

    They are in the cache of the run, or of the one it builds on, whose detector and data are the same; made
    if need be. Those of other data than the run's own lie beside them.
    """
    found = origin_of(task.sequences)
    siblings = [run, *(path.parent for path in sorted(run.parent.glob(f"*/{VISION}")) if _same(path, run))]
    own = [folder for folder in siblings if _learned_from(folder, task.name) in (found, None)]
    name = task.name or "features"
    paths = [folder / FEATURES / f"{name}.npy" for folder in own]
    paths += [run / FEATURES / f"{name}-{fingerprint(found)[:12]}.npy"]
    path = next((path for path in paths if path.exists()), paths[0])
    return describe(model, cache_task_features(model.vision, task, path, Session(run, 0, device)))


def _learned_from(run: Path, task: str) -> Any:
    """What a run's data of a task are from; None if it does not say."""
    return json.loads((run / SETTINGS).read_text()).get("data", {}).get(task)


def _same(vision: Path, run: Path) -> bool:
    mine = run / VISION
    return mine.exists() and filecmp.cmp(vision, mine, shallow=False)


@torch.no_grad()
def recurrent_states(
    model: StructVRNN, features: Float[Tensor, "n T F"], actions: Float[Tensor, "n T-1 A"], observed: int
) -> Float[Tensor, "n T H"]:
    """States after ``observed`` seen frames each and after the frames that the model imagines from there."""
    device, parts = next(model.parameters()).device, list[Tensor]()
    for seen, done in zip(features.split(CHUNK), actions.to(device).split(CHUNK), strict=True):
        state = model.take_in(seen[:, :observed].to(device), done[:, : observed - 1])
        future = model.roll_out(state, done[:, observed - 1 :])
        parts.append(torch.cat([state.carried, future.carried], 1).cpu())
    return torch.cat(parts)
