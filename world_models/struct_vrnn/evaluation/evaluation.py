"""How well Struct-VRNN and the paper's other arms see and predict (sections 5.1 to 5.3).

``python -m world_models.evaluate struct-vrnn-dmc --out struct-vrnn-dmc.json`` finds the trained runs of every
arm and writes one row per arm, task and seed.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from world_models.checkpoint import read_model
from world_models.data import read_attributes
from world_models.files import write_bytes, write_results
from world_models.shipped import weights_digest
from world_models.struct_vrnn.evaluation.arms import ArmRun, ArmsEvaluation, common_tasks, find_runs
from world_models.struct_vrnn.evaluation.figures import film_strip, sample_fan
from world_models.struct_vrnn.evaluation.picture_scores import picture_scores
from world_models.struct_vrnn.evaluation.table import Row, markdown_tables, summarise_rows
from world_models.struct_vrnn.evaluation.tracking import (
    RIDGE,
    Regression,
    Truth,
    read_truth,
    sample_futures,
    summarise,
    track,
)
from world_models.struct_vrnn.evaluation.video_distance import judge_of, load_judge, video_distance
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.rewards.data import held_out_features
from world_models.struct_vrnn.sequences import TaskData, check_observed
from world_models.training.fit import PositiveInt
from world_models.training.run import origin_of

SCORES = "tracking.json"
"""What a run's folder keeps of its scores."""
FAN_ARMS, FAN_SAMPLES = ("struct-vrnn", "no-bom"), 20
STRIP_SAMPLES = 3
Scores = dict[str, Any]
"""Of one run on one task: see ``_protocol``."""


class TrackingEvaluation(ArmsEvaluation):
    """The table of tracking and prediction."""

    data: Path = Path("data/dmc")
    """Folder with one folder of sequences per task."""
    runs: tuple[str, ...] = ()
    """Names of the runs to use; all that there are unless given."""
    out: Path = Path("struct-vrnn-dmc.json")
    """JSON file to write."""
    pictures: Path | None = None
    """Folder of pictures to make of the first seed of every arm."""
    sequences: PositiveInt = 1000
    """How many are tested: the last ones."""
    fitted: PositiveInt = 500
    """How many, before these, fit the regression from features to positions."""
    observed: PositiveInt = 8
    """Frames that a model sees; it imagines the rest."""
    samples: PositiveInt = 50
    """Futures of which the best one counts in the trajectory error."""
    pictured: PositiveInt = 50
    """How many of the tested sequences are painted for SSIM and PSNR, which takes most time."""
    painted: PositiveInt = 100
    """Futures painted of each."""
    seed: int = 0
    """Seed of the samples."""


def evaluate_tracking(job: TrackingEvaluation, command: str) -> dict[str, Any]:
    """Score what has not been scored, write ``job.out`` and the pictures, and answer what was written.

    Raises:
        CheckpointError: a model is damaged.
        DataError: the data is missing, does not fit the models or does not say where bodies are.
        ValueError: there is no run, or the runs know different tasks or hold out different sequences.
    """
    runs = _chosen(job)
    tasks = common_tasks(runs, job.data)
    check_observed(tasks[0], job.observed)
    torch.set_num_threads(job.threads)
    # Pictures have to be unpacked on the way, so what all runs share is read once.
    truths = cache(lambda task: read_truth(task, job.fitted, job.sequences, job.pictured))
    rows = list[Row]()
    for run in runs:
        scores = _scores(run, tasks, truths, job)
        rows += [{"arm": run.arm, "seed": run.seed, "task": task, **found} for task, found in scores.items()]
    summary = summarise_rows(rows)
    for row in rows:
        del row["sequences"]  # the runs' folders keep them
    content = {"protocol": _protocol(job, tasks, command), "summary": summary, "rows": rows}
    written = write_results(
        job.out, "world_models.evaluate struct-vrnn-dmc", content, markdown_tables(content)
    )
    if job.pictures is not None:
        _draw(runs, tasks, truths, job, job.pictures)
    return written


def _chosen(job: TrackingEvaluation) -> list[ArmRun]:
    """The runs asked for, or all."""
    found = find_runs(job.runs_folder)
    names = [run.folder.name for run in found]
    if unknown := [name for name in job.runs if name not in names]:
        raise ValueError(
            f"{job.runs_folder} has no finished run {', '.join(unknown)}; choose from {', '.join(names)}"
        )
    return [run for run in found if not job.runs or run.folder.name in job.runs]


def _scores(
    run: ArmRun, tasks: Sequence[TaskData], truths: Callable[[TaskData], Truth], job: TrackingEvaluation
) -> dict[str, Scores]:
    """Scores of a run on every task; those that its folder keeps are not measured again."""
    path, settings = run.folder / SCORES, _settings(run, tasks, job)
    stored = json.loads(path.read_text()) if path.exists() else {}
    if stored.get("settings") != settings:
        stored = {"settings": settings, "tasks": {}}
    for task in tqdm([task for task in tasks if task.name not in stored["tasks"]], run.folder.name):
        stored["tasks"][task.name] = _score(run, task, truths(task), job)
        write_bytes(path, (json.dumps(stored, indent=2) + "\n").encode())
    return {task.name: stored["tasks"][task.name] for task in tasks}


def _settings(run: ArmRun, tasks: Sequence[TaskData], job: TrackingEvaluation) -> dict[str, Any]:
    """All that scores depend on."""
    numbers = ("sequences", "fitted", "observed", "samples", "pictured", "painted", "seed")
    judges = {task.name: judge_of(task.name) for task in tasks}
    return {
        "weights": read_model(run.folder / "model").weights_digest,
        "judges": {task: None if name is None else weights_digest(name) for task, name in judges.items()},
        **job.model_dump(include=set(numbers)),
        "ridge": RIDGE,
        "data": {task.name: origin_of(task.sequences) for task in tasks},
    }


def _score(run: ArmRun, task: TaskData, truth: Truth, job: TrackingEvaluation) -> Scores:
    """Tracking errors and picture scores of one run on one task."""
    model = StructVRNN.load(run.folder / "model", job.device)
    features, generator = _features(run, model, task, job), torch.Generator().manual_seed(job.seed)
    distances = track(model, truth, features, job.observed, job.samples, generator)
    scores = summarise(distances, truth.bodies, job.observed)
    shown = slice(truth.fitted, truth.fitted + len(truth.frames))
    futures = sample_futures(
        model, features[shown], truth.actions[shown], job.observed, job.painted, generator
    )
    pictures = picture_scores(model, truth.frames, futures)
    both = {part: scores[part] | pictures[part] for part in ("per_step", "sequences")}
    both["sequences"] = {
        name: [float(f"{value:.6g}") for value in values] for name, values in both["sequences"].items()
    }
    name, distance = judge_of(task.name), None
    if name is not None and len(truth.frames) > 1:
        judge = load_judge(name, torch.device(job.device))
        distance = video_distance(judge, model, truth.frames, truth.actions[shown], futures)
    return scores | pictures | both | {"video_distance": distance}


def _features(
    run: ArmRun, model: StructVRNN, task: TaskData, job: TrackingEvaluation
) -> Float[Tensor, "n T F"]:
    """What the run's detector makes of the sequences that fit and test."""
    found = held_out_features(run.folder, model, task, torch.device(job.device))
    return found[-(job.fitted + job.sequences) :]


def _protocol(job: TrackingEvaluation, tasks: Sequence[TaskData], command: str) -> dict[str, Any]:
    """How the numbers came about."""
    frames = tasks[0].sequences.shapes["frames"][0]
    return {
        "command": command,
        "observed": job.observed,
        "imagined": frames - job.observed,
        "fitted": job.fitted,
        "samples": job.samples,
        "painted": job.painted,
        "ridge": RIDGE,
        "unit": f"pixels of a picture of {tasks[0].sequences.shapes['frames'][1]} pixels",
        "regression": "ridge regression from keypoints, coordinates times scale (CNN-VRNN: its numbers) "
        "to the bodies' true positions, one per task and run, on sequences neither learned from nor tested",
        "detection_error": "mean distance on observed frames, from detected features",
        "trajectory_error": "mean distance on imagined frames of the best of the samples, chosen per "
        "sequence by its mean over frames and bodies; furthest_error: of the worst",
        "mean_error": "mean distance on imagined frames with the prior's means",
        "hold_error": "mean distance if the positions regressed from the last observed frame are held",
        "diversity": "mean distance between two samples' regressed positions",
        "ssim": "Gaussian window of 11 pixels; best and worst of the painted futures by mean SSIM, psnr of "
        "the same ones; painted over the first frame of the sequence",
        "video_distance": "Fréchet distance in features of shipped models of the domains, see "
        "world_models.struct_vrnn.evaluation.video_distance",
        "intervals": "95 % bootstrap: every draw takes seeds and whole test sequences anew",
        "data": {task.name: read_attributes(task.sequences.paths[0]) for task in tasks},
    }


def _draw(
    runs: Sequence[ArmRun],
    tasks: Sequence[TaskData],
    truths: Callable[[TaskData], Truth],
    job: TrackingEvaluation,
    folder: Path,
) -> None:
    """The first tested sequence of every task as the first seed of every arm sees it."""
    chosen = {run.arm: run for run in reversed(runs)}
    for task in tasks:
        truth, fans = truths(task), dict[str, Float[Tensor, "N L J 2"]]()
        actions = truth.actions[truth.fitted :][:1]
        for arm, run in reversed(chosen.items()):
            model = StructVRNN.load(run.folder / "model", job.device)
            features, generator = _features(run, model, task, job), torch.Generator().manual_seed(job.seed)
            fit, shown = features.split([truth.fitted, len(features) - truth.fitted])
            futures = sample_futures(model, shown[:1], actions, job.observed, FAN_SAMPLES, generator)[0]
            path = folder / f"{arm}-{task.name}.png"
            film_strip(model, truth.frames[0], shown[0], futures[:STRIP_SAMPLES], path)
            if arm in FAN_ARMS:
                fans[arm] = Regression.fit(model.config, fit, truth.positions[: truth.fitted])(futures)
        if fans:
            sample_fan(fans, truth.positions[truth.fitted], truth.bodies, folder / f"fan-{task.name}.png")
