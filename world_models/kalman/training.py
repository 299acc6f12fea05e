"""Training a Kalman model in stages (Chiappa and Paquet 2019, section 3.2), for all numbers of objects."""

from collections.abc import Sequence
from functools import partial

import torch

from world_models.kalman.bound import lower_bound
from world_models.kalman.model import Kalman
from world_models.kalman.recipe import Stage
from world_models.kalman.videos import PackedVideos
from world_models.losses import Loss
from world_models.training.fit import fit
from world_models.training.run import Session

STAGES = ("frozen", "single", "joint")
"""In order; each is a field of the recipe."""


def train_stage(
    name: str, model: Kalman, videos: Sequence[PackedVideos], stage: Stage, session: Session
) -> None:
    """Learn from all videos; the state-space model rests in the first stage."""
    model.motion.requires_grad_(name != "frozen")
    fit(name, model, partial(bound_loss, model, videos, stage, session.device), stage, session)


def bound_loss(
    model: Kalman,
    videos: Sequence[PackedVideos],
    stage: Stage,
    device: torch.device,
    step: int,
    generator: torch.Generator,
) -> Loss:
    """The negative bound on random videos, per frame and object; numbers of objects take turns."""
    objects = 1 + step % min(stage.most_objects, len(videos))
    chosen = videos[objects - 1]
    rows = torch.randint(len(chosen.bits), (stage.batch,), generator=generator)
    frames = chosen.frames(rows.numpy()).to(device)
    steps = frames.shape[1]
    noise = torch.randn(stage.batch, objects, steps, 2, generator=generator).to(device)
    drawn = torch.randperm(steps, generator=generator)[: stage.drawn].sort().values.to(device)
    bound = lower_bound(model, frames, objects, noise, drawn, careful=False)
    pictures, kl = (part.mean() / (steps * objects) for part in (-bound.log_pictures, bound.kl))
    weight = stage.kl_weight(step)
    logs = {f"pictures_{objects}": pictures.detach(), f"kl_{objects}": kl.detach()}
    return Loss(pictures + weight * kl, logs)
