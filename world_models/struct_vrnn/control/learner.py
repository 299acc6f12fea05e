"""A control model while it learns: with the slow copies of its value heads that targets are made with."""

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.struct_vrnn.control.config import ControlConfig
from world_models.struct_vrnn.control.model import Control

QUANTILES = (0.05, 0.95)
SLOWNESS = 0.99
"""Share of the spread of values that stays from step to step."""
LEAST_SPREAD = 0.01
FIRST_SPREAD = 0.1


class Learner(nn.Module):
    """A model and what its training remembers; all of it is in the training's checkpoint."""

    def __init__(self, config: ControlConfig) -> None:
        super().__init__()
        self.model = Control(config)
        self.targets = deepcopy(self.model.critics).requires_grad_(False)
        self.register_buffer("spread", torch.tensor(FIRST_SPREAD))
        self.spread: Tensor

    @torch.no_grad()
    def follow(self, share: float) -> None:
        """Move the target networks toward the value heads by this share of the way."""
        for slow, fast in zip(self.targets.parameters(), self.model.critics.parameters(), strict=True):
            slow.lerp_(fast, share)

    @torch.no_grad()
    def note_spread(self, worth: Float[Tensor, " n"]) -> None:
        """Keep a running figure of how far values differ, by which the policy's loss is divided."""
        low, high = torch.quantile(worth.float(), torch.tensor(QUANTILES, device=worth.device))
        self.spread.lerp_((high - low).clamp_min(LEAST_SPREAD), 1 - SLOWNESS)
