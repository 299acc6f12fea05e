"""SSIM and PSNR of sampled videos, one video at a time (section 4.2, Fig. 7 of the paper).

Every sample is scored on every frame; the best sample of a video is that of the highest mean SSIM. Scores are
kept in small files, so that what was interrupted goes on, and several processes can share the videos. Each
video draws its own noise: scores do not depend on who computes them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from tqdm import tqdm

from world_models.checkpoint import read_model
from world_models.data import DataError, SequenceDataset
from world_models.files import save_array
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.jobs.identity import fingerprint
from world_models.jobs.workers import run_jobs
from world_models.picture_scores import SSIMTo, psnr
from world_models.precision import autocast
from world_models.svg.model import SVG
from world_models.training.fit import NonNegativeInt, PositiveInt
from world_models.training.run import origin_of

CHUNK = 50
"""Videos of one file of scores."""
TOGETHER = 25
"""Samples that are scored together: what they need fits into a core's cache."""
COPY = "copy-last"
"""The method that repeats the last seen frame."""
MEASURES = ("ssim_best", "psnr_best", "ssim_mean", "psnr_mean")

Scores = dict[str, Float32[np.ndarray, "n L"]]
"""By measure, of every video and generated frame: of its best sample, and the mean over its samples."""


class SamplingProtocol(BaseModel):
    """What is predicted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path = Path("data/moving-digits-test")
    """Folder of videos; the last ones are used."""
    videos: PositiveInt = 5000
    """How many."""
    seen: PositiveInt = 5
    """Frames that a model sees."""
    generated: PositiveInt = 20
    """Frames that it generates after them."""
    samples: PositiveInt = 100
    """Videos sampled per video."""
    seed: NonNegativeInt = 0
    """Seed of the samples."""
    device: str = "cpu"
    """``cpu``, ``cuda``, ..."""


@dataclass(frozen=True)
class Chunk:
    """Some of the videos, to be scored by one method."""

    protocol: SamplingProtocol
    model: Path | None
    """Folder of the model; None repeats the last seen frame."""
    first: int
    """Index of the first video in the data."""
    count: int
    path: Path
    """Where the scores go."""


def score_videos(
    protocol: SamplingProtocol, methods: Mapping[str, Path | None], folder: Path, workers: int
) -> dict[str, Scores]:
    """Scores of all videos by method; what ``folder`` already keeps is not computed again.

    Raises:
        CheckpointError: a model is missing or damaged.
        DataError: there are not enough videos, or they are too short.
        ValueError: a model is for other pictures or actions.
    """
    chunks = {name: _chunks(protocol, name, model, folder) for name, model in methods.items()}
    missing = [chunk for some in chunks.values() for chunk in some if not chunk.path.exists()]
    done = sum(chunk.count for some in chunks.values() for chunk in some if chunk.path.exists())
    with tqdm(total=len(methods) * protocol.videos, initial=done, unit="video", desc="scores") as bar:
        _score(missing, workers, bar)
    return {name: _read([chunk.path for chunk in some]) for name, some in chunks.items()}


def futures(
    model: SVG,
    frames: Float[Tensor, "T C H W"],
    noise: Float[Tensor, "N L Z"],
    actions: Float[Tensor, "T+L-1 A"],
) -> Iterator[Float[Tensor, "N C H W"]]:
    """The L frames after those seen, one after the other, in N samples."""
    seen = len(frames) - 1
    # Content comes from the seen frames: it is encoded once for all samples.
    state = model.encode(Context(frames[None], actions[None, :seen]))
    driven = actions[seen:].expand(len(noise), -1, -1)
    imagined = model.imagine(state.repeat(len(noise)), torch.cat([noise, driven], dim=-1))
    for features in imagined.features.unbind(1):
        yield model.decode(features, state.skips).float()


def read_actions(
    model: SVG, actions: Float32[np.ndarray, "S _A"]
) -> Float[Tensor, "S {model.config.actions}"]:
    """Recorded actions for a model; none for one that nobody drives."""
    return torch.from_numpy(actions[:, : model.config.actions]).to(next(model.parameters()).device)


def draw_noise(
    model: SVG, protocol: SamplingProtocol, video: int, samples: int | None = None
) -> Float[Tensor, "N L Z"]:
    """Noise of a video's samples; a deterministic model has only one."""
    count = 1 if model.config.prior == "none" else samples or protocol.samples
    seed = int(np.random.SeedSequence([protocol.seed, video]).generate_state(1, np.uint64)[0] >> 1)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, protocol.generated, model.config.latent, generator=generator)
    return noise.to(next(model.parameters()).device)


def score_video(
    pictures: Iterator[Float[Tensor, "N C H W"]], truth: Float[Tensor, "L C H W"]
) -> Float32[np.ndarray, "M L"]:
    """All :data:`MEASURES` of one video's samples, which come frame by frame."""
    alike, decibels = list[Tensor](), list[Tensor]()
    for step, true in zip(pictures, truth, strict=True):
        alike.append(torch.cat([*map(SSIMTo(true), step.split(TOGETHER))]))
        decibels.append(psnr(step, true))
    similarity, ratio = torch.stack(alike, 1), torch.stack(decibels, 1)
    best = similarity.mean(1).argmax()
    found = (similarity[best], ratio[best], similarity.mean(0), ratio.mean(0))
    return torch.stack(found).cpu().numpy()


@torch.no_grad()
def score_chunk(chunk: Chunk) -> Chunk:
    """Score some videos and write the file, unless another process has done so."""
    if chunk.path.exists():
        return chunk
    protocol, device = chunk.protocol, torch.device(chunk.protocol.device)
    model = None if chunk.model is None else _model(chunk.model, chunk.protocol.device)
    videos = SequenceDataset(protocol.data)[chunk.first : chunk.first + chunk.count]
    rows = list[Float32[np.ndarray, "M L"]]()
    for index in range(chunk.count):
        frames = to_tensor(videos.frames[index, : protocol.seen + protocol.generated], device)
        seen, truth = frames.split([protocol.seen, protocol.generated])
        if model is None:
            rows.append(score_video(iter(seen[None, -1:].expand(len(truth), -1, -1, -1, -1)), truth))
            continue
        actions = read_actions(model, videos.actions[index, : len(frames) - 1])
        noise = draw_noise(model, protocol, chunk.first + index)
        with autocast(device):
            rows.append(score_video(futures(model, seen, noise, actions), truth))
    save_array(chunk.path, np.stack(rows))
    return chunk


@lru_cache(maxsize=1)
def _model(folder: Path, device: str) -> SVG:
    return SVG.load(folder, device)


def _chunks(protocol: SamplingProtocol, name: str, model: Path | None, folder: Path) -> list[Chunk]:
    """All videos; the names of files tell all that scores depend on."""
    data = SequenceDataset(protocol.data)
    length = data.shapes["frames"][0]
    if length < protocol.seen + protocol.generated:
        raise DataError(
            f"{protocol.data} has videos of {length} frames; {protocol.seen} seen and {protocol.generated} "
            f"generated ones need {protocol.seen + protocol.generated}"
        )
    start = data.start_of_last(protocol.videos)
    settings = {
        "model": None if model is None else _fitting(model, data),
        "protocol": protocol.model_dump(mode="json", exclude={"data"}),
        "data": origin_of(data),
    }
    digest = fingerprint(settings)[:12]
    return [
        Chunk(protocol, model, first, min(CHUNK, len(data) - first), folder / f"{name}-{digest}-{first}.npy")
        for first in range(start, len(data), CHUNK)
    ]


def _fitting(folder: Path, data: SequenceDataset) -> str:
    """Digest of the weights of a model that takes these videos."""
    config = SVG.load(folder).config
    pictures, found = (config.image_size, config.image_size, config.channels), data.shapes["frames"][1:]
    if found != pictures:
        raise ValueError(f"{folder} is for pictures {pictures}, but those of {data.folder} are {found}")
    if config.actions not in (0, acted := data.shapes["actions"][-1]):
        raise ValueError(
            f"{folder} is driven by actions of size {config.actions}, but those of {data.folder} have {acted}"
        )
    return read_model(folder).weights_digest


def _score(chunks: list[Chunk], workers: int, bar: "tqdm[Any]") -> None:
    """Score all chunks; one process alone needs no other."""
    if workers == 1:
        for chunk in chunks:
            bar.update(score_chunk(chunk).count)
        return
    jobs = [(chunk,) for chunk in chunks]
    run_jobs(
        score_chunk,
        jobs,
        lambda _, chunk: bar.update(chunk.count),
        workers=workers,
        start=torch.set_num_threads,
        arguments=(1,),
    )


def _read(paths: list[Path]) -> Scores:
    """Scores of all chunks, in order."""
    rows = np.concatenate([np.load(path, allow_pickle=False) for path in paths])
    return {name: rows[:, index] for index, name in enumerate(MEASURES)}
