"""Reward heads (section S2.3): rewards of one task from the recurrent states of a world model.

The world model neither sees rewards nor learns from them: a head reads its states and nothing flows back.
"""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from world_models.checkpoint import CheckpointError, load_model
from world_models.training.fit import PositiveInt

SMALLEST = 1e-3
"""Inputs that vary less are not blown up to full size."""


class RewardHeadConfig(BaseModel):
    """Everything that fixes the shape and the use of a reward head; stored with its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["reward-head"] = "reward-head"
    task: str = Field(min_length=1)
    """The task whose rewards it predicts."""
    actions: PositiveInt
    """Actuators of the task."""
    hidden_size: PositiveInt
    """H, numbers per frame that it reads."""
    width: PositiveInt = 128
    """Units of each of its layers."""
    world_model: str = ""
    """SHA-256 of the weights of the model whose states it reads; empty for none."""


class RewardHead(nn.Module):
    """Dense layer, two GRUs, dense layer, rectified linear units between.

    What has been read is a value, the memory: rewards of many futures of one context come from one reading
    of the context, whose memory is repeated for all of them.
    """

    def __init__(self, config: RewardHeadConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.first = nn.Linear(config.hidden_size, width)
        self.lower = nn.GRU(width, width, batch_first=True)
        self.upper = nn.GRU(width, width, batch_first=True)
        self.last = nn.Linear(width, 1)
        for name, size in (("input", (config.hidden_size,)), ("reward", ())):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))
        self.input_mean: Tensor
        self.input_scale: Tensor
        self.reward_mean: Tensor
        self.reward_scale: Tensor

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "RewardHead":
        """The head of a model folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, RewardHeadConfig, device)

    def set_scales(self, hidden: Float[Tensor, "n T H"], rewards: Float[Tensor, "n T"]) -> None:
        """Take means and spreads from the training data, rounded as they will be stored."""
        scale = hidden.std((0, 1)).clamp_min(SMALLEST)
        values = {"input_mean": hidden.mean((0, 1)), "input_scale": scale}
        values |= {"reward_mean": rewards.mean(), "reward_scale": rewards.std()}
        for name, value in values.items():
            getattr(self, name).copy_(value.half())

    def forward(
        self, hidden: Float[Tensor, "B T H"], memory: Float[Tensor, "B 2 W"] | None = None
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B 2 W"]]:
        """Rewards received on arriving at consecutive frames, and the memory to go on from.

        Args:
            hidden: recurrent states after these frames.
            memory: what was answered for the frames before; None at the start of a sequence.
        """
        lower, upper = (None, None) if memory is None else memory.transpose(0, 1).contiguous().split(1)
        with torch.autocast(hidden.device.type, enabled=False):
            inputs = torch.relu(self.first((hidden.float() - self.input_mean) / self.input_scale))
            found, lower = self.lower(inputs, lower)
            found, upper = self.upper(torch.relu(found), upper)
            rewards = self.last(torch.relu(found))[..., 0]
        return self.reward_mean + self.reward_scale * rewards, torch.cat([lower, upper]).transpose(0, 1)


def load_heads(folder: Path, world_model: str, device: torch.device | str = "cpu") -> dict[str, RewardHead]:
    """The reward heads of a world model by task.

    Args:
        folder: ``rewards`` of a run: one model folder per task.
        world_model: the ``weights_digest`` of the model whose states they are to read.
        device: where they go.

    Raises:
        CheckpointError: there is none, or one is damaged or reads the states of another model.
    """
    heads = dict[str, RewardHead]()
    for path in sorted(folder.glob("*/config.json")):
        if path.parent.suffix:  # left by a run that was killed while it wrote
            continue
        head = RewardHead.load(path.parent, device)
        if head.config.world_model != world_model:
            raise CheckpointError(
                f"{path.parent} reads the states of a model with weights {head.config.world_model[:12]!r}, "
                f"not {world_model[:12]!r}; `python -m world_models.train rewards` trains heads for this one"
            )
        heads[head.config.task] = head
    if not heads:
        raise CheckpointError(
            f"no reward heads in {folder}; `python -m world_models.train rewards` trains them"
        )
    return heads
