"""Which features tell actions apart (section 5.5 and S2.2, Fig. 8): a classifier per run, and their table.

``python -m world_models.evaluate actions --out actions.json`` finds the trained runs of every arm, trains the
classifiers that they lack on sequences that the world models have not learned from, and writes one row per
arm and seed. What is tested shares no episode with what the classifiers learn from.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64

from world_models.action_recognition.evaluation.table import Row, confusion, markdown_tables, summarise
from world_models.action_recognition.labelled_features import Labelled
from world_models.action_recognition.model import predict
from world_models.action_recognition.recipe import ActionRecipe
from world_models.action_recognition.training import fit_classifier
from world_models.checkpoint import read_model
from world_models.data import DataError, read_attributes
from world_models.files import write_bytes, write_results
from world_models.struct_vrnn.evaluation.arms import ArmRun, ArmsEvaluation, common_tasks, find_runs
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import ACTION_ARMS
from world_models.struct_vrnn.rewards.data import held_out_features
from world_models.struct_vrnn.sequences import TaskData
from world_models.training.fit import PositiveInt
from world_models.training.run import Session, origin_of

TRUTH, TRUTH_SEEDS = "true-bodies", 3
"""The arm that is told where the bodies are, and its classifiers."""
KEPT = "actions"
"""Folder of the classifier in a run, beside the file ``actions.json`` with what it answers."""
READ = 250


class ActionEvaluation(ArmsEvaluation):
    """The table of action recognition."""

    data: Path = Path("data/actions")
    """Folder of the labelled sequences."""
    out: Path = Path("actions.json")
    """JSON file to write."""
    plot: Path | None = None
    """PNG of the confusion matrices to draw."""
    observed: PositiveInt = 8
    """Frames that a classifier sees."""
    recipe: ActionRecipe = ActionRecipe()
    """How a classifier learns, the same for all arms."""


def evaluate_actions(job: ActionEvaluation, command: str) -> dict[str, Any]:
    """Train missing classifiers, write ``job.out`` and the plot, and answer what was written.

    Raises:
        CheckpointError: a model is damaged.
        DataError: the data is missing, does not fit the models or has no labels.
        ValueError: there is no run, or the runs hold out different sequences.
    """
    runs = find_runs(job.runs_folder, ACTION_ARMS)
    task = common_tasks(runs, job.data)[0]
    torch.set_num_threads(job.threads)
    device, told, rows = torch.device(job.device), read_truth(task, job.observed), list[Row]()
    for run in runs:
        digest = read_model(run.folder / "model").weights_digest

        def seen(run: ArmRun = run) -> Labelled:
            features = _features(run, task, job.observed, device)
            return Labelled(features, told.labels, told.classes, told.groups)

        answers = _answers(job, run.folder, run.seed, digest, task, seen)
        rows.append({"arm": run.arm, "seed": run.seed, "answers": answers})
    for seed in range(TRUTH_SEEDS):
        answers = _answers(job, job.runs_folder / f"{TRUTH}-{seed}", seed, "", task, lambda: told)
        rows.append({"arm": TRUTH, "seed": seed, "answers": answers})
    _, tested = _split(told, job.recipe)
    shares = confusion(rows, tested.labels, len(tested.classes))
    summary = summarise(rows, tested.labels, tested.groups)
    content = {
        "protocol": _protocol(job, task, told, command),
        "summary": summary,
        "confusion": shares,
        "rows": [
            {name: row[name] for name in ("arm", "seed")}
            | {"correct": float(np.mean(row["answers"] == tested.labels))}
            for row in rows
        ],
    }
    written = write_results(job.out, "world_models.evaluate actions", content, markdown_tables(content))
    if job.plot is not None:
        from world_models.action_recognition.evaluation.figures import confusion_matrices

        correct = {arm: found["correct"] for arm, found in summary["arms"].items()}
        confusion_matrices(shares, correct, tested.classes, job.plot)
    return written


def read_truth(task: TaskData, observed: int) -> Labelled:
    """Where the bodies of held-out sequences are in the first frames, in pixels, with labels and episodes.

    Raises:
        DataError: the data has no labels, or sequences are shorter.
    """
    data = task.sequences
    names = str(read_attributes(data.paths[0]).get("classes", ""))
    if not names:
        raise DataError(f"{data.folder} has no labels; `python -m envs.collect actions` makes labelled data")
    if observed > data.shapes["frames"][0]:
        raise DataError(f"{data.folder} has {data.shapes['frames'][0]} frames, {observed} are to be observed")
    states = np.concatenate([part.states[:, :observed] for part in data.batches(READ, task.known)])
    places = task.positions(states).reshape(*states.shape[:2], -1)
    labels, episodes = (states[:, 0, column].astype(np.int64) for column in (0, 1))
    return Labelled(places.astype(np.float32), labels, tuple(names.split(",")), episodes)


def _features(
    run: ArmRun, task: TaskData, observed: int, device: torch.device
) -> Float32[np.ndarray, "n T F"]:
    """What a run's detector makes of the held-out sequences, keypoints with coordinates times scale."""
    model = StructVRNN.load(run.folder / "model", device)
    return model.weigh(held_out_features(run.folder, model, task, device))[:, :observed].numpy()


def _split(labelled: Labelled, recipe: ActionRecipe) -> tuple[Labelled, Labelled]:
    """The same whole episodes are tested whatever the seed of a run."""
    known, tested = labelled.split(recipe.test, np.random.default_rng(0))
    if tested is None:
        raise ValueError("recipe.test must be more than 0: something has to be tested")
    return known, tested


def _answers(
    job: ActionEvaluation, folder: Path, seed: int, weights: str, task: TaskData, read: Callable[[], Labelled]
) -> Int64[np.ndarray, " n"]:
    """Labels that a run's classifier gives the tested sequences; those that its folder keeps are taken."""
    path = folder / f"{KEPT}.json"
    settings = {
        "weights": weights,
        "seed": seed,
        "observed": job.observed,
        "recipe": job.recipe.model_dump(mode="json"),
        "held_out": [task.known, len(task.sequences)],
        "data": origin_of(task.sequences),
    }
    stored = json.loads(path.read_text()) if path.exists() else {}
    if stored.get("settings") != settings:
        known, tested = _split(read(), job.recipe)
        session = Session(folder / KEPT, seed, torch.device(job.device))
        session.folder.mkdir(parents=True, exist_ok=True)
        unfinished = session.folder / "classifier.safetensors"
        unfinished.unlink(missing_ok=True)  # it may be of other features; a minute is soon spent again
        model = fit_classifier(known, job.recipe, session)
        stored = {"settings": settings, "answers": predict(model, tested.features).tolist()}
        write_bytes(path, (json.dumps(stored) + "\n").encode())
    return np.array(stored["answers"], dtype=np.int64)


def _protocol(job: ActionEvaluation, task: TaskData, told: Labelled, command: str) -> dict[str, Any]:
    """How the numbers came about."""
    known, tested = _split(told, job.recipe)
    return {
        "command": command,
        "observed": job.observed,
        "classes": list(told.classes),
        "trained_on": len(known),
        "tested": len(tested),
        "episodes": len(np.unique(tested.groups)),
        "classifier": job.recipe.model_dump(mode="json"),
        "intervals": "95 % bootstrap: every draw takes seeds and whole episodes anew",
        "data": read_attributes(task.sequences.paths[0]),
    }
