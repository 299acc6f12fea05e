"""How well SVG models predict videos (section 4 of the paper).

``python -m world_models.evaluate svg --out svg.json`` scores the shipped models of Stochastic Moving Digits
and writes pictures in the manner of the paper's figures beside the JSON file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import field_validator
from tqdm import tqdm

from world_models.checkpoint import read_model
from world_models.data import DataError, SequenceDataset, read_attributes
from world_models.files import write_results
from world_models.frames import to_bytes, to_tensor
from world_models.picture_scores import ssim
from world_models.precision import autocast
from world_models.shipped import model_name
from world_models.svg.evaluation.directions import SAMPLES, VIDEOS, measure_example, summarise_example
from world_models.svg.evaluation.figures import draw_curves, draw_directions, draw_prior_spread, draw_strips
from world_models.svg.evaluation.scores import (
    COPY,
    SamplingProtocol,
    draw_noise,
    futures,
    read_actions,
    score_videos,
)
from world_models.svg.evaluation.table import markdown_tables, summarise
from world_models.svg.evaluation.uncertainty import compare_spreads, measure_spreads
from world_models.svg.model import SVG
from world_models.training.fit import PositiveInt

PRETRAINED = Path(__file__).parents[2] / "pretrained"
MODELS = tuple(PRETRAINED / f"svg-{name}-digits" for name in ("lp", "fp", "det"))
COLLECT = "python -m envs.collect moving-digits --split test"
PICTURED = 2
"""Videos in the picture of samples: the first ones."""


class SVGEvaluation(SamplingProtocol):
    """How well SVG models predict videos: SSIM and PSNR of the best of many samples, and where given the
    distribution of directions after a wall and the prior's spread.
    """

    models: tuple[Path, ...] = MODELS
    """Model folders, named by their last part."""
    starts: Path | None = Path("data/moving-digits-start")
    """Folder of folders of videos that share their start, one digit each; None leaves them out."""
    path: Path | None = Path("data/moving-digits-path")
    """Folder of videos that share the whole path of their digits; None leaves it out."""
    out: Path = Path("svg.json")
    """JSON file to write; scores are kept, and pictures put, beside it."""
    workers: PositiveInt = 1
    """Processes that share the videos, of one thread each."""

    @field_validator("models")
    @classmethod
    def _models_differ(cls, models: tuple[Path, ...]) -> tuple[Path, ...]:
        names = [model_name(folder) for folder in models]
        if not names or len(set(names)) < len(names) or COPY in names:
            raise ValueError(
                f"models must have different names, none of them {COPY}; got {', '.join(names) or 'none'}"
            )
        return models


def evaluate_svg(job: SVGEvaluation, command: str) -> dict[str, Any]:
    """Score what has not been scored, write ``job.out`` and the pictures, and answer what was written.

    Raises:
        CheckpointError: a model is missing or damaged.
        DataError: data is missing, or there is too little of it.
        ValueError: a model is for other pictures or actions.
    """
    torch.set_num_threads(1)
    _check_data(job)
    folders = {model_name(folder): folder for folder in job.models}
    models = {name: SVG.load(folder, job.device) for name, folder in folders.items()}
    found = score_videos(
        SamplingProtocol(**{name: getattr(job, name) for name in SamplingProtocol.model_fields}),
        {**folders, COPY: None},
        job.out.with_suffix(".scores"),
        job.workers,
    )
    summary = summarise(found)
    draw_curves(summary["methods"], job.seen, _beside(job, "scores"))
    _draw_samples(models, job)
    content = {
        "protocol": _protocol(job, models, folders, command),
        "scores": summary,
        "directions": _directions(models, job),
        "prior_spread": _prior_spread(models, job),
    }
    written = write_results(job.out, "world_models.evaluate svg", content, markdown_tables(content))
    return written


def _check_data(job: SVGEvaluation) -> None:
    """All folders are there; if not, it is said how to make them."""
    if not job.data.is_dir():
        made = f"{COLLECT} --sequences {job.videos} --out {job.data}"
        raise DataError(f"no data folder at {job.data}; `{made}` makes it")
    if job.starts is not None and not _examples(job.starts):
        made = f"{COLLECT} --digits 1 --shared start --seed $seed --sequences 5000 --out {job.starts}/$seed"
        raise DataError(
            f"{job.starts} has no folders of videos; `for seed in 32 5 8; do {made}; done` makes them"
        )
    if job.path is not None and not job.path.is_dir():
        made = f"{COLLECT} --shared path --frames 100 --sequences 500 --out {job.path}"
        raise DataError(f"no data folder at {job.path}; `{made}` makes it")


def _directions(models: Mapping[str, SVG], job: SVGEvaluation) -> list[dict[str, Any]]:
    """Fig. 5: the examples in the order of their first walls."""
    if job.starts is None:
        return []
    folders = tqdm(_examples(job.starts), "directions")
    examples = [(measure_example(models, folder, job), folder) for folder in folders]
    examples.sort(key=lambda found: found[0].first_wall)
    draw_directions([example for example, _ in examples], job.seen, _beside(job, "directions"))
    return [summarise_example(example, folder, job) for example, folder in examples]


def _prior_spread(models: Mapping[str, SVG], job: SVGEvaluation) -> dict[str, Any] | None:
    """Fig. 6, of the models with a learned prior; for the tested videos, too, whose paths differ."""
    learned = {name: model for name, model in models.items() if model.config.prior == "learned"}
    if job.path is None or not learned:
        return None
    shared, tested = SequenceDataset(job.path), SequenceDataset(job.data)
    start = tested.start_of_last(job.videos)
    spreads = {name: measure_spreads(model, shared, 0, _digits(shared)) for name, model in learned.items()}
    draw_prior_spread(spreads, _beside(job, "prior-spread"))
    drawn = np.random.default_rng(job.seed)
    return {
        name: {
            "shared_path": compare_spreads(spreads[name], drawn),
            "tested_videos": compare_spreads(measure_spreads(model, tested, start, _digits(tested)), drawn),
        }
        for name, model in learned.items()
    }


@torch.no_grad()
def _draw_samples(models: Mapping[str, SVG], job: SVGEvaluation) -> None:
    """Fig. 3: the truth, and of each model the best sample and, if there are more, one at random."""
    data, rows = SequenceDataset(job.data), list[dict[str, UInt8[np.ndarray, "T H W C"]]]()
    start, device = data.start_of_last(job.videos), torch.device(job.device)
    for index in range(start, min(start + PICTURED, len(data))):
        video = data[index]
        frames = to_tensor(video.frames[0, : job.seen + job.generated], device)
        seen, truth = frames.split([job.seen, job.generated])
        shown = {"truth": to_bytes(frames)}
        for name, model in models.items():
            actions = read_actions(model, video.actions[0, : len(frames) - 1])
            with autocast(device):
                noise = draw_noise(model, job, index)
                sampled = torch.stack(list(futures(model, seen, noise, actions)), 1)
            best = int(ssim(sampled, truth).mean(1).argmax())
            chosen = {name: best} if len(sampled) == 1 else {f"{name}, best": best, f"{name}, random": 0}
            for label, row in chosen.items():
                shown[label] = to_bytes(torch.cat([seen, sampled[row]]))
        rows.append(shown)
    draw_strips(rows, job.seen, _beside(job, "samples"))


def _protocol(
    job: SVGEvaluation, models: Mapping[str, SVG], folders: Mapping[str, Path], command: str
) -> dict[str, Any]:
    """How the numbers came about."""
    single = {name for name, model in models.items() if model.config.prior == "none"} | {COPY}
    return {
        "command": command,
        "data": read_attributes(SequenceDataset(job.data).paths[0]),
        **job.model_dump(include={"videos", "seen", "generated", "seed"}),
        "samples": {name: 1 if name in single else job.samples for name in [*models, COPY]},
        "models": {name: read_model(folder).weights_digest for name, folder in folders.items()},
        "intervals": "normal, 95 %, over videos",
        "ssim": "Gaussian window of 11 pixels, sigma 1.5, where it fits; pixels in 0..1, data range 1",
        "best": "of the samples of a video, the one of the highest SSIM averaged over its generated frames; "
        "PSNR is that of the same sample; mean: over all samples",
        "differences": "SSIM of the best sample, paired by video",
        "statistics": "no network has batch statistics: every sample depends on its own video only",
        "precision": "matrix products in bfloat16 where the device is fast at them, scores in float32",
        "directions": f"velocities of the centre of light, rounded to pixels; the first {VIDEOS} videos of "
        f"a start, {SAMPLES} samples of each (deterministic: 1), against all true ones; halves: the first "
        "half of the true ones against the second",
        "prior_spread": "standard deviation of the learned prior given true frames, mean over the latent's "
        "dimensions: at frames that first show a new velocity (the one after the digit is put on the edge) "
        "over all others from frame 2 on (quiet: those more than 2 frames from any new velocity); intervals: "
        "bootstrap over videos, 95 %",
    }


def _examples(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.glob("*") if inner.is_dir())


def _digits(data: SequenceDataset) -> int:
    """How many digits there are: each has a hit flag, x and y among the states."""
    return data.shapes["states"][-1] // 3


def _beside(job: SVGEvaluation, name: str) -> Path:
    return job.out.with_name(f"{job.out.stem}-{name}.png")
