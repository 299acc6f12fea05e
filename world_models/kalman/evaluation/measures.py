"""Figures of one number of balls, from what the models have answered."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from world_models.kalman.evaluation.answers import Answers
from world_models.kalman.evaluation.held_out_videos import TestVideos
from world_models.kalman.evaluation.known_law import forecast
from world_models.kalman.evaluation.learned_law import learned_law, true_law
from world_models.kalman.evaluation.scores import (
    Affine,
    assign,
    distances,
    fit_affine,
    mean_and_interval,
    ratio_and_interval,
    reorder,
    share_and_interval,
    swapped,
    within_ellipse,
)
from world_models.kalman.model import Kalman

MARGIN, RUN = 2.0, 3
"""A track that is nearer to another ball by more than so many pixels, for so many frames, has swapped."""
LOST = 5.0
"""A track is lost on a frame if it is so far from its ball, in pixels: the width of a ball."""
FITS = 3
"""Rounds of finding which track is which ball and of fitting the map to true positions."""


def measure(model: Kalman, answers: Answers, videos: TestVideos, seen: int) -> tuple[dict[str, Any], Affine]:
    """All figures, and the map that best brings the model's pixels to true ones."""
    means, _ = answers.tracks["filtered"]
    fitted, order = fit_tracks(means, videos.positions, seen)
    steps = videos.frames.shape[1]
    when = {"filtered": (0, steps), "generated": (seen, steps), "interpolated": (seen, steps - seen)}
    positions, errors = dict[str, Any](), dict[str, Tensor]()
    for name, (first, last) in when.items():
        middle, spread = (reorder(part, order) for part in answers.tracks[name])
        truth = videos.positions[:, :, first:last]
        errors[name] = distances(fitted(middle), truth)
        inside = within_ellipse(fitted(middle), fitted.spread(spread), truth).float()
        positions[name] = _summary(errors[name]) | {
            "without_fit": float(distances(middle, truth).mean()),
            "within_95": float(inside.mean()),
            "within_95_per_step": inside.mean(dim=(0, 1)).tolist(),
        }
    inferred = fitted(reorder(answers.inferred, order))
    found = distances(inferred, videos.positions)
    positions["inferred"] = _summary(found) | {"to_seen": float(distances(inferred, videos.seen).mean())}
    same = errors["generated"][:, :, : steps - 2 * seen].mean(dim=(1, 2))
    latent = Affine(fitted.matrix @ model.pixel_matrix.cpu(), fitted(model.pixel_offset.cpu()))
    law = {
        "learned": learned_law(model.dynamics(), latent),
        "true": true_law(videos.positions, videos.seen),
    }
    figures = {
        "sequences": len(videos.frames),
        "loss": _losses(answers.losses),
        "position": positions,
        "interpolated_over_generated": ratio_and_interval(errors["interpolated"].mean(dim=(1, 2)), same),
        "swaps": share_and_interval(swapped(inferred, videos.positions, MARGIN, RUN)),
        "lost_frames": float((found > LOST).float().mean()),
        "fit": {"matrix": fitted.matrix.tolist(), "offset": fitted.offset.tolist()},
        "law": law,
        "known_law": known_law(videos, seen),
    }
    return figures, fitted


def known_law(videos: TestVideos, seen: int) -> dict[str, Any]:
    """The same figures of forecasts by the true law of motion."""
    known, steps = forecast(videos, seen), videos.frames.shape[1]
    when = {"filtered": (0, steps), "generated": (seen, steps), "interpolated": (seen, steps - seen)}
    errors = {
        name: distances(known.tracks[name], videos.positions[:, :, first:last])
        for name, (first, last) in when.items()
    }
    same = errors["generated"][:, :, : steps - 2 * seen].mean(dim=(1, 2))
    return {
        "loss": mean_and_interval(known.loss.mean(dim=1)) | {"per_step": known.loss.mean(dim=0).tolist()},
        "position": {name: _summary(each) for name, each in errors.items()},
        "interpolated_over_generated": ratio_and_interval(errors["interpolated"].mean(dim=(1, 2)), same),
    }


def fit_tracks(
    tracks: Float[Tensor, "n N T 2"], positions: Float[Tensor, "n N T 2"], seen: int
) -> tuple[Affine, Int[Tensor, "n N"]]:
    """The map from the model's pixels to true positions, and which track belongs to every ball.

    Raises:
        ValueError: no map can be fitted.
    """
    fitted = Affine(torch.eye(2), torch.zeros(2))
    for _ in range(FITS):
        order = assign(fitted(tracks[:, :, :seen]), positions[:, :, :seen])
        fitted = fit_affine(reorder(tracks, order), positions)
    return fitted, assign(fitted(tracks[:, :, :seen]), positions[:, :, :seen])


def _summary(errors: Float[Tensor, "n N L"]) -> dict[str, Any]:
    """Mean over balls and frames with its interval over sequences, median, and the mean of every step."""
    return mean_and_interval(errors.mean(dim=(1, 2))) | {
        "median": float(errors.median()),
        "per_step": errors.mean(dim=(0, 1)).tolist(),
    }


def _losses(losses: dict[str, Float[Tensor, "n _L"]]) -> dict[str, Any]:
    """Every method's loss, and how much it is above the ED-LSTM's on the same videos."""
    figures = dict[str, Any]()
    for name, each in losses.items():
        figures[name] = mean_and_interval(each.mean(dim=1)) | {"per_step": each.mean(dim=0).tolist()}
        if "ed-lstm" in losses and name not in ("ed-lstm", "interpolated"):
            figures[name]["minus_ed_lstm"] = mean_and_interval((each - losses["ed-lstm"]).mean(dim=1))
    between = losses["kalman-mean"][:, : losses["interpolated"].shape[1]]
    figures["interpolated"]["generated_on_the_same_frames"] = float(between.mean())
    return figures
