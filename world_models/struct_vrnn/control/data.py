"""Recorded episodes as a control model reads them, and windows drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from world_models.data import DataError, SequenceDataset, read_attributes, read_shard
from world_models.files import save_array
from world_models.frames import to_tensor
from world_models.jobs.identity import file_digest, fingerprint
from world_models.struct_vrnn.control.config import ControlConfig, Part
from world_models.struct_vrnn.control.detector.features import detect, measure, stack
from world_models.struct_vrnn.control.detector.stored import Detector
from world_models.struct_vrnn.control.losses import Windows

CHUNK = 250
"""Pictures looked at together."""
ROUNDING = 1e-5
"""Share of the largest reward that a sum of rounded numbers may be above it."""


@dataclass(frozen=True)
class Episode:
    """One episode, or a part of one: ``rewards[t]`` was received for ``actions[t]``, which led from picture
    ``t`` to ``t + 1``. Rewards are in the task's unit.
    """

    measured: Float[Tensor, "T M"]
    """See :func:`~world_models.struct_vrnn.control.detector.features.measure`."""
    actions: Float[Tensor, "T-1 A"]
    rewards: Float[Tensor, " T-1"]
    whole: bool = True
    """Whether it begins where the episode did: nobody knows how the first pictures of a part came about."""


class Buffer:
    """Episodes side by side in memory, about 4 F bytes a picture; windows are drawn evenly from them."""

    def __init__(self, episodes: Sequence[Episode], config: ControlConfig, window: int) -> None:
        """``window`` is the number of actions in a window.

        Raises:
            DataError: none of the episodes is that long, one has other sizes than the model, or a reward is
                not within 0 and the model's largest.
        """
        for episode in episodes:
            _check(episode, config)
        inputs = [stack(e.measured[None], e.actions[None], config.frames)[0] for e in episodes]
        last = [torch.zeros(1, config.actions)]
        firsts = list[Tensor]()
        begin = 0
        for episode in episodes:
            length = len(episode.measured)
            lead = 0 if episode.whole else config.frames - 1
            firsts.append(torch.arange(begin + lead, max(begin + lead, begin + length - window)))
            begin += length
        self._firsts = torch.cat(firsts) if firsts else torch.zeros(0, dtype=torch.long)
        if not len(self._firsts):
            raise DataError(
                f"no episode is long enough to learn from; it takes {window + 1} pictures or more"
            )
        self.inputs: Float[Tensor, "n F"] = torch.cat(inputs)
        self._actions = torch.cat([part for episode in episodes for part in (episode.actions, *last)])
        rewards = [part for episode in episodes for part in (episode.rewards, torch.zeros(1))]
        self._rewards = torch.cat(rewards) / config.most_reward
        self._window = window

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._firsts)

    def draw(self, batch: int, generator: torch.Generator) -> Windows:
        """Windows at random."""
        return self.windows(torch.randint(len(self), (batch,), generator=generator))

    def windows(self, rows: Tensor) -> Windows:
        """Windows of these numbers, in 0 .. len - 1."""
        steps = self._firsts[rows] + torch.arange(self._window + 1)[:, None]
        return Windows(self.inputs[steps], self._actions[steps[:-1]], self._rewards[steps[:-1]])


def _check(episode: Episode, config: ControlConfig) -> None:
    found = (episode.measured.shape[1], episode.actions.shape[1])
    if found != (config.measured, config.actions):
        raise DataError(
            f"an episode has {found[0]} numbers per picture and {found[1]} per action, the model reads "
            f"{config.measured} and {config.actions}"
        )
    most = config.most_reward
    if len(outside := episode.rewards[(episode.rewards < 0) | (episode.rewards > most * (1 + ROUNDING))]):
        raise DataError(f"a reward is {float(outside[0]):g}, the model takes 0 to {most:g}")


def read_episodes(
    data: SequenceDataset,
    detector: Detector,
    reads: Sequence[Part],
    cache: Path,
    device: torch.device | str = "cpu",
) -> list[Episode]:
    """All sequences of a data set, as this detector sees them.

    Features are kept in ``cache``, a file per shard, named after the shard's content and the detector: new
    shards are looked at once, and all of them anew by another detector.

    Raises:
        DataError: there are no rewards, or the pictures do not fit the detector.
    """
    size = detector.world.config.image_size
    if "rewards" not in data.shapes:
        raise DataError(f"{data.folder} has no rewards; `python -m planner.collect dmc` records them")
    if data.shapes["frames"][1:] != (size, size, 3):
        raise DataError(
            f"{data.folder} has frames {data.shapes['frames']}, the detector needs {size} x {size} x 3"
        )
    episodes = list[Episode]()
    for path in tqdm(data.paths, desc=f"{'features':>12}", mininterval=0.5):
        features = _features(path, detector, cache, device)
        sequences = read_shard(path)
        assert sequences.rewards is not None
        measured = measure(detector.world, features, reads)
        length = int(read_attributes(path).get("episode_length", 0))
        # Recordings leave out an episode's first picture, on arriving at which there is no reward.
        whole = measured.shape[1] >= length - 1 > 0
        actions, rewards = torch.from_numpy(sequences.actions), torch.from_numpy(sequences.rewards)[:, 1:]
        episodes += [Episode(*parts, whole) for parts in zip(measured, actions, rewards, strict=True)]
    return episodes


def _features(
    path: Path, detector: Detector, cache: Path, device: torch.device | str
) -> Float[Tensor, "n T D"]:
    name = fingerprint({"shard": file_digest(path), "detector": detector.digest})[:16]
    kept = cache / f"{name}.npy"
    if not kept.exists():
        frames = read_shard(path).frames
        pictures = frames.reshape(-1, *frames.shape[2:])
        parts = [
            detect(detector.world, to_tensor(pictures[first : first + CHUNK], device)).cpu()
            for first in range(0, len(pictures), CHUNK)
        ]
        save_array(kept, torch.cat(parts).unflatten(0, frames.shape[:2]).numpy())
    return torch.from_numpy(np.load(kept, allow_pickle=False))
