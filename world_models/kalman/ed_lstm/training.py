"""Training the ED-LSTM baseline: on true pictures, then on its own; the better one is kept."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from world_models.checkpoint import load_weights, write_card, write_model
from world_models.data import SequenceDataset, read_attributes
from world_models.kalman.ed_lstm.model import EDLSTM, EDLSTMConfig
from world_models.kalman.videos import CHUNK, PackedVideos
from world_models.losses import Loss
from world_models.precision import autocast
from world_models.training.fit import FitConfig, PositiveInt, fit
from world_models.training.run import Session, TrainingRun, claim

COUNTS = (1, 2, 3)
"""Numbers of balls, all learned by one model; each has its own folder of videos."""
STAGES = {"teacher-forced": "true pictures as inputs", "free-running": "its own pictures as inputs"}


class EDLSTMRecipe(BaseModel):
    """How the baseline learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: EDLSTMConfig = EDLSTMConfig()
    """Sizes."""
    held_out: PositiveInt = 500
    """Videos of every number of balls that are not learned from: the last ones."""
    seen: PositiveInt = 5
    """Frames that are always given; later ones are the model's own in the second stage."""
    teacher_forced: FitConfig
    """The paper's training."""
    free_running: FitConfig
    """Goes on from there and trains what is tested."""


class EDLSTMRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/cannonballs")
    """Folder of the videos, with one folder per number of balls."""
    out: Path = Path("runs/ed-lstm-cannonballs")
    recipe: EDLSTMRecipe
    """The preset's settings, each of which can be changed."""


ED_LSTM_PRESETS: dict[str, tuple[str, EDLSTMRecipe]] = {
    "ed-lstm-cannonballs": (
        "ED-LSTM on cannonballs: the Kalman model's baseline",
        EDLSTMRecipe(
            teacher_forced=FitConfig(steps=1000, batch=32, learning_rate=1e-3, save_every=100),
            free_running=FitConfig(steps=400, batch=32, learning_rate=1e-3, save_every=100),
        ),
    ),
    "ed-lstm-debug": (
        "ED-LSTM on tiny pictures, in seconds",
        EDLSTMRecipe(
            model=EDLSTMConfig(image_size=12, state=8, encoder=(8,), decoder=()),
            held_out=2,
            seen=2,
            teacher_forced=FitConfig(steps=2, batch=4, save_every=1),
            free_running=FitConfig(steps=2, batch=4, save_every=1),
        ),
    ),
}


def train_ed_lstm(run: EDLSTMRun, command: str) -> Path:
    """Run both stages and export the better model; answers the model folder.

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
    known = [PackedVideos.read(part, 0, len(part) - recipe.held_out) for part in data]
    learned = PackedVideos(np.concatenate([part.bits for part in known]), recipe.model.image_size)
    with session.initial_weights():
        model = EDLSTM(recipe.model).to(session.device)

    def loss(stage: str, batch: int, step: int, rng: torch.Generator) -> Loss:
        rows = torch.randint(len(learned.bits), (batch,), generator=rng)
        frames = learned.frames(rows.numpy()).to(session.device)
        return prediction_loss(model, frames, recipe.seen if stage == "free-running" else None)

    for stage in STAGES:
        config: FitConfig = getattr(recipe, stage.replace("-", "_"))
        fit(stage, model, partial(loss, stage, config.batch), config, session)
    held_out = [PackedVideos.read(part, len(part) - recipe.held_out, len(part)) for part in data]
    errors = {}
    for stage in STAGES:
        load_weights(run.out / f"{stage}.safetensors", model)
        errors[stage] = [generation_loss(model, videos, recipe.seen, session.device) for videos in held_out]
    best = min(errors, key=lambda stage: sum(errors[stage]))
    load_weights(run.out / f"{best}.safetensors", model)
    folder = run.out / "model"
    write_model(folder, recipe.model, model, "")
    write_card(folder, _card(run, data, command, errors, best))
    return folder


def open_videos(folder: Path, recipe: EDLSTMRecipe) -> list[SequenceDataset]:
    """The data, one set per number of balls.

    Raises:
        DataError: a folder is missing.
        ValueError: pictures have another size, or there are too few videos or frames.
    """
    data = [SequenceDataset(folder / str(count)) for count in COUNTS]
    size = recipe.model.image_size
    for part in data:
        steps, *picture = part.shapes["frames"]
        if picture != [size, size, 1] or steps <= recipe.seen + 1:
            raise ValueError(
                f"the recipe needs more than {recipe.seen + 1} frames of {size} x {size} x 1, "
                f"{part.folder} has {part.shapes['frames']}"
            )
        if len(part) <= recipe.held_out:
            raise ValueError(
                f"{part.folder} has {len(part)} sequences, but {recipe.held_out} are to be held out"
            )
    return data


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


def _card(
    run: EDLSTMRun,
    data: list[SequenceDataset],
    command: str,
    errors: dict[str, list[float]],
    best: str,
) -> str:
    recipe = run.recipe
    origins = "\n".join(
        f"- {len(part) - recipe.held_out} videos, {recipe.held_out} more held out; first shard "
        f"`{json.dumps(read_attributes(part.paths[0]), sort_keys=True)}`"
        for part in data
    )
    rows = "\n".join(
        f"| {stage} ({STAGES[stage]}) | {' | '.join(f'{error:.5f}' for error in errors[stage])} |"
        for stage in STAGES
    )
    return f"""# ED-LSTM

Predicts the next picture from those before, without a notion of objects: the Kalman model's baseline.
Method: Chiappa and Paquet 2019, *Unsupervised Separation of Dynamics from Pixels*, section 3.4.

## Data
{origins}

## Training
`{command}` (seed {run.seed})

- model: {recipe.model.model_dump_json()}
- teacher-forced: {recipe.teacher_forced.model_dump_json()}
- free-running: {recipe.free_running.model_dump_json()}

## Figures on the held-out videos
Frames after the first {recipe.seen}, made from the model's own: negative log-likelihood in nats per pixel,
for {", ".join(map(str, COUNTS))} balls. These weights are {best}.

| inputs in training | {" | ".join(f"N = {count}" for count in COUNTS)} |
|---|{"---|" * len(COUNTS)}
{rows}

## Deviations from the paper
The second stage feeds the model its own pictures in training as in the test; the paper only has the first.
Fewer steps, larger batches, warm-up and cosine decay of the learning rate, gradient norms clipped at 5. All
numbers of balls are learned by one model. Biases start at 0 but for the forget gates (1) and the pixels
(almost black). Weights are rounded to half precision.
"""
