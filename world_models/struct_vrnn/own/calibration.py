"""What a trained Struct-VRNN can be asked for: its keypoints, or a body, calibrated on held-out frames."""

from typing import Annotated

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from world_models.goals import BodyGoal, KeypointsGoal
from world_models.struct_vrnn.model import StructVRNN

LEAST = 1e-4
"""Less is no movement, in coordinates of -1..1 and in pixels."""


class GoalStage(BaseModel):
    """How the goal of a model without a colour is calibrated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    body: str | None = None
    """One of the model's bodies, which is to be where the goal picture shows it; None: all keypoints are."""
    reached: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the steps between consecutive frames that are shorter than what counts as reached."""


def calibrate(
    model: StructVRNN, features: Float[Tensor, "n frames F"], stage: GoalStage
) -> KeypointsGoal | BodyGoal:
    """The goal of the model, from the features of held-out sequences.

    Raises:
        ValueError: nothing moves in them, or the body is none of the model's.
    """
    before, after = features[:, :-1].flatten(0, 1), features[:, 1:].flatten(0, 1)
    if stage.body is not None:
        known = model.config.bodies
        if stage.body not in known:
            raise ValueError(f"the model knows {', '.join(known) or 'no bodies'}, not {stage.body}")
        number = known.index(stage.body)
        goal = BodyGoal(body=stage.body, reached=1.0)
        steps = goal.distance(*(model.places(part)[:, number] for part in (before, after)))
        return goal.model_copy(update={"reached": _positive(steps.quantile(stage.reached))})
    weights = movement(model, features)
    rough = KeypointsGoal(weights=tuple(weights.tolist()), unit=1.0, reached=1.0)
    steps = rough.distance(before, after)
    unit = _positive(steps.median())
    return rough.model_copy(update={"unit": unit, "reached": _positive(steps.quantile(stage.reached)) / unit})


def liveliest(model: StructVRNN, features: Float[Tensor, "n frames F"]) -> float:
    """Standard deviation, in pixels, of the place of the keypoint that moves most within sequences."""
    return float(_variances(model, features).max().sqrt()) * model.config.image_size / 2


def movement(model: StructVRNN, features: Float[Tensor, "n frames F"]) -> Float[Tensor, " K"]:
    """How much keypoints move within sequences: mean variance of their places, relative to the largest.

    Raises:
        ValueError: none moves.
    """
    variance = _variances(model, features)
    if not bool(variance.max() > 0):
        raise ValueError("no keypoint moves in the held-out sequences, so that there is nothing to be wanted")
    return variance / variance.max()


def _variances(model: StructVRNN, features: Float[Tensor, "n frames F"]) -> Float[Tensor, " K"]:
    """Of keypoints' places within sequences, the mean over these."""
    places = features[..., : model.config.detected].unflatten(-1, (-1, 3))[..., :2]
    return places.var(1).sum(-1).mean(0)


def _positive(value: Float[Tensor, ""]) -> float:
    if not value > LEAST:
        raise ValueError(
            "half of the held-out frames are like the one before: nothing moves that could be wanted"
        )
    return float(value)
