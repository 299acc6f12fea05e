"""How a Struct-VRNN is trained: the configuration of its stages."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from world_models.struct_vrnn.config import StructVRNNConfig
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
    """Pictures <-> features. ``batch`` counts sequences.

    Attributes:
        sequences: the most sequences of a task that are looked at, the first ones: they are held in memory.
        frames: random frames per sequence and step: what the separation loss takes for a trajectory.
        separation: weight of the separation loss (eq. 5), summed over pairs of keypoints. Small, because two
            keypoints that rest have the same trajectory too, and are driven to jump about to tell them apart.
        separation_width: its radius, in coordinates of -1..1.
        sparsity: weight of the keypoints' mean activity, summed.
        weight_decay: L2 on the kernels of convolutions.
        foreign: share of sequences whose reference frame comes from another sequence of the same task. In the
            paper it is always the sequence's own first frame, but then things that move from one sequence to
            the next and not within one, such as the target of a reaching task, need no keypoint.
        rarity: weigh errors of pictures by how rare the true colour is
            (:func:`~world_models.losses.color_rarity`), so that small things count.
        supervision: weight of the squared distance between the first keypoints and the true positions that
            the data has; 0 is unsupervised.
    """

    sequences: PositiveInt = 19_000
    frames: PositiveInt = 4
    separation: NonNegativeFloat = 0.001
    separation_width: PositiveFloat = 0.02
    sparsity: NonNegativeFloat = 0.01
    weight_decay: NonNegativeFloat = 1e-4
    foreign: Share = 0.5
    rarity: bool = False
    supervision: NonNegativeFloat = 0.0


class BodiesStage(FitConfig):
    """Keypoints -> bodies; ``batch`` counts frames."""


class DynamicsStage(FitConfig):
    """How features move.

    Attributes:
        observed: T, frames that are seen.
        predicted: frames after these that are predicted.
        samples: latents drawn per frame, of which the best counts (best-of-many, eq. 8); 1 switches it off.
        beta: weight of the KL in nats; rises from 0 over the first quarter of the steps.
        own_seen: final probability that the recurrence is fed the model's own frame where frames are seen;
            it rises from 0 over the training (section S1.3). Without effect on ``detected`` input.
        own_future: the same where frames are predicted.
    """

    observed: PositiveInt = 8
    predicted: PositiveInt = 8
    samples: PositiveInt = 50
    beta: NonNegativeFloat = 3e-3
    own_seen: Share = 1.0
    own_future: Share = 0.5


class StructVRNNRecipe(BaseModel):
    """A training run: what to build and how long each stage learns.

    Attributes:
        held_out: sequences of every task, at the end, that are not learned from.
        bodies: without effect on a model that knows no bodies.
        joint: train detector and dynamics at once, as in the paper, for as many steps as the detector has.
            No gradient flows from the dynamics into the detector either way, so training one after the other
            on cached features gives a model of the same kind in a fraction of the time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: StructVRNNConfig
    held_out: NonNegativeInt
    vision: VisionStage
    bodies: BodiesStage = BodiesStage(steps=4000, batch=1024)
    dynamics: DynamicsStage
    joint: bool = False


class StructVRNNRun(TrainingRun):
    """One training run; see :class:`TrainingRun`.

    Attributes:
        data: folder of the sequences, with one folder per task where the model has tasks.
        base: a finished run with the same pictures whose detector, generator and cached features are used
            instead of training new ones: for arms that differ in their dynamics only.
        recipe: the preset's settings, each of which can be changed.
    """

    data: Path = Path("data/dmc")
    out: Path = Path("runs/struct-vrnn-dmc")
    base: Path | None = None
    recipe: StructVRNNRecipe
