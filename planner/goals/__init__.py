"""What is wanted: goals that travel with a model or a world, and the costs that searches make of them."""

from planner.goals.embedding import EmbeddingCost, SameEmbedding
from planner.goals.goal import Goal
from planner.goals.keypoints import BodyInPlace, KeypointsCost, KeypointsInPlace, keypoint_goal
from planner.goals.objects import (
    APPROACH_WEIGHT,
    ObjectInPicture,
    ObjectsInPicture,
    action_cost,
    find_objects,
    make_goal,
    picture_cost,
    place_cost,
)

__all__ = [
    "APPROACH_WEIGHT",
    "BodyInPlace",
    "EmbeddingCost",
    "Goal",
    "KeypointsCost",
    "KeypointsInPlace",
    "ObjectInPicture",
    "ObjectsInPicture",
    "SameEmbedding",
    "action_cost",
    "find_objects",
    "keypoint_goal",
    "make_goal",
    "picture_cost",
    "place_cost",
]
