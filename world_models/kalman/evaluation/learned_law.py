"""The learned law of motion next to the true one, in pixels and frames."""

import math
from typing import Any

from jaxtyping import Float
from torch import Tensor

from world_models.kalman.evaluation.scores import Affine
from world_models.kalman.lgssm.filter import LGSSM


def learned_law(model: LGSSM, to_pixels: Affine) -> dict[str, Any]:
    """The parameters in pixels and frames; ``to_pixels`` maps latent positions.

    Velocities are what the first step adds to a position: ``period`` times the latent velocity, and the force
    on the position.
    """
    period = model.transition[0, 2]
    linear = to_pixels.matrix
    # Second difference of the position: the force on the position cancels.
    pull = linear @ (period * model.force[2:])
    jitter = period**2 * model.process_noise[2:, 2:]
    starts = [
        {
            "weight": float(weight),
            "position": to_pixels(mean[:2]).tolist(),
            "velocity": (linear @ (period * mean[2:] + model.force[:2])).tolist(),
            "position_sd": _deviations(to_pixels.spread(covariance[:2, :2])),
            "velocity_sd": _deviations(to_pixels.spread(period**2 * covariance[2:, 2:])),
        }
        for weight, mean, covariance in zip(
            model.start_logits.softmax(-1), model.start_means, model.start_covariances, strict=True
        )
    ]
    return {
        "period": float(period),
        "force": model.force.tolist(),
        "latent_to_pixels": linear.tolist(),
        "acceleration": _vector(pull),
        "process_sd_position": _deviations(to_pixels.spread(model.process_noise[:2, :2])),
        "process_sd_velocity": _deviations(to_pixels.spread(jitter)),
        "observation_sd": _deviations(to_pixels.spread(model.observation_noise)),
        "starts": starts,
    }


def true_law(positions: Float[Tensor, "n N T 2"], seen: Float[Tensor, "n N T 2"]) -> dict[str, Any]:
    """The same figures of the data: acceleration by second differences, noise of what is drawn, and starts of
    balls that fly right and left, if there are two of them. The motion has no noise.
    """
    flat = positions.double().flatten(0, 1)
    steps = flat.diff(dim=1)
    first, velocity = flat[:, 0], steps[:, 0]
    starts = []
    for flying in (velocity[:, 0] > 0, velocity[:, 0] <= 0):
        if flying.sum() < 2:
            continue
        starts.append(
            {
                "weight": float(flying.double().mean()),
                "position": first[flying].mean(0).tolist(),
                "velocity": velocity[flying].mean(0).tolist(),
                "position_sd": first[flying].std(0).tolist(),
                "velocity_sd": velocity[flying].std(0).tolist(),
            }
        )
    return {
        "acceleration": _vector(steps.diff(dim=1).mean(dim=(0, 1))),
        "observation_sd": (seen - positions).double().flatten(0, 2).std(0).tolist(),
        "starts": starts,
    }


def _vector(values: Float[Tensor, "2"]) -> dict[str, float]:
    """In pixels per frame²; the angle is measured from x (right) to y (down), so straight down is 90."""
    x, y = values.tolist()
    return {"x": x, "y": y, "size": math.hypot(x, y), "angle_degrees": math.degrees(math.atan2(y, x))}


def _deviations(covariance: Float[Tensor, "2 2"]) -> list[float]:
    """Standard deviations along x and y."""
    return covariance.diagonal().clamp(min=0.0).sqrt().tolist()
