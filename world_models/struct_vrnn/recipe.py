"""How a Struct-VRNN is trained: the configuration of its stages."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

from world_models.eye import EyeStage
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.own.calibration import GoalStage
from world_models.training.fit import (
    FitConfig,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
)
from world_models.training.run import TrainingRun


class VisionStage(FitConfig):
    """Pictures <-> features. ``batch`` counts sequences."""

    sequences: PositiveInt = 19_000
    """The most sequences of a task that are looked at, the first ones: they are held in memory."""
    frames: PositiveInt = 4
    """Random frames per sequence and step: what the separation loss takes for a trajectory."""
    separation: NonNegativeFloat = 0.001
    """Weight of the separation loss (eq. 5), summed over pairs of keypoints. Small, because two keypoints
    that rest have the same trajectory too, and are driven to jump about to tell them apart."""
    separation_width: PositiveFloat = 0.02
    """Its radius, in coordinates of -1..1."""
    sparsity: NonNegativeFloat = 0.01
    """Weight of the keypoints' mean activity, summed."""
    weight_decay: NonNegativeFloat = 1e-4
    """L2 on the kernels of convolutions."""
    foreign: Share = 0.5
    """Share of sequences whose reference frame comes from another sequence of the same task. In the paper it
    is always the sequence's own first frame, but then things that move from one sequence to the next and not
    within one, such as the target of a reaching task, need no keypoint."""
    rarity: bool = False
    """Weigh errors of pictures by how rare the true colour is (:func:`~world_models.losses.color_rarity`), so
    that small things count."""
    summed: bool = False
    """The squared error of a picture counts summed over the frames of a sequence, as in the paper, and not as
    half its mean over frames; all other weights are relative to it."""
    halved: NonNegativeInt = 0
    """Joint runs: steps after which the learning rate is halved again (S1.2), without clipping gradients; 0
    for half a cosine to zero."""
    supervision: NonNegativeFloat = 0.0
    """Weight of the squared distance between the first keypoints and the true positions that the data has; 0
    is unsupervised."""

    def schedule(self) -> FitConfig:
        """How a joint run learns: as the stage, or with rates that are halved."""
        if not self.halved:
            return self
        shared = {name: getattr(self, name) for name in FitConfig.model_fields}
        return HalvingFit(every=self.halved, **shared)


class BodiesStage(FitConfig):
    """Keypoints -> bodies; ``batch`` counts frames."""


class DynamicsStage(FitConfig):
    """How features move."""

    observed: PositiveInt = 8
    """T, frames that are seen."""
    predicted: PositiveInt = 8
    """Frames after these that are predicted."""
    samples: PositiveInt = 50
    """Latents drawn per frame, of which the best counts (best-of-many, eq. 8); 1 switches it off."""
    beta: NonNegativeFloat = 3e-3
    """Weight of the KL in nats; rises from 0 over the first quarter of the steps."""
    own_seen: Share = 1.0
    """Final probability that the recurrence is fed the model's own frame where frames are seen; it rises from
    0 over the training (section S1.3). Without effect on ``detected`` input."""
    own_future: Share = 0.5
    """The same where frames are predicted."""
    prior_learns: bool = False
    """Whether errors of predicted frames train the prior too (eq. 7); not so in the authors' code."""
    open_loop: NonNegativeFloat = 0.0
    """Weight of the error of frames imagined with the prior's means, which planners and heads are given."""
    consistency: NonNegativeFloat = 0.0
    """Weight of the distance of the recurrent states imagined on the way from those of seeing the frames."""


class HalvingFit(FitConfig):
    """A learning rate that is halved after every so many steps, and gradients as they are (S1.2)."""

    largest_gradient: ClassVar[float] = math.inf
    every: PositiveInt

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        return self.learning_rate * 0.5 ** (step // self.every)


_LATER = {
    "": ("calibration",),
    "model": ("published",),
    "vision": ("summed", "halved"),
    "dynamics": ("prior_learns", "open_loop", "consistency"),
}
"""Settings that recipes of earlier versions lack, by part."""


class StructVRNNRecipe(BaseModel):
    """A training run: what to build and how long each stage learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StructVRNNConfig
    held_out: NonNegativeInt
    """Sequences of every task, at the end, that are not learned from."""
    vision: VisionStage
    bodies: BodiesStage = BodiesStage(steps=4000, batch=1024)
    """Without effect on a model that knows no bodies."""
    dynamics: DynamicsStage
    eye: EyeStage = EyeStage()
    """Of a model of a single task."""
    calibration: GoalStage | None = None
    """How the goal of a model without a colour is calibrated; None for models with one, for models of several
    tasks, and for those that are asked for rewards."""
    joint: bool = False
    """Train detector and dynamics at once, as in the paper, for as many steps as the detector has. No
    gradient flows from the dynamics into the detector either way, so training one after the other on cached
    features gives a model of the same kind in a fraction of the time."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Callable[[Any], Any]) -> dict[str, Any]:
        """Runs of before there were these settings are known again: to have none goes without saying."""
        found: dict[str, Any] = handler(self)
        for part, names in _LATER.items():
            settings = found if part == "" else found[part]
            for name in names:
                if not settings.get(name):
                    settings.pop(name, None)
        return found

    @model_validator(mode="after")
    def _has_one_goal(self) -> "StructVRNNRecipe":
        if self.calibration is None:
            return self
        if self.model.goal is not None or self.model.tasks or self.joint:
            raise ValueError("calibration is None for a model with a goal or tasks, and for a joint run")
        if self.model.representation != "keypoints":
            raise ValueError("calibration is None for a model without keypoints")
        return self


class StructVRNNRun(TrainingRun):
    """One training run; see :class:`TrainingRun`."""

    data: Path = Path("data/dmc")
    """Folder of the sequences, with one folder per task where the model has tasks."""
    out: Path = Path("runs/struct-vrnn-dmc")
    base: Path | None = None
    """A finished run with the same pictures whose detector, generator and cached features are used instead of
    training new ones: for arms that differ in their dynamics only."""
    recipe: StructVRNNRecipe
    """The preset's settings, each of which can be changed."""
