"""One training loop for every stage of every model: resumes exactly, logs as JSON lines, shows progress."""

import math
from collections.abc import Callable
from time import monotonic
from typing import Annotated, ClassVar

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
    """How long and how fast one stage learns: Adam, cosine decay to zero, gradient norm clipped at 5.

    A stage that learns otherwise overrides :meth:`rate`, :meth:`share` and what is said of its class.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    largest_gradient: ClassVar[float] = 5.0
    """Norm at which the gradient of all parameters together is clipped."""
    fused: ClassVar[bool] = False
    """Whether Adam's step is one call, with other bits: it pays where networks are small."""

    steps: NonNegativeInt
    batch: PositiveInt
    learning_rate: PositiveFloat = 2e-3
    save_every: PositiveInt = 200

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then half a cosine to zero."""
        decay = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(1.0, (step + 1) / WARM_UP) * decay

    def share(self, parameter: str) -> float:
        """Share of the learning rate that the parameter of that name learns at."""
        return 1.0


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
    learned = {name: value for name, value in module.named_parameters() if value.requires_grad}
    parameters, groups = [*learned.values()], dict[float, list[nn.Parameter]]()
    for key, parameter in learned.items():
        groups.setdefault(config.share(key), []).append(parameter)
    optimizer = torch.optim.Adam(
        [{"params": group} for group in groups.values()], lr=config.learning_rate, fused=config.fused or None
    )
    generator = torch.Generator().manual_seed(session.seed)
    step = load_training(path, module, optimizer, generator) if path.exists() else 0
    module.train()
    started = monotonic()
    with tqdm(total=config.steps, initial=step, desc=f"{name:>12}", mininterval=0.5) as bar:
        while step < config.steps:
            for share, group in zip(groups, optimizer.param_groups, strict=True):
                group["lr"] = share * config.rate(step)
            with autocast(session.device):
                value = loss(step, generator)
            optimizer.zero_grad(set_to_none=True)
            value.total.backward()
            torch.nn.utils.clip_grad_norm_(parameters, config.largest_gradient)
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
