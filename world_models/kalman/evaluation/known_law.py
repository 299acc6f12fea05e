"""What could be known at best: forecasts by the true law of motion, from the positions that are drawn.

The motion and the noise are the data's; of the start, only a Gaussian for balls that fly right and one for
balls that fly left. Balls are told apart from the beginning. No model that sees pictures alone can do better,
but for what a Gaussian start leaves out.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from world_models.kalman.evaluation.held_out_videos import TestVideos
from world_models.kalman.evaluation.scores import nats_per_pixel
from world_models.kalman.lgssm.filter import LGSSM, emit, kalman_filter, newtonian, predict, rts_smoother
from world_models.kalman.lgssm.mixture import GaussianMixture

ROUNDING = 1.0 / 12.0
"""Variance of rounding to whole pixels."""
RADIUS = 2
"""Of the discs that balls are drawn as, in pixels."""


@dataclass(frozen=True)
class KnownLaw:
    """Positions in pixels and losses in nats per pixel."""

    tracks: dict[str, Float[Tensor, "n N _L 2"]]
    """``filtered`` (all frames), ``generated``, ``interpolated``."""
    loss: Float[Tensor, "n L"]
    """Of the generated frames."""


def forecast(videos: TestVideos, seen: int) -> KnownLaw:
    """Filter all frames; generate from the first ``seen``; interpolate from these and as many at the end."""
    model = true_model(videos)
    drawn = videos.seen.double().round()
    steps = drawn.shape[2]
    after, _ = kalman_filter(model, drawn).filtered.moments()
    ahead = predict(model, kalman_filter(model, drawn[:, :, :seen]).filtered.at(-1), steps - seen)
    ends = torch.ones(steps, dtype=torch.bool)
    ends[seen : steps - seen] = False
    between, _ = rts_smoother(model, kalman_filter(model, drawn, ends)).moments()
    size = videos.frames.shape[-1]
    parts = zip(_parts(emit(model, ahead), 100), videos.frames[:, seen:].split(100), strict=True)
    return KnownLaw(
        {
            "filtered": after[..., :2].float(),
            "generated": ahead.moments()[0][..., :2].float(),
            "interpolated": between[:, :, seen : steps - seen, :2].float(),
        },
        torch.cat([nats_per_pixel(white_share(part, size), frames) for part, frames in parts]),
    )


def true_model(videos: TestVideos) -> LGSSM:
    """The data's state-space model, in pixels and frames."""
    positions = videos.positions.double().flatten(0, 1)
    pull = positions.diff(n=2, dim=1).mean(dim=(0, 1))
    velocity = positions[:, 1] - positions[:, 0] - 0.5 * pull
    starts = torch.cat([positions[:, 0], velocity], dim=-1)
    sides = [part for part in (starts[velocity[:, 0] > 0], starts[velocity[:, 0] <= 0]) if len(part) > 4]
    noise = (videos.seen - videos.positions).double().flatten(0, 2).var(dim=0)
    transition, emission = newtonian(torch.ones((), dtype=torch.float64), 2)
    return LGSSM(
        transition=transition,
        force=torch.cat([0.5 * pull, pull]),
        process_noise=torch.zeros(4, 4, dtype=torch.float64),
        emission=emission,
        observation_noise=(noise + ROUNDING).diag(),
        start_logits=torch.tensor([float(len(part)) for part in sides], dtype=torch.float64).log(),
        start_means=torch.stack([part.mean(dim=0) for part in sides]),
        start_covariances=torch.stack([part.T.cov() for part in sides]),
    )


def white_share(places: GaussianMixture, size: int) -> Float[Tensor, "B L 1 H W"]:
    """How likely every pixel is covered by a disc, given where ``N`` balls are drawn (rows ``B N L``).

    Discs lie round whole pixels inside the picture; x and y count as independent within a component.
    """
    deviations = places.covariances.diagonal(dim1=-2, dim2=-1).sqrt().expand(places.means.shape)
    edges = torch.arange(RADIUS + 0.5, size - 1 - RADIUS, dtype=places.means.dtype)
    below = torch.special.ndtr((edges - places.means[..., None]) / deviations[..., None])
    along = functional.pad(functional.pad(below, (1, 0)), (0, 1), value=1.0).diff(dim=-1)
    shift = torch.arange(-RADIUS, RADIUS + 1)[:, None, None]
    apart = torch.arange(size) - torch.arange(RADIUS, size - RADIUS)[:, None]  # [P, size]
    # A disc is columns beside each other, each with its own height.
    columns = (apart == shift).to(along.dtype)
    heights = (apart**2 + shift**2 <= (RADIUS + 0.5) ** 2).to(along.dtype)
    x, y = along.unbind(-2)  # [B N L K P]
    x, y = (torch.einsum("bnlkp,dpq->bnlkdq", part, disc) for part, disc in ((x, columns), (y, heights)))
    covered = torch.einsum("bnlk,bnlkdh,bnlkdw->bnlhw", places.log_weights.exp(), y, x)
    return 1.0 - (1.0 - covered[..., None, :, :]).clamp(0.0, 1.0).prod(dim=1)


def _parts(mixture: GaussianMixture, rows: int) -> list[GaussianMixture]:
    """The mixture in parts of so many rows of its first axis."""
    covariances = mixture.covariances.expand(*mixture.means.shape, -1)
    fields = (part.split(rows) for part in (mixture.log_weights, mixture.means, covariances))
    return [GaussianMixture(*part) for part in zip(*fields, strict=True)]
