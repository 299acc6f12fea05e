"""Scores of tracks and pictures of several objects. Positions are in pixels, x right and y down."""

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

CERTAIN = 1e-7
"""Predicted shares are kept so far from 0 and 1 in all likelihoods: single precision can tell no more from 1.
A pixel that was certain and wrong costs 16 nats."""
CONFIDENCE = 1.96
"""Standard errors to either side of a mean in a 95 % interval; there are hundreds of sequences or more."""
ELLIPSE = -2.0 * math.log(0.05)
"""Squared Mahalanobis distance in the plane that 95 % of the points are within."""


@dataclass(frozen=True)
class Affine:
    """``places @ matrix.mT + offset``."""

    matrix: Float[Tensor, "2 2"]
    offset: Float[Tensor, "2"]

    def __call__(self, places: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B 2"]:
        """The places mapped."""
        return places @ self.matrix.mT + self.offset

    def spread(self, covariances: Float[Tensor, "*B 2 2"]) -> Float[Tensor, "*B 2 2"]:
        """Covariances of places mapped."""
        return self.matrix @ covariances @ self.matrix.mT


def nats_per_pixel(
    predicted: Float[Tensor, "*#B #L 1 H W"], frames: Float[Tensor, "*B L 1 H W"]
) -> Float[Tensor, "*B L"]:
    """Bernoulli negative log-likelihood of every frame, as a mean over its pixels."""
    share = predicted.double().clamp(CERTAIN, 1.0 - CERTAIN)
    each = frames * share.log() + (1.0 - frames) * (1.0 - share).log()
    return -each.mean(dim=(-3, -2, -1))


def assign(tracks: Float[Tensor, "B N T 2"], balls: Float[Tensor, "B N T 2"]) -> Int[Tensor, "B N"]:
    """Which track belongs to every ball: the permutation with the least mean distance."""
    orders = torch.tensor([*permutations(range(tracks.shape[1]))])  # [N!, N]
    costs = torch.stack([distances(tracks[:, order], balls).mean(dim=(1, 2)) for order in orders], dim=-1)
    return orders[costs.argmin(dim=-1)]


def reorder(values: Float[Tensor, "B N *S"], order: Int[Tensor, "B N"]) -> Float[Tensor, "B N *S"]:
    """Every row's objects in its own order."""
    return values[torch.arange(len(values))[:, None], order]


def distances(tracks: Float[Tensor, "*#B 2"], balls: Float[Tensor, "*#B 2"]) -> Float[Tensor, "*B"]:
    """Euclidean distances; one track can be held against many balls."""
    return (tracks - balls).norm(dim=-1)


def fit_affine(places: Float[Tensor, "*B 2"], targets: Float[Tensor, "*B 2"]) -> Affine:
    """The affine map that brings places nearest to targets (least squares).

    Raises:
        ValueError: all places lie on a line, so that the map is not determined.
    """
    flat = places.reshape(-1, 2).double()
    known = torch.cat([flat, torch.ones_like(flat[:, :1])], dim=-1)
    if torch.linalg.matrix_rank(known) < 3:
        raise ValueError("the tracks do not move in the plane: no map to true positions can be fitted")
    solution = torch.linalg.lstsq(known, targets.reshape(-1, 2).double()).solution.float()
    return Affine(solution[:2].mT.contiguous(), solution[2])


def swapped(
    tracks: Float[Tensor, "B N T 2"], balls: Float[Tensor, "B N T 2"], margin: float, frames: int
) -> Bool[Tensor, " B"]:
    """Sequences in which a track leaves its ball for another.

    So it does if for so many ``frames`` one after the other some other ball is nearer to it than its own by
    more than ``margin`` pixels.
    """
    apart = distances(tracks[:, :, None], balls[:, None])  # [B, track, ball, T]
    own = apart.diagonal(dim1=1, dim2=2).mT  # [B, N, T]
    if tracks.shape[1] == 1 or tracks.shape[2] < frames:
        return torch.zeros(len(tracks), dtype=torch.bool)
    itself = torch.eye(tracks.shape[1], dtype=torch.bool)[:, :, None]
    nearest = apart.masked_fill(itself, math.inf).amin(dim=2)
    strayed = nearest + margin < own
    return strayed.unfold(-1, frames, 1).all(dim=-1).flatten(1).any(dim=-1)


def within_ellipse(
    means: Float[Tensor, "*B 2"], covariances: Float[Tensor, "*B 2 2"], places: Float[Tensor, "*B 2"]
) -> Bool[Tensor, "*B"]:
    """Whether places are within the 95 % ellipses of Gaussians."""
    apart = (places - means).double()[..., None]
    return (apart.mT @ torch.linalg.solve(covariances.double(), apart))[..., 0, 0] <= ELLIPSE


def mean_and_interval(values: Float[Tensor, " n"]) -> dict[str, Any]:
    """``mean`` over sequences and ``ci95``, half the width of its 95 % interval; None for a single one."""
    known = values.double()
    half = float(CONFIDENCE * known.std() / math.sqrt(len(known))) if len(known) > 1 else None
    return {"mean": float(known.mean()), "ci95": half}


def ratio_and_interval(above: Float[Tensor, " n"], below: Float[Tensor, " n"]) -> dict[str, Any]:
    """``ratio`` of two means over the same sequences, and ``ci95`` of it (delta method)."""
    ratio = float(above.double().mean() / below.double().mean())
    rest = mean_and_interval(above.double() - ratio * below.double())
    half = None if rest["ci95"] is None else rest["ci95"] / float(below.double().mean())
    return {"ratio": ratio, "ci95": half}


def share_and_interval(hits: Bool[Tensor, " n"]) -> dict[str, Any]:
    """``share`` of the sequences, and ``ci95``: lowest and highest by Wilson's score."""
    n, count = len(hits), int(hits.sum())
    share, z = count / n, CONFIDENCE
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return {"share": share, "count": count, "ci95": [max(0.0, middle - half), min(1.0, middle + half)]}
