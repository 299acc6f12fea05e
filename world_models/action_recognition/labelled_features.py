"""Labelled sets of feature sequences: what :mod:`world_models.action_recognition.training` learns from.

On disk a set is an npz file with ``features`` (float32 ``[n, T, F]``) and ``labels`` (int64 ``[n]``, from 0).
``classes`` (the names of the labels) and ``groups`` (int64 ``[n]``) may be left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from world_models.data import DataError, SequenceDataset, read_attributes, read_shard
from world_models.files import write_bytes
from world_models.frames import to_tensor

READ = 50
"""Sequences embedded at a time."""


@dataclass(frozen=True)
class Labelled:
    """A labelled set.

    Raises:
        DataError: an array has the wrong type, shape or values.
    """

    features: Float32[np.ndarray, "n T F"]
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    """Names of the labels 0, 1, ..."""
    groups: Int64[np.ndarray, " n"]
    """Sequences of one group (of one video, say) must not be split between training and test."""

    def __post_init__(self) -> None:
        if self.features.dtype != np.float32 or self.features.ndim != 3 or not self.features.size:
            raise DataError(f"features must be float32 [n, T, F], not empty, got {_kind(self.features)}")
        if not np.isfinite(self.features).all():
            raise DataError("features must be finite, some are NaN or infinite")
        for name, array in (("labels", self.labels), ("groups", self.groups)):
            if array.dtype != np.int64 or array.shape != self.features.shape[:1]:
                raise DataError(f"{name} must be int64 [{len(self.features)}], got {_kind(array)}")
        if len(self.classes) < 2:
            raise DataError(f"there must be at least two classes, got {len(self.classes)}")
        low, high = self.labels.min(), self.labels.max()
        if low < 0 or high >= len(self.classes):
            raise DataError(
                f"labels must be 0 to {len(self.classes) - 1}, one per class, got {low} to {high}"
            )

    def __len__(self) -> int:
        return len(self.features)

    def pick(self, rows: np.ndarray) -> "Labelled":
        """Some of the sequences."""
        return Labelled(self.features[rows], self.labels[rows], self.classes, self.groups[rows])

    def split(self, share: float, rng: np.random.Generator) -> tuple["Labelled", "Labelled | None"]:
        """Training and test set: whole groups in random order, until ``share`` of all sequences are tested.

        There is no test set for a share of 0.

        Raises:
            DataError: nothing would be left to learn from.
        """
        groups, sizes = np.unique(self.groups, return_counts=True)
        order = rng.permutation(len(groups))
        before = np.cumsum(sizes[order]) - sizes[order]
        tested = np.isin(self.groups, groups[order[before < share * len(self)]])
        if tested.all():
            raise DataError(
                f"a test share of {share:g} leaves nothing to learn from: there are {len(groups)} groups"
            )
        return self.pick(~tested), self.pick(tested) if tested.any() else None


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype} with shape {array.shape}"


def read_labelled(path: Path) -> Labelled:
    """Read a set. Labels without ``classes`` are named by their numbers; no ``groups``: each its own.

    Raises:
        DataError: the file is missing, is no npz file, lacks an array, or an array is of the wrong kind.
    """
    if not path.is_file():
        raise DataError(
            f"no labelled features at {path}: an npz file with `features` and `labels` is expected"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise DataError(f"{path} is no readable npz file: {error}") from error
    missing = [name for name in ("features", "labels") if name not in arrays]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}")
    features, labels = arrays["features"], arrays["labels"]
    names = arrays["classes"] if "classes" in arrays else np.unique(labels)
    groups = arrays["groups"] if "groups" in arrays else np.arange(labels.size)
    return Labelled(features, labels, tuple(str(name) for name in names), groups)


def write_features(
    path: Path,
    data: SequenceDataset,
    embed: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B F"]],
    frames: int,
    device: torch.device,
) -> None:
    """Write features of the first ``frames`` frames of every sequence (8 in the paper) as a labelled set.

    The attribute ``action`` of a shard names the action in all of its sequences, as in the shards that
    ``python -m envs.collect human36m`` writes; the sequences of a shard are one group.

    Args:
        path: the npz file.
        data: the sequences.
        embed: describes pictures; a world model's method of that name.
        frames: T.
        device: where ``embed`` computes.

    Raises:
        DataError: a shard names no action.
    """
    features: list[np.ndarray] = []
    actions: list[str] = []
    groups: list[int] = []
    for group, shard in enumerate(data.paths):
        action = read_attributes(shard).get("action")
        if not isinstance(action, str):
            raise DataError(f"{shard} has no attribute `action` that names what its sequences show")
        seen = read_shard(shard).frames[:, :frames]
        features += [_embed(seen[first : first + READ], embed, device) for first in range(0, len(seen), READ)]
        actions += [action] * len(seen)
        groups += [group] * len(seen)
    classes, labels = np.unique(actions, return_inverse=True)
    found = Labelled(np.concatenate(features), labels, tuple(classes.tolist()), np.array(groups))
    buffer = BytesIO()
    np.savez(buffer, features=found.features, labels=found.labels, classes=classes, groups=found.groups)
    write_bytes(path, buffer.getvalue())


@torch.no_grad()
def _embed(
    frames: np.ndarray,
    embed: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B F"]],
    device: torch.device,
) -> Float32[np.ndarray, "n T F"]:
    pictures = to_tensor(frames, device)
    return embed(pictures.flatten(0, 1)).float().unflatten(0, pictures.shape[:2]).cpu().numpy()
