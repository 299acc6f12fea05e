"""Struct-VRNN as a world model: decisions are actions, features are keypoints."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from world_models.checkpoint import load_model
from world_models.hub.repository import FromHub
from world_models.interface import Context, Future
from world_models.struct_vrnn.body_reader import BodyReader
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.dynamics import Belief, KeypointDynamics, Rollout
from world_models.struct_vrnn.fast_roll_out import foresee
from world_models.struct_vrnn.published.dynamics import PublishedDynamics
from world_models.struct_vrnn.vision import Reference, Vision, to_pixels

FAINT = 0.02
"""Scale below which a keypoint's coordinates no longer mean anything."""


def weigh(features: Float[Tensor, "*B F"]) -> Float[Tensor, "*B F"]:
    """Keypoints (x, y, scale) with their coordinates times scale."""
    x, y, scale = features.unflatten(-1, (-1, 3)).unbind(-1)
    return torch.stack([x * scale, y * scale, scale], -1).flatten(-2)


@dataclass(frozen=True)
class State:
    """What is known after the context."""

    hidden: Float[Tensor, "B H"]
    """Recurrent state after the last seen frame."""
    features: Float[Tensor, "B F"]
    """What the dynamics have of the last seen frame (see :meth:`StructVRNN.weigh`)."""
    carried: Float[Tensor, "B T H+F"]
    """:attr:`Rollout.carried` of each seen frame: what reward heads read."""

    def repeat(self, times: int) -> "State":
        """Every row ``times`` times in a row."""
        return State(*(part.repeat_interleave(times, 0) for part in vars(self).values()))


class StructVRNN(FromHub, nn.Module):
    """Detector, generator and dynamics (Minderer et al. 2019), or one of the paper's ablations.

    Actions may have any width up to ``decision_dim``: they are padded with zeros and go in with a mask that
    says which actuators exist. So one network serves tasks of different action sizes, an absent actuator is
    told from one at rest, and a new task needs no new weights; which task it is, the pictures say.
    """

    def __init__(self, config: StructVRNNConfig) -> None:
        super().__init__()
        self.config = config
        self.vision = Vision(config)
        self.reader = BodyReader(config) if config.bodies else None
        self.dynamics = (PublishedDynamics if config.published else KeypointDynamics)(config)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "StructVRNN":
        """The model of a folder, ready for use.

        Raises:
            CheckpointError: the folder is missing, incomplete, tampered with or of another kind.
        """
        return load_model(folder, cls, StructVRNNConfig, device)

    @property
    def _weighs(self) -> bool:
        return self.vision.structured and not self.config.published

    @property
    def decision_dim(self) -> int:
        """Most actuators it can take."""
        return self.config.actions

    def encode(self, context: Context) -> State:
        """See the context's frames, with the posterior's means."""
        batch, time = context.frames.shape[:2]
        features = self.embed(context.frames.flatten(0, 1)).unflatten(0, (batch, time))
        return self.take_in(features, context.actions)

    def take_in(self, features: Float[Tensor, "B T F"], actions: Float[Tensor, "B T-1 A"]) -> State:
        """:meth:`encode` from the features of frames, which may have been edited (section 5.4)."""
        seen = self.dynamics.observe(self.weigh(features), self.pad(actions))
        return State(seen.last.hidden, seen.last.features, seen.carried)

    def imagine(self, state: State, decisions: Float[Tensor, "B L A"]) -> Future:
        """Features of the frames that actions lead to, with the prior's means: ``decisions[:, 0]`` is the
        action taken at the last seen frame.
        """
        belief = Belief(state.hidden, state.features)
        features = self.unweigh(foresee(self.dynamics, belief, self.pad(decisions)))
        steps = torch.arange(1.0, features.shape[1] + 1, device=features.device)
        return Future(features, steps.expand(features.shape[:2]))

    def roll_out(
        self,
        state: State,
        decisions: Float[Tensor, "B L A"],
        noise: Float[Tensor, "B L Z"] | None = None,
    ) -> Rollout:
        """Features and recurrent states under actions; ``noise`` (standard normal) draws a sample future."""
        future = self.dynamics.imagine(Belief(state.hidden, state.features), self.pad(decisions), noise)
        return Rollout(self.unweigh(future.features), future.hidden, future.carried)

    def embed(self, frames: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F"]:
        """Features of single frames: (x, y, scale) of every keypoint, coordinates in -1..1, y down."""
        return self.describe(self.vision.detect(frames).features)

    def describe(self, detected: Float[Tensor, "*B D"]) -> Float[Tensor, "*B F"]:
        """All features, from those of the detector: bodies are added that are read off the keypoints."""
        return detected if self.reader is None else torch.cat([detected, self.reader(detected)], -1)

    def places(self, features: Float[Tensor, "*B F"]) -> Float[Tensor, "*B J 2"]:
        """Pixels of the bodies (x to the right, y down, pixel centres are integers)."""
        coordinates = features[..., self.config.detected :].unflatten(-1, (-1, 3))[..., :2]
        return to_pixels(coordinates, self.config.image_size)

    def reference(self, frames: Float[Tensor, "B C H W"]) -> Reference:
        """What :meth:`decode` needs of a frame that shows the scene."""
        return self.vision.reference(frames)

    def decode(self, features: Float[Tensor, "B F"], reference: Reference) -> Float[Tensor, "B C H W"]:
        """Pictures of features in the scene of a reference frame, in [0, 1]."""
        return self.vision.generate(features[..., : self.config.detected], reference).clamp(0.0, 1.0)

    def weigh(self, features: Float[Tensor, "*B F"]) -> Float[Tensor, "*B F"]:
        """Features as the dynamics see them: coordinates times scale.

        A keypoint of little scale may be anywhere, for nothing is drawn there; unweighted, such keypoints
        would make up most of what there is to predict. The vectors of CNN-VRNN stay as they are, and so does
        everything in published models.
        """
        return weigh(features) if self._weighs else features

    def unweigh(self, weighed: Float[Tensor, "*B F"]) -> Float[Tensor, "*B F"]:
        """The inverse of :meth:`weigh`; where there is hardly a keypoint, its place tends to the middle."""
        if not self._weighs:
            return weighed
        x, y, scale = weighed.unflatten(-1, (-1, 3)).unbind(-1)
        scale = scale.clamp(min=0.0)
        divisor = scale.clamp(min=FAINT)
        return torch.stack([(x / divisor).clamp(-1, 1), (y / divisor).clamp(-1, 1), scale], -1).flatten(-2)

    def pad(self, actions: Float[Tensor, "*B A"]) -> Float[Tensor, "*B P"]:
        """Actions filled up with zeros, then the mask of existing actuators; P is twice ``decision_dim``.

        Raises:
            ValueError: there are more actuators than the model can take.
        """
        width, most = actions.shape[-1], self.config.actions
        if width > most:
            raise ValueError(f"actions have {width} numbers, this model takes at most {most}")
        padded = actions.new_zeros(*actions.shape[:-1], 2 * most)
        padded[..., :width] = actions
        padded[..., most : most + width] = 1.0
        return padded
