"""Does a model know what would have followed? One player's past is moved (section 5.4, Fig. 6).

``python -m world_models.evaluate agents --out agents.json`` takes the keypoints that a run's detector finds,
moves those that follow a player, rolls out, and compares with where everybody would in fact have been: the
data of ``python -m envs.collect moved-agents`` tells. It also says how well bodies are found at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from world_models.data import DataError, read_attributes
from world_models.files import write_results
from world_models.statistics import cluster_draws, percentiles
from world_models.struct_vrnn.evaluation.arms import ArmsEvaluation, find_runs
from world_models.struct_vrnn.evaluation.figures import counterfactuals
from world_models.struct_vrnn.evaluation.tracking import Regression, mean_future
from world_models.struct_vrnn.model import FAINT, StructVRNN
from world_models.struct_vrnn.rewards.data import cached_features
from world_models.struct_vrnn.sequences import TaskData, open_tasks
from world_models.struct_vrnn.vision import to_pixels
from world_models.training.fit import PositiveInt

ARMS = {"struct-vrnn": "struct-vrnn-agents"}
NEAR = 2.5
"""A keypoint follows a body whose distance and direction it keeps to within so many pixels, on average."""
FOUND = 1.0
"""Pixels of error up to which a body counts as found."""
DRAWN = 4
"""Sequences of the figure."""
READ = 250
PARTS = ("moved player", "others", "all")
Row = dict[str, Any]


class ManipulationEvaluation(ArmsEvaluation):
    """The table of manipulated scenes."""

    data: Path = Path("data/moved-agents")
    """Folder of scenes with their counterfactuals."""
    out: Path = Path("agents.json")
    """JSON file to write."""
    plot: Path | None = None
    """PNG of scenes to draw."""
    fitted: PositiveInt = 500
    """Sequences, the first ones, that fit the regression from features to positions; all others test."""


def evaluate_manipulation(job: ManipulationEvaluation, command: str) -> dict[str, Any]:
    """Measure every run, write ``job.out`` and the figure, and answer what was written.

    Raises:
        CheckpointError: a model is damaged.
        DataError: the data is missing, does not fit the models or has no counterfactuals.
        ValueError: there is no run.
    """
    torch.set_num_threads(job.threads)
    runs, rows = find_runs(job.runs_folder, ARMS), list[Row]()
    for run in runs:
        model = StructVRNN.load(run.folder / "model", job.device)
        task = open_tasks(job.data, model.config, 1)[0]
        scenes = read_scenes(task, job.fitted)
        features = cached_features(run.folder, model, task, torch.device(job.device))
        plot = job.plot if run is runs[0] else None
        rows.append({"seed": run.seed, **measure(model, features, scenes, job.fitted, plot)})
    summary = summarise(rows)
    for row in rows:
        del row["sequences"]
    content = {"protocol": _protocol(job, task, command), "summary": summary, "rows": rows}
    return write_results(job.out, "world_models.evaluate agents", content, markdown_tables(content))


@dataclass(frozen=True)
class Scenes:
    """Scenes as they were and as they would have been, in pixels."""

    player: Int[Tensor, " n"]
    """Who is moved: his number among the bodies."""
    moved: Float[Tensor, "n T J 2"]
    """Where everybody would have been."""
    true: Float[Tensor, "n T J 2"]
    bodies: tuple[str, ...]
    observed: int
    """Frames in which the past is changed; the model imagines the others."""


def read_scenes(task: TaskData, fitted: int) -> Scenes:
    """All scenes of a data set.

    Raises:
        DataError: it has no counterfactuals, or too few scenes.
    """
    data, count = task.sequences, len(task.bodies)
    observed = read_attributes(data.paths[0]).get("observed")
    if not isinstance(observed, int) or task.observation != 1 + 2 * count:
        raise DataError(
            f"{data.folder} does not say what would have been; `python -m envs.collect moved-agents` does"
        )
    if fitted >= len(data):
        raise DataError(f"{data.folder} has {len(data)} sequences; {fitted} to fit leave none to test")
    states = np.concatenate([part.states for part in data.batches(READ)])
    moved = states[..., 1 : task.observation].reshape(*states.shape[:2], count, 2)
    return Scenes(
        torch.from_numpy(states[:, 0, 0].astype(np.int64)),
        torch.from_numpy(moved.copy()),
        torch.from_numpy(task.positions(states).copy()),
        task.bodies,
        observed,
    )


def followers(
    features: Float[Tensor, "n T F"], bodies: Float[Tensor, "n T J 2"], size: int
) -> Bool[Tensor, "K J"]:
    """Which keypoints follow which body: the one that a keypoint keeps its distance and direction to best, if
    that is within :data:`NEAR` pixels on average and the keypoint is there at all.
    """
    x, y, scale = features.unflatten(-1, (-1, 3)).unbind(-1)
    places = to_pixels(torch.stack([x, y], -1), size).flatten(0, 1)
    away = places[:, :, None] - bodies.flatten(0, 1)[:, None]
    strayed = (away - away.mean(0)).norm(dim=-1).mean(0)
    follows = torch.zeros_like(strayed, dtype=torch.bool)
    follows[torch.arange(len(strayed)), strayed.argmin(1)] = True
    return follows & (strayed < NEAR) & (scale.mean((0, 1)) > FAINT)[:, None]


def edit(
    features: Float[Tensor, "n T F"],
    change: Float[Tensor, "n T J 2"],
    follows: Bool[Tensor, "K J"],
    size: int,
) -> Float[Tensor, "n T F"]:
    """Keypoints moved as the bodies that they follow are, by pixels."""
    keypoints = features.unflatten(-1, (-1, 3)).clone()
    keypoints[..., :2] += torch.einsum("ntjc,kj->ntkc", change, follows.float()) / (0.5 * (size - 4))
    return keypoints.flatten(-2)


@torch.no_grad()
def measure(
    model: StructVRNN, features: Float[Tensor, "n T F"], scenes: Scenes, fitted: int, plot: Path | None
) -> Row:
    """Errors of one run; ``plot`` is where a figure of the first tested scenes goes."""
    size, observed = model.config.image_size, scenes.observed
    regression = Regression.fit(model.config, features[:fitted], scenes.true[:fitted])
    follows = followers(features[:fitted], scenes.true[:fitted], size)
    seen, true, moved = features[fitted:], scenes.true[fitted:], scenes.moved[fitted:]
    found = (regression(seen[:, :observed]) - true[:, :observed]).norm(dim=-1).mean((0, 1))
    change = (moved - true)[:, :observed]
    edited = torch.cat([edit(seen[:, :observed], change, follows, size), seen[:, observed:]], 1)
    actions = torch.zeros(len(seen), seen.shape[1] - 1, model.config.actions)
    futures = {
        name: regression(mean_future(model, past, actions, observed))
        for name, past in (("edited", edited), ("unedited", seen))
    }
    player = scenes.player[fitted:]
    sequences = {
        f"{name} {part}": values.tolist()
        for name, future in futures.items()
        for part, values in _parts((future - moved[:, observed:]).norm(dim=-1), player).items()
    }
    factual = (futures["unedited"] - true[:, observed:]).norm(dim=-1).mean()
    if plot is not None:
        drawn = {name: future[:DRAWN] for name, future in futures.items()}
        counterfactuals(true[:DRAWN], moved[:DRAWN], drawn, player[:DRAWN], plot)
    return {
        "n": len(seen),
        "detection": dict(zip(scenes.bodies, found.tolist(), strict=True)),
        "found": int((found <= FOUND).sum()),
        "keypoints": dict(zip(scenes.bodies, follows.sum(0).tolist(), strict=True)),
        "movable": float(follows.any(0)[player].float().mean()),
        "factual_error": float(factual),
        "errors": {name: float(np.mean(values)) for name, values in sequences.items()},
        "sequences": sequences,
    }


def _parts(errors: Float[Tensor, "n L J"], player: Int[Tensor, " n"]) -> dict[str, Float[Tensor, " n"]]:
    """Mean errors over frames: of the player who is moved, of the other bodies, of all."""
    of_bodies, rows = errors.mean(1), torch.arange(len(errors))
    mine, whole = of_bodies[rows, player], of_bodies.mean(1)
    count = of_bodies.shape[1]
    return dict(zip(PARTS, (mine, (count * whole - mine) / (count - 1), whole), strict=True))


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """By part of the scene: mean errors of both roll-outs, and ``nearer``, by which share of the error the
    edited one is nearer to what would have been, with a 95 % bootstrap interval over seeds and sequences.
    """
    summary = dict[str, Any]()
    for part in PARTS:
        draws = {
            name: cluster_draws(np.array([row["sequences"][f"{name} {part}"] for row in rows]))
            for name in ("edited", "unedited")
        }
        means = {name: float(np.mean([row["errors"][f"{name} {part}"] for row in rows])) for name in draws}
        summary[part] = {
            **means,
            "nearer": 1 - means["edited"] / means["unedited"],
            "ci95": [*percentiles(1 - draws["edited"] / draws["unedited"])],
        }
    return summary


def markdown_tables(content: Mapping[str, Any]) -> str:
    """Bodies found by seed, then errors against what would have been."""
    rows = content["rows"]
    bodies = [*rows[0]["detection"]]
    lines = [f"| detection, px | found | movable | factual | {' | '.join(bodies)} |"]
    lines.append("|" + "---|" * (len(bodies) + 4))
    for row in rows:
        cells = [f"{row['detection'][body]:.2f} ({row['keypoints'][body]})" for body in bodies]
        head = f"| seed {row['seed']} | {row['found']} of {len(bodies)} | {100 * row['movable']:.0f} % "
        lines.append(f"{head}| {row['factual_error']:.2f} | {' | '.join(cells)} |")
    lines += ["", "| error, px | edited past | unedited past | nearer |", "|---|---|---|---|"]
    for part, found in content["summary"].items():
        low, high = (100 * bound for bound in found["ci95"])
        nearer = f"{100 * found['nearer']:.1f} % ({low:.1f} to {high:.1f})"
        lines.append(f"| {part} | {found['edited']:.2f} | {found['unedited']:.2f} | {nearer} |")
    return "\n".join(lines)


def _protocol(job: ManipulationEvaluation, task: TaskData, command: str) -> dict[str, Any]:
    """How the numbers came about."""
    return {
        "command": command,
        "fitted": job.fitted,
        "unit": "pixels of a picture of 64 pixels; roll-outs with the prior's means, read by the regression",
        "detection": "mean distance on observed frames; in brackets the keypoints that follow the body",
        "found": f"bodies within {FOUND:g} px",
        "movable": "share of scenes whose moved player some keypoint follows; the others stay unedited",
        "factual": "error of the unedited roll-out against what in fact followed",
        "intervals": "95 % bootstrap: every draw takes seeds and whole sequences anew",
        "data": read_attributes(task.sequences.paths[0]),
    }
