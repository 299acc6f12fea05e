"""Training the ED-LSTM baseline: on true pictures, then on its own; the better one is kept."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.videos import CHUNK, PackedVideos
from world_models.losses import Loss
from world_models.precision import autocast


def prediction_loss(model: EDLSTM, frames: Float[Tensor, "B T 1 H W"], seen: int | None) -> Loss:
    """Negative log-likelihood of every frame but the first, given those before, in nats per frame.

    Args:
        model: predicts.
        frames: the truth.
        seen: after so many frames the inputs are the model's own pictures; None if all are true ones. No
            gradient flows through an input.
    """
    inputs = frames[:, :-1]
    if seen is not None:
        inputs = torch.cat(
            [frames[:, :seen], model.generate(frames[:, :seen], inputs.shape[1] - seen)], dim=1
        )
    each = functional.binary_cross_entropy_with_logits(model(inputs), frames[:, 1:], reduction="none")
    total = each.flatten(2).sum(-1).mean()
    return Loss(total, {"nats_per_frame": total.detach()})


@torch.no_grad()
def generation_loss(model: EDLSTM, videos: PackedVideos, seen: int, device: torch.device) -> float:
    """Mean negative log-likelihood of the frames after the first ``seen``, in nats per pixel."""
    total, count = 0.0, 0
    for first in tqdm(range(0, len(videos.bits), CHUNK), desc="  validation", leave=False):
        frames = videos.frames(slice(first, first + CHUNK)).to(device)
        with autocast(device):
            made = model.generate(frames[:, :seen], frames.shape[1] - seen)
        each = functional.binary_cross_entropy(made, frames[:, seen:], reduction="none")
        total, count = total + float(each.sum()), count + each.numel()
    return total / count
