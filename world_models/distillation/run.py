"""Distilling the encoder of a finished model, from pairs of pictures to a model folder."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from tqdm import tqdm

from world_models.checkpoint import StoredModel, read_model, write_reader
from world_models.data import DataError, SequenceDataset, read_attributes
from world_models.distillation.recipe import DistillationRun, EncoderStage
from world_models.distillation.students import Student, load_student
from world_models.eye import Eye, EyeStage, Reference, reference_of
from world_models.frames import to_tensor
from world_models.losses import Loss
from world_models.shipped import find_folder
from world_models.training.card import data_section, first_shard, training_section
from world_models.training.fit import fit
from world_models.training.run import (
    claim,
    differences_to_base,
    export,
    origin_of,
    refuse_base,
    take_over,
)

ENCODER = "encoder.safetensors"
"""What a finished stage leaves in the run's folder."""
READ = 50
"""Pictures looked at at a time."""


@dataclass(frozen=True)
class Pairs:
    """Pictures of the same moments: usual, and as another world's are seen through the eye."""

    usual: UInt8[np.ndarray, "n H W 3"]
    other: UInt8[np.ndarray, "n H W 3"]


def distil(run: DistillationRun, command: str) -> Path:
    """Train and export the model; answers the model folder.

    Raises:
        DataError: the data is missing or holds no such pairs.
        ValueError: there is no such model, or ``run.out`` holds another run.
    """
    folder, data = find_folder(run.model), SequenceDataset(run.data)
    stored = read_model(folder)
    known = data.known(run.recipe.held_out)
    student = load_student(folder)
    origin = origin_of(data) | {"model": stored.digest, "encoder": _digest(student.encoder)}
    shared = [] if run.base is None else [_robust_encoder(run.base, run, origin)]
    session = claim(run, origin, shared)
    take_over(shared, session)
    student.model.to(session.device).requires_grad_(False)
    student.encoder.requires_grad_(True)
    reference = _reference(stored, data, known, run, student)
    eye = Eye(reference)
    has_goal = student.goal is not None
    learned, held = (_pairs(data, eye, *part, has_goal) for part in ((0, known), (known, len(data))))
    targets = _targets(student, learned.usual, session.device)
    student.set_scales(targets)
    before = _errors(student, held, session.device)
    loss = _loss(student, learned, targets, run.recipe.encoder, session.device)
    fit("encoder", student.encoder, loss, run.recipe.encoder, session)
    after = _errors(student, held, session.device)
    student.model.requires_grad_(False)
    session.write_json("figures.json", {"before": before, "after": after})
    card = _card(run, data, stored, command, before, after)
    folder = export(session, student.model, lambda _: None, lambda _: card, eye=reference)
    if stored.reader is not None:  # embeddings mean what they meant
        write_reader(folder, stored.reader)
    return folder


def _digest(encoder: nn.Module) -> str:
    """SHA-256 of the weights, rounded as they are stored."""
    weights = {name: tensor.half().numpy(force=True) for name, tensor in encoder.state_dict().items()}
    return hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest()


def _robust_encoder(base: Path, run: DistillationRun, origin: Mapping[str, Any]) -> Path:
    """The encoder of a finished run that had the same one to begin with."""
    changed = differences_to_base(base, run, origin, [ENCODER])
    refuse_base(base, [name for name in changed if name != "data.model"])
    return base / ENCODER


def _reference(
    stored: StoredModel, data: SequenceDataset, known: int, run: DistillationRun, student: Student
) -> Reference:
    """What the model's eye knows, or learns from the usual pictures."""
    if stored.eye is not None:
        return Reference.from_tensors(stored.eye)
    every = max(1, known // 400)
    usual = [_halves(data, index)[0] for index in range(0, known, every)]
    view = run.recipe.eye.field_of_view or read_attributes(data.paths[0]).get("field_of_view")
    stage = EyeStage.model_validate({"field_of_view": view})
    return reference_of(np.concatenate(usual), stage, student.goal)


def _halves(data: SequenceDataset, index: int) -> UInt8[np.ndarray, "2 n H W 3"]:
    """Of one sequence: moments in the usual world, and the same in another."""
    frames = data[index : index + 1].frames[0]
    if len(frames) % 2:
        many = f"sequences of {len(frames)} pictures are no pairs"
        raise DataError(f"{many}; collect some with python -m envs.collect push-looks")
    return frames.reshape(2, -1, *frames.shape[1:])


def _pairs(data: SequenceDataset, eye: Eye, first: int, last: int, has_goal: bool) -> Pairs:
    usual, other = list[np.ndarray](), list[np.ndarray]()
    for index in tqdm(range(first, last), desc=f"{'look':>12}"):
        clean, changed = _halves(data, index)
        # As in use: by pictures of the scene as it is and as it should be, which come first.
        look = eye.calibrate(changed[0], changed[1] if has_goal else None)
        usual.append(clean)
        other.append(eye.see(changed, look))
    return Pairs(np.concatenate(usual), np.concatenate(other))


@torch.no_grad()
def _targets(
    student: Student, pictures: UInt8[np.ndarray, "n H W 3"], device: torch.device
) -> Float[Tensor, "n F"]:
    parts = range(0, len(pictures), READ)
    return torch.cat([student.targets(to_tensor(pictures[k : k + READ], device)) for k in parts])


def _loss(
    student: Student,
    pairs: Pairs,
    targets: Float[Tensor, "n F"],
    stage: EncoderStage,
    device: torch.device,
) -> Callable[[int, torch.Generator], Loss]:
    def loss(_step: int, generator: torch.Generator) -> Loss:
        rows = torch.randint(len(targets), (stage.batch,), generator=generator)
        usual = torch.rand(stage.batch, generator=generator) < stage.usual
        chosen = rows.numpy()
        pictures = np.where(usual.numpy()[:, None, None, None], pairs.usual[chosen], pairs.other[chosen])
        return student.loss(to_tensor(pictures, device), targets[rows.to(device)], stage.places)

    return loss


@torch.no_grad()
def _errors(student: Student, pairs: Pairs, device: torch.device) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of every error, in the usual world and in others."""
    targets = _targets(student, pairs.usual, device)
    found: dict[str, dict[str, float]] = {}
    for world, pictures in (("usual", pairs.usual), ("other", pairs.other)):
        parts = [
            student.errors(to_tensor(pictures[k : k + READ], device), targets[k : k + READ])
            for k in range(0, len(pictures), READ)
        ]
        for name in parts[0]:
            errors = torch.cat([part[name] for part in parts]).cpu().numpy()
            median, high = np.quantile(errors, (0.5, 0.95))
            found[f"{name}, {world} world"] = {
                "median": round(float(median), 4),
                "p95": round(float(high), 4),
            }
    return found


def _card(
    run: DistillationRun,
    data: SequenceDataset,
    stored: StoredModel,
    command: str,
    before: Mapping[str, Mapping[str, float]],
    after: Mapping[str, Mapping[str, float]],
) -> str:
    origin = (
        f"{len(data)} sequences of {data.shapes['frames'][0]} pictures, half of them in a changed world; "
        f"the last {run.recipe.held_out} were held out.",
        f"First shard: {first_shard(data)}",
    )
    rows = "\n".join(
        f"| {name} | {before[name]['median']:g} / {before[name]['p95']:g} "
        f"| {after[name]['median']:g} / {after[name]['p95']:g} |"
        for name in after
    )
    digest = hashlib.sha256(stored.card.encode()).hexdigest()[:12]
    return f"""{stored.card.rstrip()}

# A robust encoder
The encoder of the model above (weights {stored.weights_digest[:12]}, card {digest}) has learned to see in
pictures of changed worlds, corrected by its eye, what it saw in the usual ones; all else is as it was.

{data_section(origin)}

{training_section(command, run.seed, {"encoder": run.recipe.encoder})}
What is seen in held-out pictures, against what the old encoder sees in the usual ones (median / 95th
percentile; embeddings by squared distance):

| error | before | after |
|---|---|---|
{rows}
"""
