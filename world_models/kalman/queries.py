"""What a trained model answers without retraining (Chiappa and Paquet 2019, sections 3.3 to 3.5).

Pure functions. Positions and their covariances are in pixels, x right and y down; nothing needs gradients.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.kalman.lgssm.filter import kalman_filter, predict, rts_smoother
from world_models.kalman.lgssm.mixture import GaussianMixture
from world_models.kalman.model import Kalman


@dataclass(frozen=True)
class Tracks:
    """Where N objects are at L steps, and pictures of it.

    Covariances are those of the true place, without the noise that places are seen with.
    """

    means: Float[Tensor, "B N L 2"]
    covariances: Float[Tensor, "B N L 2 2"]
    frames: Float[Tensor, "B L 1 H W"]


@torch.no_grad()
def filtered(model: Kalman, frames: Float[Tensor, "B T 1 H W"], objects: int) -> Tracks:
    """Where the objects are at every frame, from what is seen in it and those before.

    Which object is which, and where they are seen when they cover each other, all frames together say
    (:meth:`Kalman.track`).

    Raises:
        ValueError: as :meth:`Kalman.infer`; so do the other queries.
    """
    run = kalman_filter(model.dynamics(), _seen(model, frames, objects))
    return _tracks(model, run.filtered)


@torch.no_grad()
def generate(
    model: Kalman,
    frames: Float[Tensor, "B T 1 H W"],
    objects: int,
    steps: int,
) -> Tracks:
    """The ``steps`` frames after the given ones (section 3.4).

    The most likely component is rolled on from the last filtered state. Pictures are of the mean positions:
    one possible future, and sharp. How likely each pixel is white, ``averaging.Averaging`` says.

    Args:
        model: the model.
        frames: what was seen.
        objects: how many objects there are.
        steps: how far to go on.

    Raises:
        ValueError: if there are no steps.
    """
    run = kalman_filter(model.dynamics(), _seen(model, frames, objects))
    forecast = predict(model.dynamics(), _likeliest(run.filtered.at(-1)), steps)
    return _tracks(model, forecast)


@torch.no_grad()
def interpolate(
    model: Kalman,
    before: Float[Tensor, "B T 1 H W"],
    after: Float[Tensor, "B S 1 H W"],
    objects: int,
    steps: int,
) -> Tracks:
    """The ``steps`` frames between two runs of frames (section 3.5).

    Frames are first generated from those before; inference sees these and goes on with the frames after, so
    that objects keep their identity. Unlike the network, the filter that says where objects are expected does
    not take what was generated for observed. Then all that was inferred is settled together
    (:meth:`Kalman.track`) and smoothed, with the steps between missing.

    Raises:
        ValueError: if there are no steps.
    """
    known = model.dynamics()
    first = model.infer(before, objects)
    forecast = predict(known, _likeliest(kalman_filter(known, first.means).filtered.at(-1)), steps)
    between = model.infer(_tracks(model, forecast).frames, objects, first.state)
    last = model.infer(after, objects, model.unseen(first.state, steps, between.state))
    observed = torch.ones(before.shape[1] + steps + after.shape[1], dtype=torch.bool, device=before.device)
    observed[before.shape[1] : before.shape[1] + steps] = False
    places = torch.cat([first.means, between.means, last.means], dim=2)
    seen = model.track(torch.cat([before, after], dim=1), places, observed)
    run = kalman_filter(known, seen, observed)
    return _tracks(model, _likeliest(_steps(rts_smoother(known, run), before.shape[1], steps)))


def _seen(model: Kalman, frames: Float[Tensor, "B T 1 H W"], objects: int) -> Float[Tensor, "B N T 2"]:
    """Where the objects are seen, in latent units."""
    return model.track(frames, model.infer(frames, objects).means)


def _likeliest(belief: GaussianMixture) -> GaussianMixture:
    """The component with the largest weight alone."""
    mean, covariance = belief.most_likely()
    log_weights = belief.log_weights.new_zeros(*mean.shape[:-1], 1)
    return GaussianMixture(log_weights, mean[..., None, :], covariance[..., None, :, :])


def _steps(states: GaussianMixture, first: int, count: int) -> GaussianMixture:
    """A part of the time axis."""
    return GaussianMixture(
        states.log_weights.narrow(-2, first, count),
        states.means.narrow(-3, first, count),
        states.covariances.narrow(-4, first, count),
    )


def _tracks(model: Kalman, states: GaussianMixture) -> Tracks:
    """Positions in pixels, and pictures of their means; states have rows ``B N L``."""
    emission = model.dynamics().emission
    mean, covariance = states.moments()
    places, spread = mean @ emission.mT, emission @ covariance @ emission.mT
    frames = model.draw(places.movedim(1, 2))
    return Tracks(model.to_pixels(places), model.spread_to_pixels(spread), frames)
