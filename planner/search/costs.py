"""What is wanted: costs of imagined futures, lower is better.

The pushing task is scored as in KeyIn, section 10: the Euclidean distance in pixels between the
object's centre in the imagined last frame and in the goal image, found by colour segmentation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.interface import Future
from world_models.segmenter import ColorSegmenter


@runtime_checkable
class Cost(Protocol):
    """How far a future is from a goal. Rows do not influence each other."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """What the futures are compared with, computed once per goal image."""
        ...

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """Cost of each row; a non-finite value means infinitely bad."""
        ...


@dataclass(frozen=True)
class ObjectDistance:
    """Pixels between the object in the last imagined step and in the goal image (KeyIn, section 10)."""

    segmenter: ColorSegmenter

    locate: Callable[[Float[Tensor, "B F"]], Float[Tensor, "B 2"]]
    """Turns features into the object's centre in pixels: decode and segment for a learned model; NaN where
    there is no object."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2"]:
        """Centre of the object in the goal images, in pixels.

        Raises:
            ValueError: if a goal image does not show the object.
        """
        blob = self.segmenter.blob(goal)
        missing = blob.centre.isnan().any(dim=-1).nonzero().flatten().tolist()
        if missing:
            raise ValueError(
                f"the goal image shows no object of colour {self.segmenter.color}: "
                f"{int(blob.mass[missing[0]])} matching pixels, at least {self.segmenter.min_mass:g} needed"
            )
        return blob.centre

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B 2"]
    ) -> Float[Tensor, " B"]:
        """Euclidean distance in pixels; infinite where the last step shows no object."""
        offset = self.locate(future.features[:, -1]) - target
        distance = (offset[:, 0].square() + offset[:, 1].square()).sqrt()
        return torch.where(distance.isnan(), torch.inf, distance)


class ObjectDistances:
    """The same of several objects: the sum of their distances."""

    def __init__(
        self,
        segmenters: Sequence[ColorSegmenter],
        locate: Callable[[Float[Tensor, "B F"]], Float[Tensor, "B G"]],
    ) -> None:
        """``locate`` turns features into the centres of all objects, two numbers each."""
        self.locate = locate
        self._each = [ObjectDistance(one, locate) for one in segmenters]

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """Centres of the objects in the goal images. Raises ValueError if one does not show an object."""
        return torch.cat([one.target(goal) for one in self._each], dim=-1)

    def offsets(self, future: Future, target: Float[Tensor, "B G"]) -> Float[Tensor, "B K"]:
        """Pixels between every object in the last step and where it is wanted; NaN where there is none."""
        offset = (self.locate(future.features[:, -1]) - target).unflatten(-1, (-1, 2))
        return offset.square().sum(-1).sqrt()

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """The sum; infinite where the last step lacks an object."""
        distance = self.offsets(future, target).sum(-1)
        return torch.where(distance.isnan(), torch.inf, distance)


@dataclass(frozen=True)
class Approach:
    """A cost plus a small pull of the effector toward the object.

    The object's distance alone says nothing until the effector touches it, which a short horizon may not
    reach; the pull breaks that tie. Features must hold the pixels of object and effector:
    ``[object_x, object_y, effector_x, effector_y]``.
    """

    cost: Cost

    weight: float
    """In units of ``cost`` per pixel."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """The target of the wrapped cost."""
        return self.cost.target(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """The wrapped cost plus ``weight`` times the final distance of effector and object in pixels."""
        last = future.features[:, -1]
        offset = last[:, 0:2] - last[:, 2:4]
        reach = (offset[:, 0].square() + offset[:, 1].square()).sqrt()
        return self.cost(future, decisions, target) + self.weight * reach


@dataclass(frozen=True)
class ApproachFarthest:
    """Distances of several objects plus a small pull of the effector toward the one that is then
    farthest from where it is wanted.

    Features are the pixels ``[x, y]`` of every object in turn, then those of the effector.
    """

    cost: ObjectDistances

    weight: float
    """In units of ``cost`` per pixel."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """The target of the wrapped cost."""
        return self.cost.target(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """The wrapped cost plus ``weight`` times the final distance of effector and object in pixels."""
        offsets = self.cost.offsets(future, target)
        places = future.features[:, -1].unflatten(-1, (-1, 2))
        reach = (places[:, :-1] - places[:, -1:]).square().sum(-1).sqrt()
        reach = reach.gather(-1, offsets.argmax(-1, keepdim=True))[:, 0]
        return self.cost(future, decisions, target) + self.weight * reach


@dataclass(frozen=True)
class Return:
    """Minus the sum of the rewards on the way; the first feature is the reward on arriving at a step.

    There is nothing to compare with: of a goal picture only the number of rows counts.
    """

    discount: float = 1.0
    """What a reward counts for after one more step."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 0"]:
        """Nothing."""
        return goal.new_zeros(len(goal), 0)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B 0"]
    ) -> Float[Tensor, " B"]:
        """Minus the return over the horizon."""
        rewards = future.features[..., 0]
        if self.discount != 1.0:
            steps = torch.arange(rewards.shape[1], device=rewards.device)
            rewards = rewards * self.discount**steps
        return -rewards.sum(1)


@dataclass(frozen=True)
class WithValue:
    """A cost less what the last imagined step is worth: whatever is still to come after the horizon."""

    cost: Cost

    value: Callable[[Float[Tensor, "B F"]], Float[Tensor, " B"]]
    """What a step with these features is worth, in units of ``cost``; higher is better."""

    discount: float = 1.0
    """What it counts for after one more step of the horizon."""

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """The target of the wrapped cost."""
        return self.cost.target(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B G"]
    ) -> Float[Tensor, " B"]:
        """The wrapped cost minus the discounted value of the last step."""
        value = self.value(future.features[:, -1])
        return self.cost(future, decisions, target) - self.discount ** decisions.shape[1] * value


class KeypointDistance:
    """Mean squared distance of keypoints from those of the goal picture, coordinates in -1..1.

    A keypoint counts by its scale in the goal picture: one of little scale may be anywhere. Features are
    (x, y, scale) of every keypoint in turn; bodies that the model knows follow as further keypoints, of a
    large scale.
    """

    def __init__(
        self,
        embed: Callable[[Float[Tensor, "B C H W"]], Float[Tensor, "B F"]],
        weights: Float[Tensor, " K"] | None = None,
    ) -> None:
        """``embed`` finds keypoints in pictures; ``weights`` says how much each counts besides.

        Raises:
            ValueError: a weight is negative.
        """
        if weights is not None and not bool((weights >= 0).all()):
            raise ValueError("weights must not be negative")
        self.embed, self.weights = embed, weights

    def target(self, goal: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Keypoints of the goal pictures."""
        return self.embed(goal)

    def __call__(
        self, future: Future, decisions: Float[Tensor, "B L D"], target: Float[Tensor, "B F"]
    ) -> Float[Tensor, " B"]:
        """Weighted mean over keypoints of squared distances at the last step."""
        wanted, found = (features.unflatten(-1, (-1, 3)) for features in (target, future.features[:, -1]))
        counts = wanted[..., 2] if self.weights is None else wanted[..., 2] * self.weights
        squares = (found[..., :2] - wanted[..., :2]).square().sum(-1)
        return (counts * squares).sum(-1) / counts.sum(-1)
