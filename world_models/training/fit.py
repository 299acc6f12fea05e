"""One training loop for every stage of every model: resumes exactly, logs as JSON lines, shows progress."""

import math
from collections.abc import Callable
from time import monotonic
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from tqdm import tqdm

from world_models.checkpoint import load_training, save_training
from world_models.losses import Loss
from world_models.precision import autocast
from world_models.training.run import Session

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]

WARM_UP = 50
"""Steps over which the learning rate rises from zero."""


class FitConfig(BaseModel):
    """How long and how fast one stage learns: Adam, cosine decay to zero, gradient norm clipped at 5."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: NonNegativeInt
    batch: PositiveInt
    learning_rate: PositiveFloat = 2e-3
    save_every: PositiveInt = 200


def learning_rate(config: FitConfig, step: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    decay = 0.5 * (1.0 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * min(1.0, (step + 1) / WARM_UP) * decay


def fit(
    name: str,
    module: nn.Module,
    loss: Callable[[int, torch.Generator], Loss],
    config: FitConfig,
    session: Session,
) -> None:
    """Minimise ``loss(step, generator)`` over the parameters of ``module`` that require gradients.

    The state is saved to ``<folder>/<name>.safetensors``; a run that was killed goes on from there and ends
    with the same weights, bit for bit, as one that was not (on CPU).
    """
    path = session.folder / f"{name}.safetensors"
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
    generator = torch.Generator().manual_seed(session.seed)
    step = load_training(path, module, optimizer, generator) if path.exists() else 0
    module.train()
    started = monotonic()
    with tqdm(total=config.steps, initial=step, desc=f"{name:>12}", mininterval=0.5) as bar:
        while step < config.steps:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step)
            with autocast(session.device):
                value = loss(step, generator)
            optimizer.zero_grad(set_to_none=True)
            value.total.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()
            step += 1
            bar.update()
            if step % 50 == 0 or step == config.steps:
                figures = {key: round(figure.item(), 5) for key, figure in value.logs.items()}
                bar.set_postfix(figures)
                session.log(stage=name, step=step, seconds=round(monotonic() - started, 1), **figures)
            if step % config.save_every == 0 or step == config.steps:
                save_training(path, step, module, optimizer, generator)
    module.eval()
