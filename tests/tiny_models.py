"""World models so small that thousands of requests can be tried, with random weights."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from world_models.kalman.config import KalmanConfig
from world_models.kalman.model import Kalman
from world_models.segmenter import PUCK_GOAL
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.svg import SVG, LatentSVGConfig, SVGConfig

M = TypeVar("M", bound=nn.Module)

ACTUATORS = {"cartpole-balance": 1, "cheetah-run": 6}
TINY = StructVRNNConfig(
    widths=(0, 4, 8), keypoints=4, latent=3, hidden=16, posterior_width=16, blob_width=2.0, image_size=64
)
WORLDS = {
    "tiny-dmc": {"tasks": tuple(ACTUATORS), "actions": 6},
    "tiny-agents": {"image_size": 16},
    "tiny-rnn": {"stochastic": False, "actions": 2},
    "tiny-push": {"bodies": ("puck", "finger"), "actions": 2, "goal": PUCK_GOAL},
}
"""World models of a service by name: what differs from :data:`TINY`."""


def at_random(build: Callable[[], M], decoder: float = 0.1) -> M:
    """A module with random weights, also where it would start from zeros.

    Those of a ``decoder`` are small, so that keypoints stay in the picture.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        module = build()
    for name, parameter in module.named_parameters():
        spread = (decoder if "decoder" in name else 1.0) * parameter.shape[1:].numel() ** -0.5
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    return module


def small_svg(channels: int, **recurrent: Any) -> SVG:
    sizes = LatentSVGConfig(embedding=8, hidden=8, **recurrent)
    return SVG(SVGConfig(image_size=16, channels=channels, recurrent=sizes))


VIDEOS: dict[str, Callable[[], SVG | Kalman]] = {
    "tiny-lp": lambda: small_svg(1, prior="learned", latent=2),
    "tiny-fp": lambda: small_svg(3, prior="fixed", latent=2, actions=2),
    "tiny-det": lambda: small_svg(1, prior="none", latent=0),
    "tiny-kalman": lambda: Kalman(KalmanConfig(image_size=16, most_objects=2, canvas=16, state=8)),
}
"""Models of videos by name."""
