"""What the Kalman model, the ED-LSTM and predictions without a model answer about test videos."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.evaluation.averaging import Averaging
from world_models.kalman.evaluation.held_out_videos import TestVideos
from world_models.kalman.evaluation.scores import nats_per_pixel
from world_models.kalman.model import Kalman
from world_models.kalman.queries import Tracks, filtered, generate, interpolate
from world_models.precision import autocast

CHUNK = 100
"""Sequences answered together."""
BLUR = 2.0
"""Standard deviation in pixels of the blur that makes a held picture a prediction."""


@dataclass(frozen=True)
class Answers:
    """Positions in pixels, as the renderer draws them, and losses in nats per pixel."""

    inferred: Float[Tensor, "n N T 2"]
    tracks: dict[str, tuple[Float[Tensor, "n N _L 2"], Float[Tensor, "n N _L 2 2"]]]
    """Means and covariances: ``filtered`` (all frames), ``generated``, ``interpolated``."""
    losses: dict[str, Float[Tensor, "n _L"]]
    """By method, of the generated frames; ``interpolated`` of those between."""


@torch.no_grad()
def ask(
    model: Kalman,
    baseline: EDLSTM | None,
    mean: Float[Tensor, "T 1 H W"] | None,
    videos: TestVideos,
    seen: int,
) -> Answers:
    """Ask about all videos.

    Args:
        model: finds, generates and interpolates.
        baseline: generates.
        mean: share of white at every pixel of every frame: a prediction.
        videos: the truth.
        seen: frames given before what is generated; as many are given after what is interpolated.
    """
    balls, device = videos.positions.shape[1], model.pixel_offset.device
    averaging = Averaging(model)
    steps = videos.frames.shape[1] - seen
    inferred, tracks, losses = list[Tensor](), dict[str, list[Tracks]](), dict[str, list[Tensor]]()
    for part in tqdm(videos.frames.split(CHUNK), desc=f"{balls} balls"):
        frames = part.to(device)
        before, after = frames[:, :seen], frames[:, -seen:]
        seen_at = model.track(frames, model.infer(frames, balls).means)
        inferred.append(model.to_pixels(seen_at).cpu())
        made = {
            "filtered": filtered(model, frames, balls),
            "generated": generate(model, before, balls, steps),
            "interpolated": interpolate(model, before, after, balls, steps - seen),
        }
        pictures = {
            "kalman-mean": made["generated"].frames,
            "kalman-averaged": averaging(made["generated"]),
            "held-picture": held_picture(before),
        }
        if baseline is not None:
            with autocast(device):
                pictures["ed-lstm"] = baseline.generate(before, steps)
        if mean is not None:
            pictures["mean-picture"] = mean[seen:].to(device)
        for name, tracked in made.items():
            tracks.setdefault(name, []).append(tracked)
        for name, predicted in pictures.items():
            losses.setdefault(name, []).append(nats_per_pixel(predicted, frames[:, seen:]).cpu())
        between = nats_per_pixel(made["interpolated"].frames, frames[:, seen:-seen])
        losses.setdefault("interpolated", []).append(between.cpu())
    joined = {
        name: (torch.cat([p.means for p in parts]).cpu(), torch.cat([p.covariances for p in parts]).cpu())
        for name, parts in tracks.items()
    }
    return Answers(torch.cat(inferred), joined, {name: torch.cat(parts) for name, parts in losses.items()})


def held_picture(before: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B 1 1 H W"]:
    """The last picture, blurred and never surer than half: a prediction without a model."""
    last = before[:, -1]
    reach = torch.arange(-3.0 * BLUR, 3.0 * BLUR + 1, device=last.device)
    bell = (-0.5 * (reach / BLUR).square()).exp()
    kernel = (bell[:, None] * bell / bell.sum() ** 2)[None, None]
    blurred = functional.conv2d(last, kernel, padding="same")
    share = last.mean(dim=(-2, -1), keepdim=True)
    return torch.maximum(blurred, share).clamp(max=0.5)[:, None]
