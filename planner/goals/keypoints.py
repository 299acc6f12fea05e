"""Keypoints and bodies of a Struct-VRNN that are to be where the goal picture shows them."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from world_models.goals import BodyGoal, KeypointsGoal, StoredGoal
from world_models.interface import Future
from world_models.struct_vrnn.model import StructVRNN


class KeypointsInPlace:
    """All keypoints, those that move most above all; distances are in units of the median one of consecutive
    frames.
    """

    def __init__(self, wanted: KeypointsGoal, world: StructVRNN) -> None:
        """Raises ValueError if the model has another number of keypoints."""
        if len(wanted.weights) != world.config.keypoints:
            raise ValueError(
                f"the goal weighs {len(wanted.weights)} keypoints, the model has {world.config.keypoints}"
            )
        self.wanted, self._world = wanted, world

    @torch.inference_mode()
    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Features of the pictures."""
        return self._world.embed(pictures)

    def pick(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B F"]:
        """Of a model's features, what :meth:`target` answers of pictures."""
        return features

    def distance(self, found: Float[Tensor, "B F"], target: Float[Tensor, "B F"]) -> Float[Tensor, " B"]:
        """See :meth:`world_models.goals.KeypointsGoal.distance`."""
        return self.wanted.distance(found, target)

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Keypoints do not tell: all are."""
        return torch.ones(len(pictures), dtype=torch.bool, device=pictures.device)


class BodyInPlace:
    """A body that the model reads off its keypoints; distances are in pixels."""

    def __init__(self, wanted: BodyGoal, world: StructVRNN) -> None:
        """Raises ValueError if the model does not know the body."""
        known = world.config.bodies
        if wanted.body not in known:
            raise ValueError(f"the model knows {', '.join(known) or 'no bodies'}, not {wanted.body}")
        self.wanted, self._world, self._number = wanted, world, known.index(wanted.body)

    @torch.inference_mode()
    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2"]:
        """Its place in pixels (x right, y down)."""
        return self.pick(self._world.embed(pictures))

    def pick(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B 2"]:
        """The same of a model's features."""
        return self._world.places(features)[:, self._number]

    def distance(self, found: Float[Tensor, "B 2"], target: Float[Tensor, "B 2"]) -> Float[Tensor, " B"]:
        """Euclidean."""
        return self.wanted.distance(found, target)

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Places do not tell: all are."""
        return torch.ones(len(pictures), dtype=torch.bool, device=pictures.device)


class KeypointsCost:
    """Distance of the last imagined step from the goal picture."""

    def __init__(self, goal: KeypointsInPlace | BodyInPlace) -> None:
        self._goal = goal

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """What the goal pictures show of what is wanted."""
        return self._goal.target(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L A"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """In the goal's own unit."""
        return self._goal.distance(self._goal.pick(future.features[:, -1]), target)


def keypoint_goal(wanted: StoredGoal, world: StructVRNN) -> KeypointsInPlace | BodyInPlace:
    """What is wanted of a Struct-VRNN's features.

    Raises:
        ValueError: it is not about keypoints or bodies of this model.
    """
    if isinstance(wanted, KeypointsGoal):
        return KeypointsInPlace(wanted, world)
    if isinstance(wanted, BodyGoal):
        return BodyInPlace(wanted, world)
    raise ValueError(f"the goal of a Struct-VRNN is keypoints or body, not {wanted.kind}")
