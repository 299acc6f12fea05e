"""How well features say where things are: linear regression onto true positions (section 5.2).

The regression is fitted on features detected in sequences that are neither learned from nor tested, and then
reads the features that a model detects or imagines in the tested ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from world_models.data import DataError
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.evaluation.picture_scores import mean_pairwise_distance
from world_models.struct_vrnn.model import State, StructVRNN, weigh
from world_models.struct_vrnn.sequences import TaskData

CHUNK = 20
"""Sequences imagined together, each as often as there are samples."""
READ = 250
RIDGE = 1e-5
"""Added to the variance of every input: noise of a tenth of a pixel is not worth a weight."""


@dataclass(frozen=True)
class Truth:
    """Held-out sequences of a task: the first ``fitted`` fit the regression, the others are tested."""

    actions: Float[Tensor, "n L A"]
    positions: Float[Tensor, "n L+1 J 2"]
    """Where the bodies are, in pixels (x to the right, y down, pixel centres are integers)."""
    frames: UInt8[np.ndarray, "P L+1 H W C"]
    """Pictures of the first P tested sequences."""
    bodies: tuple[str, ...]
    """Their names."""
    fitted: int


def read_truth(task: TaskData, fitted: int, tested: int, pictured: int) -> Truth:
    """The last ``tested`` sequences of a task and the ``fitted`` ones before them.

    Raises:
        DataError: so many are not held out, or the data does not say where bodies are.
    """
    data, first = task.sequences, len(task.sequences) - tested - fitted
    if first < task.known:
        raise DataError(
            f"{data.folder} has {len(data) - task.known} held-out sequences; "
            f"{fitted} to fit and {tested} to test are too many"
        )
    if not task.bodies:
        raise DataError(f"{data.folder} names no bodies; `python -m envs.collect dmc` records where they are")
    actions, positions = [], []
    for part in data.batches(READ, first):  # pictures are unpacked on the way, and let go
        actions.append(part.actions)
        positions.append(task.positions(part.states).copy())
    start = first + fitted
    return Truth(
        actions=torch.from_numpy(np.concatenate(actions)),
        positions=torch.from_numpy(np.concatenate(positions)),
        frames=data[start : start + min(pictured, tested)].frames,
        bodies=task.bodies,
        fitted=fitted,
    )


@dataclass(frozen=True)
class Regression:
    """A linear map from features to pixel positions."""

    structured: bool
    mean: Float[Tensor, " U"]
    weights: Float[Tensor, "U P"]
    offset: Float[Tensor, "J 2"]

    @classmethod
    def fit(
        cls, config: StructVRNNConfig, features: Float[Tensor, "*B F"], positions: Float[Tensor, "*B J 2"]
    ) -> "Regression":
        """Ridge regression from the keypoints as the dynamics see them, or from the numbers of a CNN-VRNN.

        That is coordinates times scale, and scale: where a keypoint hardly is, its coordinates mean nothing.
        """
        structured = config.representation == "keypoints"
        inputs = _inputs(features, structured).flatten(0, -2).double()
        targets = positions.flatten(0, -3).double()
        mean, offset = inputs.mean(0), targets.mean(0)
        centred = inputs - mean
        square = centred.T @ centred / len(inputs) + RIDGE * torch.eye(len(mean), dtype=torch.float64)
        weights = torch.linalg.solve(square, centred.T @ (targets - offset).flatten(1) / len(inputs))
        return cls(structured, mean.float(), weights.float(), offset.float())

    def __call__(self, features: Float[Tensor, "*B F"]) -> Float[Tensor, "*B J 2"]:
        """Positions in pixels."""
        change = (_inputs(features, self.structured) - self.mean) @ self.weights
        return change.unflatten(-1, self.offset.shape) + self.offset


def _inputs(features: Float[Tensor, "*B F"], structured: bool) -> Float[Tensor, "*B U"]:
    return weigh(features) if structured else features


@torch.no_grad()
def sample_futures(
    model: StructVRNN,
    features: Float[Tensor, "B T F"],
    actions: Float[Tensor, "B T-1 A"],
    observed: int,
    samples: int,
    generator: torch.Generator,
) -> Float[Tensor, "B N L F"]:
    """Features imagined after ``observed`` detected frames under the true actions, with latents drawn from
    the prior. A deterministic model has one future: N = 1.
    """
    count = samples if model.config.stochastic else 1
    state, actions = _seen(model, features, actions, observed)
    shape = (len(features) * count, actions.shape[1], model.config.latent)
    noise = torch.randn(shape, generator=generator).to(actions.device)
    rollout = model.roll_out(state.repeat(count), actions.repeat_interleave(count, 0), noise)
    return rollout.features.unflatten(0, (-1, count)).cpu()


@torch.no_grad()
def mean_future(
    model: StructVRNN, features: Float[Tensor, "B T F"], actions: Float[Tensor, "B T-1 A"], observed: int
) -> Float[Tensor, "B L F"]:
    """As :func:`sample_futures`, with the prior's means."""
    return model.roll_out(*_seen(model, features, actions, observed)).features.cpu()


def _seen(
    model: StructVRNN, features: Float[Tensor, "B T F"], actions: Float[Tensor, "B T-1 A"], observed: int
) -> tuple[State, Float[Tensor, "B L A"]]:
    """The state after the observed frames, and the actions that follow."""
    device = next(model.parameters()).device
    actions = actions.to(device)
    state = model.take_in(features[:, :observed].to(device), actions[:, : observed - 1])
    return state, actions[:, observed - 1 :]


@dataclass(frozen=True)
class Distances:
    """Distances between regressed and true positions in pixels, for n tested sequences."""

    detection: Float[Tensor, "n T J"]
    """From detected features, at every frame."""
    hold: Float[Tensor, "n L J"]
    """At imagined frames, the regressed positions of the last observed frame."""
    mean: Float[Tensor, "n L J"]
    """The prediction with the prior's means."""
    best: Float[Tensor, "n L J"]
    """Of the samples, the one whose distance over all imagined frames and bodies is least."""
    furthest: Float[Tensor, "n L J"]
    """The one whose distance is greatest."""
    diversity: Float[Tensor, "n L J"]
    """Mean distance between two samples, whatever is true."""


def track(
    model: StructVRNN,
    truth: Truth,
    features: Float[Tensor, "n T F"],
    observed: int,
    samples: int,
    generator: torch.Generator,
) -> Distances:
    """Fit the regression and measure.

    Args:
        model: what imagines.
        truth: where the bodies are.
        features: what the model detects in the sequences of ``truth``.
        observed: frames that the model sees; it imagines the others.
        samples: futures to draw.
        generator: draws them.
    """
    fitted = truth.fitted
    regression = Regression.fit(model.config, features[:fitted], truth.positions[:fitted])
    tested = (part[fitted:].split(CHUNK) for part in (features, truth.actions, truth.positions))
    parts = list[Distances]()
    for found, actions, positions in zip(*tested, strict=True):
        detected, future = regression(found), positions[:, observed:]
        held = detected[:, observed - 1 : observed].expand_as(future)
        mean = regression(mean_future(model, found, actions, observed))
        drawn = regression(sample_futures(model, found, actions, observed, samples, generator))
        best, furthest = _extremes(_distance(drawn, future[:, None]))
        parts.append(
            Distances(
                detection=_distance(detected, positions),
                hold=_distance(held, future),
                mean=_distance(mean, future),
                best=best,
                furthest=furthest,
                diversity=mean_pairwise_distance(drawn.movedim(1, -2)),
            )
        )
    return Distances(
        *(torch.cat(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True))
    )


def _distance(one: Float[Tensor, "*#B 2"], other: Float[Tensor, "*#B 2"]) -> Float[Tensor, "*B"]:
    return (one - other).norm(dim=-1)


def _extremes(errors: Float[Tensor, "B N L J"]) -> tuple[Float[Tensor, "B L J"], Float[Tensor, "B L J"]]:
    """The samples with the least and the greatest mean error."""
    means, rows = errors.mean((-2, -1)), torch.arange(len(errors))
    return errors[rows, means.argmin(1)], errors[rows, means.argmax(1)]


def summarise(distances: Distances, bodies: Sequence[str], observed: int) -> dict[str, Any]:
    """Means over sequences: over frames and bodies, for every body, and at every frame; ``sequences`` has
    those of each sequence over frames and bodies.

    ``detection_error`` counts observed frames, its curve all of them.
    """
    named = {
        "detection_error": distances.detection,
        "trajectory_error": distances.best,
        "mean_error": distances.mean,
        "hold_error": distances.hold,
        "furthest_error": distances.furthest,
        "diversity": distances.diversity,
    }
    counted = named | {"detection_error": distances.detection[:, :observed]}
    return {
        "n": len(distances.best),
        **{name: float(values.mean()) for name, values in counted.items()},
        "per_body": {
            body: {name: float(values[..., index].mean()) for name, values in counted.items()}
            for index, body in enumerate(bodies)
        },
        "per_step": {name: values.mean((0, 2)).tolist() for name, values in named.items()},
        "sequences": {name: values.mean((1, 2)).tolist() for name, values in counted.items()},
    }
