"""Reading pictures again once all of them are known: who is where, settled for whole sequences.

The network reads frame after frame (:mod:`.network`). Where objects cover each other it can take one for two,
or exchange them. Afterwards the whole sequence says more: (1) places are given to objects by the likelihood
of all steps (:mod:`.association`), (2) the smoother says where every object should be seen, judged by the
other frames, (3) every frame is read again, object by object: the place is wanted that explains the most
white pixels which nothing else explains, covers no black ones, and is where the object should be. What one
object looks like at every place is asked of the renderer. Of all rounds the likeliest counts.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.kalman.inference.association import associate
from world_models.kalman.lgssm.filter import LGSSM, kalman_filter, rts_smoother

ROUNDS = 3
"""Readings after the network's; those that change nothing for the better are a sequence's last."""
SWEEPS = 2
"""How often every object is looked for in a frame, given the others."""
STRAY = 0.01
"""Share of pixels that are white where no object is, and black where one is."""
IGNORANCE = 1e-3
"""What is known of a place at least, in shares of what one look at it says: where nothing else is known, a
difference of precisions would be next to zero, and not always positive."""
CHUNK = 20
"""Sequences read together: what they need stays in the cache."""


@dataclass(frozen=True)
class Atlas:
    """What one object looks like, at every whole pixel."""

    places: Float[Tensor, "cells 2"]
    """In latent units."""
    covered: Float[Tensor, "cells pixels"]
    """1 where it is drawn, 0 elsewhere."""


@dataclass(frozen=True)
class Expected:
    """Where objects should be seen, judged by all frames but the one in question."""

    means: Float[Tensor, "B N T 2"]
    covariances: Float[Tensor, "B N T 2 2"]

    def log_density(self, atlas: Atlas) -> Float[Tensor, "B N T cells"]:
        """At every place of the atlas, in nats but for a constant."""
        precision = torch.linalg.inv(self.covariances)
        linear = (precision @ self.means[..., None]).squeeze(-1)
        x, y = atlas.places.unbind(-1)
        terms = torch.stack([-0.5 * x * x, -x * y, -0.5 * y * y, x, y, torch.ones_like(x)])
        constant = -0.5 * (self.means * linear).sum(dim=-1)
        squares = (precision[..., 0, 0], precision[..., 0, 1], precision[..., 1, 1])
        return torch.stack([*squares, *linear.unbind(-1), constant], dim=-1) @ terms


@torch.no_grad()
def settle(
    model: LGSSM,
    atlas: Atlas,
    frames: Float[Tensor, "B S 1 H W"],
    places: Float[Tensor, "B N T 2"],
    observed: Bool[Tensor, " T"] | None = None,
) -> Float[Tensor, "B N T 2"]:
    """Who is where, from all frames together.

    Rows do not influence each other. One object alone is left where the network has seen it.

    Args:
        model: the law of motion.
        atlas: what an object looks like.
        frames: those that were observed, S of T.
        places: where the network has seen the objects.
        observed: False at steps without a frame, whose places count for nothing; None if all have one.
    """
    if places.shape[1] == 1:
        return places
    seen = places.new_ones(places.shape[2], dtype=torch.bool) if observed is None else observed
    parts = zip(frames.split(CHUNK), places.split(CHUNK), strict=True)
    return torch.cat([_settle(model, atlas, white.flatten(2), known, seen) for white, known in parts])


def _settle(
    model: LGSSM, atlas: Atlas, frames: Float[Tensor, "B S P"], places: Float[Tensor, "B N T 2"], seen: Tensor
) -> Float[Tensor, "B N T 2"]:
    there = tuple(seen.tolist())
    associated = associate(model, places, there)
    fits = _explained(atlas, frames, _cells(atlas, associated.places[:, :, seen])) + associated.log_likelihood
    best = associated.places.clone()
    rows = torch.arange(len(places), device=places.device)
    for _ in range(ROUNDS):
        again, white = best[rows].clone(), frames[rows]
        cells = _cells(atlas, again[:, :, seen])
        cells = _read(atlas, white, cells, _expect(model, again, seen))
        again[:, :, seen] = atlas.places[cells]
        associated = associate(model, again, there)
        fit = _explained(atlas, white, cells) + associated.log_likelihood
        better = fit > fits[rows]
        rows = rows[better]
        if not len(rows):
            break
        best[rows], fits[rows] = associated.places[better], fit[better]
    return best


def _expect(model: LGSSM, places: Float[Tensor, "B N T 2"], seen: Bool[Tensor, " T"]) -> Expected:
    """Smooth, and take out of every belief what its own frame has said."""
    smoothed = rts_smoother(model, kalman_filter(model, places, seen))
    mean, covariance = smoothed.most_likely()
    mean, covariance = mean[:, :, seen] @ model.emission.mT, covariance[:, :, seen]
    covariance = model.emission @ covariance @ model.emission.mT
    noise = torch.linalg.inv(model.observation_noise)
    own = torch.linalg.inv(covariance)
    others = torch.linalg.inv(own - (1.0 - IGNORANCE) * noise)
    pulled = own @ mean[..., None] - noise @ places[:, :, seen][..., None]
    return Expected((others @ pulled).squeeze(-1), others + model.observation_noise)


def _read(atlas: Atlas, frames: Float[Tensor, "B S P"], cells: Tensor, expected: Expected) -> Tensor:
    """Cells of the objects, each looked for in turn given the others."""
    cells, prior = cells.clone(), expected.log_density(atlas)
    for _ in range(SWEEPS):
        for number in range(cells.shape[1]):
            others = torch.cat([cells[:, :number], cells[:, number + 1 :]], dim=1)
            explained = _white(atlas, others)
            worth = torch.where(frames > 0.5, -explained.log(), math.log(STRAY))
            cells[:, number] = (worth @ atlas.covered.mT + prior[:, number]).argmax(dim=-1)
    return cells


def _white(atlas: Atlas, cells: Tensor) -> Float[Tensor, "B S P"]:
    """Chance of white at every pixel, if objects are at these cells."""
    covered = torch.stack([atlas.covered[own] for own in cells.unbind(1)]).amax(dim=0)
    return covered.clamp(STRAY, 1.0 - STRAY)


def _explained(atlas: Atlas, frames: Float[Tensor, "B S P"], cells: Tensor) -> Float[Tensor, " B"]:
    """Log-likelihood of the pictures in nats."""
    white = _white(atlas, cells)
    return torch.where(frames > 0.5, white.log(), (1.0 - white).log()).sum(dim=(1, 2))


def _cells(atlas: Atlas, places: Float[Tensor, "B N S 2"]) -> Tensor:
    """The nearest cell of every place."""
    flat = places.flatten(0, -2)
    return torch.cdist(flat, atlas.places).argmin(dim=-1).unflatten(0, places.shape[:-1])
