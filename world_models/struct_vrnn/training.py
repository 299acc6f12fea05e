"""The stages that train a Struct-VRNN: vision, cached features, dynamics; or both at once."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from world_models.data import DataError
from world_models.files import save_array
from world_models.frames import to_tensor
from world_models.losses import Loss, color_index
from world_models.precision import autocast
from world_models.struct_vrnn.losses import Sampling, open_loop_loss, separation_loss, sequence_loss
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.recipe import BodiesStage, DynamicsStage, StructVRNNRecipe, VisionStage
from world_models.struct_vrnn.sequences import READ, Known, TaskData, draw_rows, read_known
from world_models.struct_vrnn.vision import Vision, from_pixels
from world_models.training.fit import fit
from world_models.training.run import Session

CHUNK = 100
"""Frames that are looked at together: more do not fit a CPU's cache and take twice as long."""


def train_vision(model: StructVRNN, tasks: Sequence[TaskData], stage: VisionStage, session: Session) -> None:
    """Learn to describe single frames by features, and to draw frames from them."""
    read = cache(lambda: read_known(tasks, stage.sequences))  # not read at all if the stage is finished

    def loss(step: int, generator: torch.Generator) -> Loss:
        return vision_loss(model.vision, read(), stage, session.device, generator)

    fit("vision", model.vision, loss, stage, session)


def vision_loss(
    vision: Vision, known: Known, stage: VisionStage, device: torch.device, generator: torch.Generator
) -> Loss:
    """Squared picture error, separation and sparsity (section 4.1), and supervision where asked for."""
    frames, foreign, supervised = [], [], []
    for task, rows in draw_rows([len(part) for part in known.frames], stage.batch, generator):
        times = _times(len(rows), known.frames[task].shape[1], stage.frames, generator)
        frames.append(known.frames[task][rows[:, None], times])
        own = torch.rand(len(rows), generator=generator).numpy() >= stage.foreign
        others = torch.randint(len(known.frames[task]), (len(rows),), generator=generator).numpy()
        foreign.append(known.frames[task][np.where(own, rows, others), 0])
        supervised.append(known.positions[task][rows[:, None], times])
    pictures = to_tensor(np.concatenate(frames), device)
    references = to_tensor(np.concatenate(foreign), device)
    batch, count = pictures.shape[:2]
    found = vision.detect(torch.cat([pictures.flatten(0, 1), references]))
    features, first = found.features.split([batch * count, batch])
    reference = vision.reference(references, first).repeat(count)
    targets = pictures.flatten(0, 1)
    errors = 0.5 * (vision.generate(features, reference) - targets).square().sum(1)
    if stage.rarity:
        errors = errors * known.rarity.to(device)[color_index(targets)]
    image = errors.sum((1, 2)).mean() * (2 * count if stage.summed else 1)
    paths = features.unflatten(0, (batch, count))
    logs = {"image": image, "sparsity": found.activity.sum(-1).mean()}
    total = image + stage.sparsity * logs["sparsity"]
    if vision.structured:
        logs["separation"] = separation_loss(paths, stage.separation_width)
        total = total + stage.separation * logs["separation"]
    if stage.supervision:
        logs["supervision"] = supervision_loss(paths, supervised, pictures.shape[-1])
        total = total + stage.supervision * logs["supervision"]
    kernels = (m.weight for m in vision.modules() if isinstance(m, nn.Conv2d))
    decay = torch.stack([kernel.square().sum() for kernel in kernels]).sum()
    return Loss(total + stage.weight_decay * decay, logs)


def _times(rows: int, length: int, count: int, generator: torch.Generator) -> np.ndarray:
    """``count`` different frames of each sequence, in order."""
    chosen = torch.rand(rows, length, generator=generator).argsort(1)[:, : min(count, length)]
    return chosen.sort(1).values.numpy()


def supervision_loss(
    features: Float[Tensor, "B T F"], positions: Sequence[Float[np.ndarray, "_b T _J 2"]], size: int
) -> Float[Tensor, ""]:
    """Squared distance of the first J keypoints to a task's J true positions, summed over these."""
    places = features.unflatten(-1, (-1, 3))[..., :2]
    errors, first = features.new_zeros(()), 0
    for truth in positions:
        target = from_pixels(torch.from_numpy(truth).to(features.device), size)
        rows = places[first : first + len(truth), :, : truth.shape[2]]
        errors = errors + (rows - target).square().sum((-2, -1)).mean(1).sum()
        first += len(truth)
    return errors / len(features)


@torch.no_grad()
def cache_features(
    vision: Vision, tasks: Sequence[TaskData], folder: Path, session: Session
) -> list[Float[Tensor, "_n T F"]]:
    """Features of all frames, held-out ones included; kept in ``folder/<task>.npy``."""
    paths = [folder / f"{task.name or 'features'}.npy" for task in tasks]
    return [cache_task_features(vision, *each, session) for each in zip(tasks, paths, strict=True)]


@torch.no_grad()
def cache_task_features(
    vision: Vision, task: TaskData, path: Path, session: Session
) -> Float[Tensor, "n T F"]:
    """Features of all frames of one task, kept in ``path``. Raises DataError if it is of other data."""
    if not path.exists():
        parts = []
        for first in tqdm(range(0, len(task.sequences), READ), desc=f"{task.name or 'features':>12.12}"):
            frames = task.sequences[first : min(first + READ, len(task.sequences))].frames
            pictures = to_tensor(frames.reshape(-1, *frames.shape[2:]), session.device)
            with autocast(session.device):
                features = torch.cat([vision.detect(part).features for part in pictures.split(CHUNK)])
            parts.append(features.unflatten(0, frames.shape[:2]).float().cpu().numpy())
        save_array(path, np.concatenate(parts))
    features = torch.from_numpy(np.load(path, allow_pickle=False))
    if len(features) != len(task.sequences):
        raise DataError(
            f"{path} describes {len(features)} sequences, {task.sequences.folder} has {len(task.sequences)}; "
            "choose another --out for other data"
        )
    return features


def train_bodies(
    model: StructVRNN,
    tasks: Sequence[TaskData],
    detected: Sequence[Float[Tensor, "_n T D"]],
    stage: BodiesStage,
    session: Session,
) -> None:
    """Learn to read where bodies are off the keypoints; nothing to do for a model that knows none.

    Raises:
        DataError: the data does not say where they are.
    """
    reader, names = model.reader, model.config.bodies
    if reader is None:
        return
    for task in tasks:
        if missing := [name for name in names if name not in task.bodies]:
            known = ", ".join(task.bodies) or "no bodies"
            raise DataError(f"{task.sequences.folder} knows {known}, not {', '.join(missing)}")
    inputs = torch.cat([part[: task.known].flatten(0, 1) for task, part in zip(tasks, detected, strict=True)])
    targets = torch.cat([_places(task, names, model.config.image_size) for task in tasks])
    reader.set_scales(inputs)

    def loss(step: int, generator: torch.Generator) -> Loss:
        rows = torch.randint(len(inputs), (stage.batch,), generator=generator)
        found = reader(inputs[rows].to(session.device)).unflatten(-1, (-1, 3))[..., :2]
        # Distances, not squares: a few hidden bodies are not to bend all the rest.
        error = (found - targets[rows].to(session.device)).square().sum(-1).add(1e-6).sqrt().mean()
        return Loss(error, {"error": error})

    fit("bodies", reader, loss, stage, session)


def _places(task: TaskData, names: Sequence[str], size: int) -> Float[Tensor, "m J 2"]:
    """Coordinates of the bodies in all frames that may be learned from."""
    order = [task.bodies.index(name) for name in names]
    parts = [
        task.positions(part.states)[..., order, :] for part in task.sequences.batches(250, 0, task.known)
    ]
    return from_pixels(torch.from_numpy(np.concatenate(parts)).flatten(0, 1), size)


@torch.no_grad()
def describe(model: StructVRNN, detected: Float[Tensor, "n T D"]) -> Float[Tensor, "n T F"]:
    """:meth:`StructVRNN.describe` for many sequences, in parts that fit into memory."""
    if model.reader is None:
        return detected
    device = next(model.parameters()).device
    return torch.cat([model.describe(part.to(device)).cpu() for part in detected.split(1000)])


def train_dynamics(
    model: StructVRNN,
    tasks: Sequence[TaskData],
    features: Sequence[Float[Tensor, "_n T F"]],
    stage: DynamicsStage,
    session: Session,
) -> None:
    """Learn how features move, from the cache."""
    counts = [task.known for task in tasks]
    actions = [model.pad(torch.from_numpy(_actions(task))) for task in tasks]

    def loss(step: int, generator: torch.Generator) -> Loss:
        drawn = draw_rows(counts, stage.batch, generator)
        seen = torch.cat([features[task][rows] for task, rows in drawn])
        done = torch.cat([actions[task][rows] for task, rows in drawn])
        window = stage.observed + stage.predicted
        first = int(torch.randint(seen.shape[1] - window + 1, (), generator=generator))
        return dynamics_loss(
            model,
            seen[:, first : first + window].to(session.device),
            done[:, first : first + window - 1].to(session.device),
            stage,
            step,
            generator,
        )

    fit("dynamics", model.dynamics, loss, stage, session)


def _actions(task: TaskData) -> Float[np.ndarray, "n L A"]:
    parts = [task.sequences[first : min(first + 250, task.known)] for first in range(0, task.known, 250)]
    return np.concatenate([part.actions for part in parts])


def dynamics_loss(
    model: StructVRNN,
    features: Float[Tensor, "B T F"],
    actions: Float[Tensor, "B T-1 P"],
    stage: DynamicsStage,
    step: int,
    generator: torch.Generator,
) -> Loss:
    """Equations 6 to 8 with the schedules of sections S1.2 and S1.3."""
    progress = step / stage.steps
    sampling = Sampling(
        observed=stage.observed,
        samples=stage.samples,
        own_seen=progress * stage.own_seen,
        own_future=progress * stage.own_future,
        prior_learns=stage.prior_learns,
    )
    losses = sequence_loss(model.dynamics, model.weigh(features), actions, sampling, generator)
    beta = stage.beta * min(1.0, 4.0 * progress)
    total = losses.seen + losses.future + beta * losses.kl
    logs = {"seen": losses.seen, "future": losses.future, "kl": losses.kl}
    if stage.open_loop or stage.consistency:
        error, apart = open_loop_loss(model.dynamics, model.weigh(features), actions, stage.observed)
        total = total + stage.open_loop * error + stage.consistency * apart
        logs |= {"open loop": error, "consistency": apart}
    return Loss(total, logs)


def train_jointly(
    model: StructVRNN, tasks: Sequence[TaskData], recipe: StructVRNNRecipe, session: Session
) -> None:
    """Both stages at once, as in the paper; the dynamics learn from detached features."""
    read = cache(lambda: read_known(tasks, recipe.vision.sequences))
    actions = [model.pad(torch.from_numpy(_actions(task))) for task in tasks]
    stage = recipe.dynamics.model_copy(update={"steps": recipe.vision.steps, "batch": recipe.vision.batch})
    window = stage.observed + stage.predicted

    def loss(step: int, generator: torch.Generator) -> Loss:
        known = read()
        vision = vision_loss(model.vision, known, recipe.vision, session.device, generator)
        drawn = draw_rows([len(part) for part in known.frames], stage.batch, generator)
        frames = np.concatenate([known.frames[task][rows, :window] for task, rows in drawn])
        done = torch.cat([actions[task][rows, : window - 1] for task, rows in drawn]).to(session.device)
        with torch.no_grad():
            features = model.embed(to_tensor(frames, session.device).flatten(0, 1))
        features = features.unflatten(0, frames.shape[:2]).float()
        dynamics = dynamics_loss(model, features, done, stage, step, generator)
        return Loss(vision.total + dynamics.total, vision.logs | dynamics.logs)

    fit("joint", model, loss, recipe.vision.schedule(), session)
