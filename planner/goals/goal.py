"""What a goal is."""

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor


@runtime_checkable
class Goal(Protocol):
    """What of a goal picture counts, and when it is reached."""

    def target(self, pictures: Float[Tensor, "B C H W"]) -> Float[Tensor, "B G"]:
        """What pictures show of what is wanted; NaN where they show nothing of it."""
        ...

    def distance(self, found: Float[Tensor, "B G"], target: Float[Tensor, "B G"]) -> Float[Tensor, " B"]:
        """How far two of these are from each other; infinite where one is NaN."""
        ...

    def plausible(self, pictures: Float[Tensor, "B C H W"]) -> Bool[Tensor, " B"]:
        """Whether they look like pictures of this world."""
        ...
