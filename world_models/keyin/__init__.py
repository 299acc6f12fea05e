"""KeyIn: stochastic keyframes first, deterministic frames in between (Pertsch et al. 2019)."""

from world_models.keyin.config import KeyInConfig
from world_models.keyin.model import KeyIn, KeyInState

__all__ = ["KeyIn", "KeyInConfig", "KeyInState"]
