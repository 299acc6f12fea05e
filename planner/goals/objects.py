"""Objects that are found by their colour, as goals, and the costs that searches make of them."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from planner.goals.goal import Goal
from planner.search.costs import Approach, ApproachFarthest, Cost, ObjectDistance, ObjectDistances, Return
from world_models.segmenter import ObjectGoal, ObjectsGoal, Wanted

APPROACH_WEIGHT = 0.1
"""Pull of the effector toward the object, per pixel of the object's distance."""


class ObjectInPicture:
    """An object's place in the picture, found by colour; distances are in pixels."""

    def __init__(self, wanted: ObjectGoal) -> None:
        self.wanted = wanted

    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2"]:
        """The object's centre."""
        return self.wanted.segmenter.blob(pictures).centre

    def distance(self, found: Float[Tensor, "B 2"], target: Float[Tensor, "B 2"]) -> Float[Tensor, " B"]:
        """Euclidean."""
        distance = torch.linalg.vector_norm(found - target, dim=-1)
        return torch.where(distance.isnan(), torch.inf, distance)

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Whether they show exactly one whole object."""
        return self.wanted.segmenter.whole(pictures)


class ObjectsInPicture:
    """The places of several objects in the picture; distances are sums over them of those of each."""

    def __init__(self, wanted: ObjectsGoal) -> None:
        self.wanted = wanted
        self._each = [ObjectInPicture(one) for one in wanted.objects]

    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """The objects' centres, two numbers each."""
        return torch.cat([one.target(pictures) for one in self._each], dim=-1)

    def distance(self, found: Float[Tensor, "B G"], target: Float[Tensor, "B G"]) -> Float[Tensor, " B"]:
        """The sum of the Euclidean distances."""
        distances = torch.linalg.vector_norm((found - target).unflatten(-1, (-1, 2)), dim=-1).sum(-1)
        return torch.where(distances.isnan(), torch.inf, distances)

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Whether they show exactly one whole object of each kind."""
        return torch.stack([one.plausible(pictures) for one in self._each]).all(dim=0)


def make_goal(wanted: Wanted | None) -> Goal | None:
    """What the closed loop asks of pictures; None where reward is wanted."""
    return None if wanted is None else find_objects(wanted)


def find_objects(wanted: Wanted) -> Goal:
    """One object or several, in pictures."""
    return ObjectsInPicture(wanted) if isinstance(wanted, ObjectsGoal) else ObjectInPicture(wanted)


def picture_cost(wanted: Wanted, decode: Callable[[Tensor], Tensor]) -> ObjectDistance | ObjectDistances:
    """The cost of a model whose features ``decode`` into pictures (KeyIn, section 10)."""
    goal = find_objects(wanted)
    return place_cost(wanted, lambda features: goal.target(decode(features)))


def place_cost(wanted: Wanted, locate: Callable[[Tensor], Tensor]) -> ObjectDistance | ObjectDistances:
    """The cost of a model that can ``locate`` the objects by its features, two numbers each."""
    if isinstance(wanted, ObjectsGoal):
        return ObjectDistances([one.segmenter for one in wanted.objects], locate)
    return ObjectDistance(wanted.segmenter, locate)


def action_cost(wanted: Wanted | None) -> Cost:
    """The cost of actions in dynamics whose features are what is wanted.

    Either pixels ``[object_x, object_y, effector_x, effector_y]``, with further objects before the effector:
    objects to goal, effector to object; or ``[reward]``.
    """
    if wanted is None:
        return Return()
    if isinstance(wanted, ObjectGoal):
        return Approach(ObjectDistance(wanted.segmenter, _object_place), APPROACH_WEIGHT)
    segmenters = [one.segmenter for one in wanted.objects]
    return ApproachFarthest(ObjectDistances(segmenters, _all_but_effector), APPROACH_WEIGHT)


def _object_place(features: Float[Tensor, "B F"]) -> Float[Tensor, "B 2"]:
    return features[:, :2]


def _all_but_effector(features: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
    return features[:, :-2]
