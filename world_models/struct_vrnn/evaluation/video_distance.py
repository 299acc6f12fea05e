"""How far painted videos are from true ones as a whole: a Fréchet distance in features of a shipped model.

The paper compares distributions of videos by the features of a network for action recognition (FVD,
Unterthiner et al. 2018). Here the features are those of ``struct-vrnn-acrobot``, ``-cartpole``, ``-cheetah``,
``-reacher`` and ``-walker``, the models that DM Control is controlled with: they learned from other sequences
of the same bodies, and are none of the arms that are compared. Of a video they are what such a model carries
on from frame to frame (recurrent state, keypoints, bodies), averaged over the imagined frames, after it has
watched the observed ones. Figures compare with each other, not with published ones.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from world_models.frames import to_tensor
from world_models.shipped import find_folder, shipped_models
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import CONTROL

SETS = 10
"""Samples of every sequence that are looked at: each makes a set of as many videos as there are true ones."""
CHUNK = 10
"""Videos described together."""


def judge_of(task: str) -> str | None:
    """Name of the shipped model that describes videos of a task; None where none knows it."""
    names = (f"struct-vrnn-{domain}" for domain, recipe in CONTROL.items() if task in recipe.model.tasks)
    return next((name for name in names if name in shipped_models()), None)


@cache
def load_judge(name: str, device: torch.device) -> StructVRNN:
    """The model of that name."""
    return StructVRNN.load(find_folder(name), device)


@torch.no_grad()
def video_distance(
    judge: StructVRNN,
    model: StructVRNN,
    frames: UInt8[np.ndarray, "P T H W C"],
    actions: Float[Tensor, "P T-1 A"],
    futures: Float[Tensor, "P N L F"],
) -> float:
    """Fréchet distance of painted futures from the true ones, mean over the first samples (:data:`SETS`).

    Args:
        judge: describes videos.
        model: paints, over the first frame of a sequence.
        frames: true sequences; the last L frames are compared.
        actions: what was done in them.
        futures: N samples of each.
    """
    device = next(judge.parameters()).device
    length, count = futures.shape[2], min(futures.shape[1], SETS)
    true, painted = list[Tensor](), list[Tensor]()
    for first in range(0, len(frames), CHUNK):
        rows = slice(first, first + CHUNK)
        seen = to_tensor(frames[rows], device)
        done = actions[rows].to(device)
        true.append(_describe(judge, seen, done, length))
        reference = model.reference(seen[:, 0])
        found = []
        for sample in futures[rows, :count].to(device).unbind(1):
            pictures = model.decode(sample.flatten(0, 1), reference.repeat(length))
            video = torch.cat([seen[:, :-length], pictures.unflatten(0, (-1, length))], 1)
            found.append(_describe(judge, video, done, length))
        painted.append(torch.stack(found))
    truth = torch.cat(true).double().cpu().numpy()
    scale = np.sqrt(truth.var(0, ddof=1).sum())
    sets = torch.cat(painted, 1).double().cpu().numpy()
    return float(np.mean([frechet_distance(one / scale, truth / scale) for one in sets]))


def _describe(
    judge: StructVRNN, videos: Float[Tensor, "B T C H W"], actions: Float[Tensor, "B T-1 A"], length: int
) -> Float[Tensor, "B U"]:
    features = judge.embed(videos.flatten(0, 1)).unflatten(0, videos.shape[:2])
    return judge.take_in(features, actions).carried[:, -length:].mean(1)


def frechet_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features, ``[n, D]`` and ``[m, D]``:
    |m - m'|² + tr(S + S' - 2 (S S')^½) (Dowson and Landau 1982).

    The trace of the root is the sum of the singular values of X X'ᵀ, where S = XᵀX and S' = X'ᵀX': no matrix
    of D x D is needed, and there may be fewer videos than features.

    Raises:
        ValueError: a set has fewer than two members.
    """
    if min(len(one), len(other)) < 2:
        raise ValueError(f"distributions of {len(one)} and {len(other)} videos; there must be 2 at least")
    means = [part.mean(0) for part in (one, other)]
    roots = [(part - mean) / np.sqrt(len(part) - 1) for part, mean in zip((one, other), means, strict=True)]
    shared = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    spread = sum(np.square(root).sum() for root in roots)
    return float(np.square(means[0] - means[1]).sum() + spread - 2 * shared)
