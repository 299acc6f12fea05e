"""Training a Kalman model in stages (Chiappa and Paquet 2019, section 3.2), for all numbers of objects."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from world_models.checkpoint import write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.kalman.bound import lower_bound
from world_models.kalman.card import describe, measure
from world_models.kalman.config import KalmanConfig
from world_models.kalman.model import Kalman
from world_models.kalman.videos import PackedVideos
from world_models.losses import Loss
from world_models.training.fit import FitConfig, PositiveFloat, PositiveInt, fit
from world_models.training.run import Session, TrainingRun, claim

STAGES = ("frozen", "single", "joint")


class Stage(FitConfig):
    """One stage."""

    most_objects: PositiveInt = 3
    """Only videos of up to so many objects are learned from."""
    drawn: PositiveInt = 10
    """Pictures per video that the renderer is asked for; drawn anew at every step."""
    kl_start: PositiveFloat = 1.0
    """Weight of the KL at the first step; the bound is eq. 7 where it is 1."""
    kl_end: PositiveFloat = 1.0
    """Weight at the last step; in between it changes by the same factor at every step."""

    def kl_weight(self, step: int) -> float:
        """Weight of the KL at a step."""
        share = step / max(1, self.steps - 1)
        return float(self.kl_start ** (1.0 - share) * self.kl_end**share)


class KalmanRecipe(BaseModel):
    """How a Kalman model learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: KalmanConfig = KalmanConfig()
    """Sizes."""
    held_out: PositiveInt = 500
    """Videos of every number of objects that are not learned from: the last ones."""
    frozen: Stage
    """Renderer and inference network alone: the state-space model stays as it starts."""
    single: Stage
    """Everything, on one object: what moves how is learned before which is which."""
    joint: Stage
    """Everything, on all numbers of objects."""


class KalmanRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/cannonballs")
    """Folder of the videos, with one folder per number of objects."""
    out: Path = Path("runs/kalman-cannonballs")
    recipe: KalmanRecipe
    """The preset's settings, each of which can be changed."""


KALMAN_PRESETS: dict[str, tuple[str, KalmanRecipe]] = {
    "kalman-cannonballs": (
        "Kalman model of one to three cannonballs",
        KalmanRecipe(
            frozen=Stage(steps=200, batch=32, most_objects=1, learning_rate=4e-3),
            single=Stage(steps=600, batch=32, most_objects=1, learning_rate=4e-3),
            joint=Stage(steps=5800, batch=32, drawn=15, learning_rate=4e-3),
        ),
    ),
    "kalman-debug": (
        "Kalman model of tiny pictures, in seconds",
        KalmanRecipe(
            model=KalmanConfig(image_size=12, most_objects=2, canvas=16, state=8, filter_size=3),
            held_out=2,
            frozen=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=1),
            single=Stage(steps=2, batch=2, save_every=1, drawn=2, most_objects=1, kl_start=10.0),
            joint=Stage(steps=2, batch=2, save_every=1, drawn=2),
        ),
    ),
}


def train_kalman(run: KalmanRun, command: str) -> Path:
    """Run all stages and export the model; answers the model folder.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        DataError: the data is missing.
        ValueError: the data does not fit the recipe, or ``run.out`` holds a run with other settings.
    """
    recipe = run.recipe
    data = open_videos(run.data, recipe)
    claim(run, {"data": [[len(part), read_attributes(part.paths[0])] for part in data]})
    torch.set_num_threads(run.threads)
    session = Session(run.out, run.seed, torch.device(run.device))
    with session.initial_weights():
        model = Kalman(recipe.model).to(session.device)
    known = [PackedVideos.read(part, 0, len(part) - recipe.held_out) for part in data]
    for name in STAGES:
        stage: Stage = getattr(recipe, name)
        model.motion.requires_grad_(name != "frozen")
        fit(name, model, partial(bound_loss, model, known, stage, session.device), stage, session)
    model.calibrate()
    folder = run.out / "model"
    write_model(folder, recipe.model, model, "")
    held_out = [PackedVideos.read(part, len(part) - recipe.held_out, len(part)) for part in data]
    figures = measure(Kalman.load(folder, session.device), held_out, session)
    stages = {name: getattr(recipe, name) for name in STAGES}
    write_card(folder, describe(recipe.model, stages, data, recipe.held_out, command, run.seed, figures))
    return folder


def open_videos(folder: Path, recipe: KalmanRecipe) -> list[SequenceDataset]:
    """The data, one set per number of objects.

    Raises:
        DataError: a folder is missing.
        ValueError: pictures have another size, or there are too few videos.
    """
    size = recipe.model.image_size
    data = [SequenceDataset(folder / str(count + 1)) for count in range(recipe.model.most_objects)]
    for part in data:
        if part.shapes["frames"][1:] != (size, size, 1):
            raise ValueError(
                f"the recipe needs pictures of {size} x {size} x 1, {part.folder} has {part.shapes['frames']}"
            )
        if len(part) <= recipe.held_out:
            raise ValueError(
                f"{part.folder} has {len(part)} sequences, but {recipe.held_out} are to be held out"
            )
    return data


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
