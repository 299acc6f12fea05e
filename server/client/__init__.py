"""The client of the HTTP service."""

from server.client.client import (
    ActionReply,
    Client,
    ClipReply,
    EpisodeReply,
    FrameReply,
    InterpolationReply,
    IterationEvent,
    KeypointReply,
    PlanReply,
    Positions,
    PredictionReply,
    Queued,
    RewardReply,
    SceneReply,
    ServerProblem,
    SubgoalReply,
)

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
