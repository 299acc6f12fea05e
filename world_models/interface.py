"""What every world model answers, and the shape alphabet used across the project.

The letters in shape annotations mean the same thing everywhere:

==========  =====================================================================
``B``       batch: parallel episodes or fused requests
``N``       candidates of one search (flattened to ``B*N`` before a model sees them)
``T``       context frames already seen
``L``       decision steps: keyframes at the high level, control steps at the low
``D``       size of one decision: ``A`` (action) or ``Z`` (latent)
``F``       features that describe one future step
``C H W``   image channels, height, width; float32 in [0, 1]
==========  =====================================================================
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Context:
    """What has been seen: frames, and the actions taken between them.

    ``actions[:, t]`` is what drove the world from ``frames[:, t]`` to ``frames[:, t + 1]``.
    """

    frames: Float[Tensor, "B T C H W"]
    actions: Float[Tensor, "B T-1 A"]


@dataclass(frozen=True)
class Future:
    """What would happen under some decisions.

    ``times`` counts environment frames from the last context frame: ``1..L`` for a model that
    predicts every step, the predicted (cumulative) keyframe times for KeyIn.
    """

    features: Float[Tensor, "B L F"]
    times: Float[Tensor, "B L"]


State = TypeVar("State")
"""A frozen dataclass of tensors whose dimension 0 is B."""
StateIn = TypeVar("StateIn", contravariant=True)


@runtime_checkable
class Dynamics(Protocol[StateIn]):
    """What a search needs: a way to follow decisions. True physics has this much, and no pictures.

    Pure: the same arguments give the same answer, and nothing is remembered between calls. Rows of a
    batch do not influence each other.
    """

    @property
    def decision_dim(self) -> int:
        """Numbers per decision."""
        ...

    def imagine(self, state: StateIn, decisions: Float[Tensor, "B L D"]) -> Future:
        """Follow ``decisions`` from ``state``; decision ``l`` influences steps ``l..L-1`` only."""
        ...


@runtime_checkable
class WorldModel(Dynamics[State], Protocol[State]):
    """Dynamics one can look into: encode what was seen, imagine, and turn features into pictures."""

    def encode(self, context: Context) -> State:
        """Summarise the context into a state with ``B`` rows."""
        ...

    def embed(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Features of single frames, in the space of :attr:`Future.features`."""
        ...

    def decode(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B C H W"]:
        """Pictures of features; the (approximate) inverse of :meth:`embed`."""
        ...
