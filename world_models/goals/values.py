"""Goals that are calibrated on held-out sequences when a model is made, and stored as its ``goal.json``.

The thing that is found by its colour (:class:`world_models.segmenter.ObjectGoal`) stands in the configuration
of models, for their training depends on it; no training depends on these.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EmbeddingGoal(BaseModel):
    """The embedding of the picture is to be that of the goal picture.

    Embeddings are compared in units of the median distance of two consecutive frames.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["embedding"] = "embedding"
    unit: Positive
    """Median squared distance of the embeddings of two consecutive frames."""
    reached: Positive
    """A distance, in units, that nearly all consecutive frames are within: nearer is as good as there."""
    cycle_limit: Positive
    """Squared distance of an embedding from that of the picture it decodes into; nearly all embeddings of
    pictures from the training data are within it, and what decodes into no such picture is beyond."""
    match: Literal["last", "nearest"] = "nearest"
    """Which keyframe of a plan is to be at the goal: the last one, or the nearest, where the plan ends."""
    time_weight: NonNegative = 0.0
    """What a frame on the way to that keyframe costs, in squared units."""
    prior_weight: NonNegative = 0.0
    """What an unlikely way there costs: of the squared numbers of its decisions, summed, in squared units."""

    def distance(self, found: Float[Tensor, "*B F"], target: Float[Tensor, "*B F"]) -> Float[Tensor, "*B"]:
        """In units."""
        return ((found - target).square().sum(-1) / self.unit).sqrt()

    def price(
        self,
        keyframes: Float[Tensor, "B L F"],
        times: Float[Tensor, "B L"],
        decisions: Float[Tensor, "B L Z"],
        target: Float[Tensor, "B F"],
    ) -> Float[Tensor, "B L"]:
        """What plans cost that end at each of their keyframes, in squared units; infinite where none may."""
        squares = (keyframes - target[:, None]).square().sum(-1) / self.unit
        unlikely = decisions.square().sum(-1).cumsum(-1)
        price = squares + self.time_weight * times + self.prior_weight * unlikely
        if self.match == "nearest":
            return price
        earlier = torch.arange(price.shape[1], device=price.device) < price.shape[1] - 1
        return price.masked_fill(earlier, torch.inf)


class KeypointsGoal(BaseModel):
    """Keypoints are to be where the goal picture shows them, above all those that move."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["keypoints"] = "keypoints"
    weights: tuple[NonNegative, ...] = Field(min_length=1)
    """How much each of the K keypoints moves within sequences; the largest is 1."""
    unit: Positive
    """Median distance of two consecutive frames."""
    reached: Positive
    """A distance, in units, that nearly all consecutive frames are within."""

    def distance(self, found: Float[Tensor, "*B F"], target: Float[Tensor, "*B F"]) -> Float[Tensor, "*B"]:
        """Root of the weighted mean over keypoints of squared distances, in units.

        A keypoint also counts by its scale in the target: one of little scale may be anywhere. What follows
        the K keypoints in the features does not count.
        """
        count = 3 * len(self.weights)
        here, there = (features[..., :count].unflatten(-1, (-1, 3)) for features in (found, target))
        counts = there[..., 2] * there.new_tensor(self.weights)
        squares = (here[..., :2] - there[..., :2]).square().sum(-1)
        # The root of zero has no gradient.
        mean = (counts * squares).sum(-1) / counts.sum(-1).clamp(min=1e-6)
        return (mean + 1e-10).sqrt() / self.unit


class BodyGoal(BaseModel):
    """A body that the model knows is to be where the goal picture shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["body"] = "body"
    body: str
    """Its name, one of the model's bodies."""
    reached: Positive
    """A distance in pixels that nearly all moves from frame to frame are within."""

    def distance(self, found: Float[Tensor, "*B 2"], target: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B"]:
        """In pixels."""
        return ((found - target).square().sum(-1) + 1e-10).sqrt()


StoredGoal = EmbeddingGoal | KeypointsGoal | BodyGoal
"""Any of them."""
_ADAPTER: TypeAdapter[StoredGoal] = TypeAdapter(Annotated[StoredGoal, Field(discriminator="kind")])


def read_goal(content: Mapping[str, Any]) -> StoredGoal:
    """The goal that was written as JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return _ADAPTER.validate_python(dict(content))
    except ValidationError as error:
        raise ValueError(f"no goal of a model: {error}") from error
