"""One training loop for every stage of every model: resumes exactly, logs as JSON lines, shows progress."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from tqdm import tqdm

from world_models.checkpoint import load_training, save_training, write_bytes
from world_models.losses import Loss
from world_models.precision import autocast

Positive = Annotated[int, Field(gt=0)]

WARM_UP = 50
"""Steps over which the learning rate rises from zero."""


class FitConfig(BaseModel):
    """How long and how fast one stage learns: Adam, cosine decay to zero, gradient norm clipped at 5."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Annotated[int, Field(ge=0)]
    batch: Positive
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    save_every: Positive = 200


class TrainingRun(BaseModel):
    """What every training run is told.

    Attributes:
        out: folder of this run; give the same one to resume.
        seed: seed of all that is random: weights, batches, noise.
        device: ``cpu``, ``cuda``, ...
        threads: CPU threads; one per process is fastest when cores are shared.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: Path
    seed: int = 0
    device: str = "cpu"
    threads: int = 1


def claim(run: TrainingRun, origin: Mapping[str, Any]) -> None:
    """Note in ``run.json`` what a folder is for: its seed, its recipe and where its data is from.

    Raises:
        ValueError: the folder holds another run.
    """
    settings = json.loads(json.dumps(run.model_dump(mode="json", include={"seed", "recipe"}) | dict(origin)))
    path = run.out / "run.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise ValueError(f"{run.out} holds a run with other settings or data; choose another --out")
    write_bytes(path, (json.dumps(settings, indent=2) + "\n").encode())


@dataclass(frozen=True)
class Session:
    """Where a training run lives and what it runs on."""

    folder: Path
    seed: int
    device: torch.device

    @contextmanager
    def initial_weights(self) -> Iterator[None]:
        """Weights made inside are drawn from the seed; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(torch.Generator().manual_seed(self.seed).get_state())
            yield

    def log(self, **entry: float | str) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


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
