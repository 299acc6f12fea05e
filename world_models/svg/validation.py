"""Figures of an SVG model on held-out videos, for its card and for choosing settings."""

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.picture_scores import ssim
from world_models.svg.model import SVG
from world_models.svg.videos import VideoSet

SAMPLES = 20
"""Futures drawn of each video."""
BATCH = 10
"""Videos at a time."""


@torch.no_grad()
def measure(model: SVG, videos: VideoSet, seen: int, generator: torch.Generator) -> dict[str, float]:
    """Figures by name; pictures are those after ``seen`` frames of a video.

    ========================  =========================================================================
    ``reconstruction_mse``    per pixel, of embedded and decoded true frames with skips of the last seen
    ``reconstruction_ssim``   the same pictures
    ``kl``                    KL of posterior and prior, nats per frame; not of a deterministic model
    ``sample_ssim``           mean over the samples of the mean SSIM of a video's predicted frames
    ``best_ssim``             that of the best of the samples; the same in a deterministic model
    ``best_ssim_at_end``      SSIM of the last frame of the best sample
    ========================  =========================================================================
    """
    device = next(model.parameters()).device
    sums = dict[str, float]()
    for first in range(0, len(videos), BATCH):
        rows = slice(first, first + BATCH)
        frames, actions = to_tensor(videos.frames[rows], device), videos.actions[rows].to(device)
        for name, values in _figures(model, frames, actions, seen, generator).items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
    return {name: total / len(videos) for name, total in sums.items()}


def _figures(
    model: SVG,
    frames: Float[Tensor, "B T C H W"],
    actions: Float[Tensor, "B T-1 A"],
    seen: int,
    generator: torch.Generator,
) -> dict[str, Float[Tensor, " B"]]:
    truth = frames[:, seen:]
    batch, length = truth.shape[:2]
    skips = model.skips(frames[:, seen - 1])
    again = model.decode(model.embed(truth.flatten(0, 1)), skips).unflatten(0, (batch, length))
    figures = {
        "reconstruction_mse": (again - truth).square().mean((1, 2, 3, 4)),
        "reconstruction_ssim": ssim(again, truth).mean(1),
    }
    if model.config.prior != "none":
        figures["kl"] = model.surprise(frames, actions).mean(1)
    samples = SAMPLES if model.config.latent else 1
    state = model.encode(Context(frames[:, :seen], actions[:, : seen - 1]))
    noise = torch.randn(batch, samples, length, model.config.latent, generator=generator)
    driven = actions[:, seen - 1 :].repeat_interleave(samples, 0)
    decisions = torch.cat([noise.flatten(0, 1).to(frames.device), driven], dim=-1)
    features = model.imagine(state.repeat(samples), decisions).features
    pictures = model.decode(features.flatten(0, 1), state.skips).unflatten(0, (batch, samples, length))
    scores = ssim(pictures, truth[:, None])
    best = scores.mean(2).argmax(1)
    figures["sample_ssim"] = scores.mean((1, 2))
    figures["best_ssim"] = scores.mean(2).max(1).values
    figures["best_ssim_at_end"] = scores[torch.arange(batch), best, -1]
    return figures
