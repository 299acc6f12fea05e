"""Training the ED-LSTM baseline: on true pictures, then on its own; the better one is kept."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.checkpoint import load_weights
from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.ed_lstm.recipe import STAGES, EDLSTMRecipe, best_stage
from world_models.kalman.videos import CHUNK, PackedVideos
from world_models.losses import Loss
from world_models.precision import autocast
from world_models.training.fit import FitConfig, fit
from world_models.training.run import Session


def train_stage(
    stage: str, model: EDLSTM, videos: PackedVideos, recipe: EDLSTMRecipe, session: Session
) -> None:
    """Learn to predict the next picture; the state is kept under the stage's name."""
    config: FitConfig = getattr(recipe, stage.replace("-", "_"))

    def loss(step: int, rng: torch.Generator) -> Loss:
        rows = torch.randint(len(videos.bits), (config.batch,), generator=rng)
        frames = videos.frames(rows.numpy()).to(session.device)
        return prediction_loss(model, frames, recipe.seen if stage == "free-running" else None)

    fit(stage, model, loss, config, session)


def choose_stage(
    model: EDLSTM, held_out: Sequence[PackedVideos], seen: int, session: Session
) -> dict[str, list[float]]:
    """Leave the model with the weights of the stage that is better on held-out videos.

    Answers the errors of every stage; see :func:`generation_loss`.
    """
    errors = {}
    for stage in STAGES:
        load_weights(session.folder / f"{stage}.safetensors", model)
        errors[stage] = [generation_loss(model, videos, seen, session.device) for videos in held_out]
    load_weights(session.folder / f"{best_stage(errors)}.safetensors", model)
    return errors


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
