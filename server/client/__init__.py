"""The client of the HTTP service."""

from server.client.client import Client
from server.client.replies import (
    ActionReply,
    InterpolationReply,
    KeypointReply,
    PlanReply,
    Positions,
    PredictionReply,
    RewardReply,
    ServerProblem,
    SubgoalReply,
)
from server.client.scenes import ClipReply, EpisodeReply, FrameReply, SceneReply
from server.plans.schemas import IterationEvent
from server.schemas import Queued

__all__ = [
    "ActionReply",
    "Client",
    "ClipReply",
    "EpisodeReply",
    "FrameReply",
    "InterpolationReply",
    "IterationEvent",
    "KeypointReply",
    "PlanReply",
    "Positions",
    "PredictionReply",
    "Queued",
    "RewardReply",
    "SceneReply",
    "ServerProblem",
    "SubgoalReply",
]
