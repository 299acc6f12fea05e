"""The keyframe table (KeyIn, Table 1): every method on held-out sequences of one data set."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from tqdm import tqdm

from world_models.data import SequenceDataset
from world_models.frames import to_tensor
from world_models.keyin.discovery.segmentation import segment_costs
from world_models.keyin.keyframes.results import Row, table_row
from world_models.keyin.keyframes.scores import pattern_times, random_times, score, static_offsets
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor
from world_models.keyin.reconstruction import decode, embed, imagine, reconstruct
from world_models.segmenter import find_blob
from world_models.svg.latent import LatentSVG
from world_models.svg.model import SVG
from world_models.svg.surprise import LAG, surprise_keyframes

DatasetName = Literal["brownian", "push"]
Learned = Literal["static-learned", "surprise", "keyin"]

CHUNK = 64
"""Sequences looked at together."""
KEYFRAMES = 6
"""M, keyframes that a method without a model of its own for them points to."""
RANDOM_SEEDS = 3
AVERAGED = 1000
"""Training sequences over which static-learned averages its costs."""


@dataclass(frozen=True)
class KeyframeProtocol:
    """What the trivial methods do on a data set, and what its pictures show."""

    context: int
    """T, frames that are given."""
    random: tuple[int, ...]
    """Offsets from which Random draws."""
    constant: tuple[int, ...]
    """Offsets of Constant. For Brownian motion these are the authors', as is Static's pattern."""
    static: tuple[int, ...]
    """Offsets of Static, as the authors' model learned them."""
    jumpy: tuple[int, ...]
    """Offsets of Jumpy, which knows no others."""
    thing: ObjectColor
    """The object that moves."""


PROTOCOLS: dict[str, KeyframeProtocol] = {
    "brownian": KeyframeProtocol(
        context=5,
        random=(7, 8, 9),
        constant=(8,) * 6,
        static=(4, 6, 5, 5, 4, 8),
        jumpy=(6,) * 6,
        thing=ObjectColor(color=(1.0, 1.0, 1.0), tolerance=math.sqrt(3) / 2),  # brighter than half
    ),
    "push": KeyframeProtocol(
        context=1,
        random=(4, 5, 6),
        constant=(5,) * 6,
        static=(4, 5, 5, 5, 5, 6),
        jumpy=(5,) * 6,
        thing=ObjectColor(),
    ),
}


@dataclass(frozen=True)
class TrainedRun:
    """A run folder (``world_models.train``), or its model folder, to be scored as one row of the table."""

    dataset: DatasetName
    method: Learned
    seed: int
    folder: Path

    @property
    def model(self) -> Path:
        """The model folder."""
        inner = self.folder / "model"
        return inner if inner.exists() else self.folder

    @classmethod
    def parse(cls, text: str) -> "TrainedRun":
        """``dataset:method:seed=folder``.

        Raises:
            ValueError: the text is not of this form, or names no known data set or method.
        """
        name, equals, folder = text.partition("=")
        parts = name.split(":")
        if not equals or not folder or len(parts) != 3 or not parts[2].isdecimal():
            raise ValueError(f"a run is dataset:method:seed=folder, e.g. push:keyin:0=runs/a; got {text!r}")
        for part, kind, known in zip(parts, ("data set", "method"), (DatasetName, Learned), strict=False):
            if part not in get_args(known):
                raise ValueError(
                    f"unknown {kind} {part!r} in {text!r}; choose from {', '.join(get_args(known))}"
                )
        return cls(parts[0], parts[1], int(parts[2]), Path(folder))  # type: ignore[arg-type]


def trivial_rows(dataset: str, flags: Bool[Tensor, "B frames"]) -> Iterator[Row]:
    """Random, Constant, Static and Jumpy, which need no model."""
    protocol, count = PROTOCOLS[dataset], len(flags)
    for seed in range(RANDOM_SEEDS):
        generator = torch.Generator().manual_seed(seed)
        times = random_times(count, KEYFRAMES, protocol.random, generator)
        yield table_row(dataset, "random", seed, score(times, flags))
    for method in ("constant", "static", "jumpy"):
        times = pattern_times(count, getattr(protocol, method))
        yield table_row(dataset, method, 0, score(times, flags))


def learned_row(
    run: TrainedRun, data: SequenceDataset, start: int, generator: torch.Generator, device: torch.device
) -> Row:
    """Score a trained run on the sequences from ``start`` on, which it must not have been trained on.

    Raises:
        CheckpointError: a model folder is missing or damaged.
        ValueError: the model does not fit the data.
    """
    flags = read_flags(run.dataset, data, start)
    if run.method == "surprise":
        return table_row(run.dataset, run.method, run.seed, score(_surprise(run, data, start, device), flags))
    model = load_model(run, data, device)
    if run.method == "static-learned":
        offsets = learned_pattern(model, data, min(AVERAGED, start))
        row = table_row(run.dataset, run.method, run.seed, score(pattern_times(len(flags), offsets), flags))
        return row | {"offsets": offsets}
    parts = [
        _score_keyin(model, frames, PROTOCOLS[run.dataset].thing, generator)
        for frames in _pictures(data, start, device, f"{run.dataset} {run.seed}")
    ]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    prior = table_row("", "", 0, score(found["prior"], flags))
    errors = found["error"][found["visible"]]
    seen = errors[errors.isfinite()]
    return table_row(run.dataset, run.method, run.seed, score(found["posterior"], flags)) | {
        **{f"{name}_prior": prior[name] for name in ("f1", "precision", "recall", "f1_pm1")},
        "center_error_median": float(seen.median()) if len(seen) else None,
        "center_error_mean": float(seen.mean()) if len(seen) else None,
        "object_missing": float((~errors.isfinite()).float().mean()),
    }


def load_model(run: TrainedRun, data: SequenceDataset, device: torch.device) -> KeyIn:
    """The KeyIn model of a run, whose autoencoder all methods see through.

    Raises:
        CheckpointError: the model folder is missing or damaged.
        ValueError: the model does not fit the data.
    """
    model = KeyIn.load(run.model, device)
    config, shape = model.config, data.shapes["frames"]
    wanted = (config.context + config.frames, config.image_size, config.image_size, 3)
    if shape != wanted or config.context != PROTOCOLS[run.dataset].context:
        raise ValueError(
            f"{run.folder} is for {config.context} context frames and sequences {wanted}; "
            f"{run.dataset} has {PROTOCOLS[run.dataset].context} and {shape}"
        )
    return model


def read_flags(dataset: str, data: SequenceDataset, start: int) -> Bool[Tensor, "B frames"]:
    """Recorded keyframes of the sequences from ``start`` on, at times 0..N."""
    flags = np.concatenate([batch.keyframes for batch in data.batches(CHUNK, start)])
    return torch.from_numpy(flags)[:, PROTOCOLS[dataset].context - 1 :]


def learned_pattern(model: KeyIn, data: SequenceDataset, stop: int) -> list[int]:
    """Static: the offsets that are cheapest on average under the model's interpolator (first sequences)."""
    total, config = None, model.config
    device = next(model.parameters()).device
    with torch.no_grad():
        for batch in data.batches(CHUNK, 0, stop):
            frames = embed(model, to_tensor(batch.frames, device))[:, config.context - 1 :]
            costs = segment_costs(model.interpolator, frames, config.max_offset).sum(0)
            total = costs if total is None else total + costs
    if total is None:
        raise ValueError("static-learned needs sequences before the held-out ones")
    return static_offsets(total.cpu() / stop, config.keyframes).tolist()


def _score_keyin(
    model: KeyIn, frames: Float[Tensor, "B frames C H W"], thing: ObjectColor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Times of posterior and prior; distance of the object from the truth in every reconstructed frame.

    The distance is NaN where the reconstruction shows no object; only frames that show the true object
    whole are ``visible``.
    """
    seen = model.config.context
    posterior = reconstruct(model, frames, generator)
    prior = imagine(model, frames[:, :seen], generator)
    true = find_blob(frames[:, seen:].flatten(0, 1), thing.color, thing.tolerance)
    shown = find_blob(decode(model, posterior.embeddings).flatten(0, 1), thing.color, thing.tolerance)
    return {
        "posterior": posterior.times.cpu(),
        "prior": prior.times.cpu(),
        "error": (shown.centre - true.centre).norm(dim=-1).cpu(),
        "visible": (true.mass >= 0.75 * true.mass.median()).cpu(),
    }


@torch.no_grad()
def _surprise(run: TrainedRun, data: SequenceDataset, start: int, device: torch.device) -> Int[Tensor, "B M"]:
    """Keyframes where SVG-FP is surprised (Algorithm 3)."""
    surprise, context = _surprise_of(run, data, device), PROTOCOLS[run.dataset].context
    times = []
    for frames in _pictures(data, start, device, "surprise"):
        found = surprise(frames)[:, context - 1 :]
        times.append(surprise_keyframes(found, min(KEYFRAMES, found.shape[1] - LAG)).cpu())
    return torch.cat(times)


def _surprise_of(
    run: TrainedRun, data: SequenceDataset, device: torch.device
) -> Callable[[Float[Tensor, "B T C H W"]], Float[Tensor, "B T-1"]]:
    """SVG-FP on pictures, or on the embeddings of the KeyIn model that learned from its keyframes."""
    if (run.folder / "svg").exists():
        model, latent = load_model(run, data, device), LatentSVG.load(run.folder / "svg", device)
        return lambda frames: latent.surprise(embed(model, frames))
    svg = SVG.load(run.model, device)
    wanted, shape = (svg.config.image_size, svg.config.image_size, svg.config.channels), data.shapes["frames"]
    if shape[1:] != wanted:
        raise ValueError(f"{run.folder} is for pictures of {wanted}; {run.dataset} has {shape[1:]}")
    if svg.config.prior != "fixed":
        raise ValueError(f"{run.folder} has a {svg.config.prior} prior; the baseline is SVG with a fixed one")
    return svg.surprise


def _pictures(
    data: SequenceDataset, start: int, device: torch.device, name: str
) -> Iterator[Float[Tensor, "B frames C H W"]]:
    batches = data.batches(CHUNK, start)
    for batch in tqdm(batches, desc=name, total=-(-(len(data) - start) // CHUNK), leave=False):
        yield to_tensor(batch.frames, device)
