"""Rewards, keypoints and predictions: what the engine does with a Struct-VRNN."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.loaded import ReadyHead, ReadyModel, ReadyWorldModel
from planner.search.rollout import RollOut
from server.engine.task import Work, go_on
from server.models.eye import usual_picture
from world_models.eye import STANDARD, Calibration
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.struct_vrnn.model import State
from world_models.struct_vrnn.vision import from_pixels, to_pixels

CHUNK = 64
"""Futures imagined at once, always: matrix products may round differently for another number of rows."""


@dataclass(frozen=True)
class Seen:
    """The frames of a request, oldest first, as the model is to see them, and the actions between them."""

    frames: UInt8[np.ndarray, "T H W 3"]
    actions: Float[np.ndarray, "T-1 A"]
    calibration: Calibration = STANDARD
    """How the frames were corrected."""


@dataclass(frozen=True)
class ModelTask:
    """Work of a model that cannot be cut short."""

    kind: ClassVar[str]
    least: ClassVar[float] = 1.0

    model: ReadyModel

    @property
    def who(self) -> str:
        """The model."""
        return self.model.name


@dataclass(frozen=True)
class WorldTask(ModelTask):
    """Work of a Struct-VRNN."""

    model: ReadyWorldModel


@dataclass(frozen=True)
class KeypointTask(WorldTask):
    """Keypoints to find."""

    kind = "keypoints"

    frames: UInt8[np.ndarray, "T H W 3"]
    calibration: Calibration = STANDARD
    """How they were corrected."""

    @property
    def amount(self) -> float:
        """Frames."""
        return len(self.frames)

    def work(self, device: str) -> Work[Float[np.ndarray, "T K 3"]]:
        """Keypoints of every frame: x, y in pixels, scale."""
        yield from go_on()
        detected = self.model.world.vision.detect(to_tensor(self.frames, device)).features
        return _in_pixels(detected, self.model.image_size)


@dataclass(frozen=True)
class RewardTask(WorldTask):
    """Rewards to predict, for every one of several action sequences."""

    kind = "rewards"

    task: str
    head: ReadyHead
    seen: Seen
    actions: Float[np.ndarray, "N L A"]

    @property
    def amount(self) -> float:
        """Steps of all sequences."""
        return len(self.actions) * self.actions.shape[1]

    def work(self, device: str) -> Work[Float[np.ndarray, "N L"]]:
        """Rewards on arriving at every imagined frame. Raises Interrupted."""
        world, head = self.model.world, self.head.head
        frames, past = to_tensor(self.seen.frames, device), torch.from_numpy(self.seen.actions).to(device)
        state = world.encode(Context(frames[None], past[None]))
        _, memory = head(state.carried)
        yield from go_on()

        def earned(actions: Tensor, memory: Tensor, hidden: Tensor, features: Tensor) -> Tensor:
            imagined = world.roll_out(_state(hidden, features), actions)
            rewards: Tensor = head(imagined.carried, memory)[0]
            return rewards

        actions = torch.from_numpy(self.actions).to(device)
        rewards = yield _roll_out((world, head), earned, actions, memory, state)
        return rewards.cpu().numpy()


@dataclass(frozen=True)
class Edit:
    """Moves one keypoint, in one observed frame or (None) in all: to a place or by a way, in pixels."""

    frame: int | None
    keypoint: int
    place: tuple[float, float]
    relative: bool


@dataclass(frozen=True)
class Positions:
    """Where J objects are in each of T frames: normal distributions in pixels (x right, y down)."""

    means: Float[np.ndarray, "J T 2"]
    covariances: Float[np.ndarray, "J T 2 2"]


@dataclass(frozen=True)
class PredictionOutcome:
    """Keypoints are x, y in pixels and scale; ``seen`` those of the observed frames, after the edits.

    Models without keypoints have K = 0 of them; ``positions`` in observed frames and after every step are
    there if the model follows objects.
    """

    seen: Float[np.ndarray, "T K 3"]
    keypoints: Float[np.ndarray, "N L K 3"]
    pictures: UInt8[np.ndarray, "N L H W 3"] | None
    positions: tuple[Positions, Positions] | None = None


@dataclass(frozen=True)
class PredictionTask(WorldTask):
    """Futures to imagine: the mean one without a seed, else samples."""

    kind = "predictions"

    seen: Seen
    edits: Sequence[Edit]
    actions: Float[np.ndarray, "L A"]
    samples: int
    seed: int | None
    render: bool

    @property
    def calibration(self) -> Calibration:
        """How the frames were corrected."""
        return self.seen.calibration

    @property
    def amount(self) -> float:
        """Frames of all futures; a drawn one takes about ten times as long."""
        return self.samples * len(self.actions) * (10 if self.render else 1)

    def work(self, device: str) -> Work[PredictionOutcome]:
        """Find keypoints, move them, imagine and, if wanted, draw. Raises Interrupted."""
        world, size = self.model.world, self.model.image_size
        frames, past = to_tensor(self.seen.frames, device), torch.from_numpy(self.seen.actions).to(device)
        detected = _edited(world.vision.detect(frames).features, self.edits, size)
        state = world.take_in(world.describe(detected)[None], past[None])
        yield from go_on()

        def imagined(actions: Tensor, noise: Tensor, hidden: Tensor, features: Tensor) -> Tensor:
            drawn = noise if noise.shape[1] else None
            return world.roll_out(_state(hidden, features), actions, drawn).features

        actions = torch.from_numpy(self.actions).to(device).expand(self.samples, -1, -1)
        futures = yield _roll_out((world, "imagined"), imagined, actions, self._noise(device), state)
        pictures = (yield from self._draw(frames[:1], futures)) if self.render else None
        keypoints = futures[..., : world.config.detected]
        return PredictionOutcome(_in_pixels(detected, size), _in_pixels(keypoints, size), pictures)

    def _noise(self, device: str) -> Float[Tensor, "N L Z"]:
        """Drawn sample by sample, so that the first ones stay when more are asked for; empty for the mean."""
        if self.seed is None:
            return torch.zeros(self.samples, 0, 0, device=device)
        generator = torch.Generator().manual_seed(self.seed)
        shape = (len(self.actions), self.model.world.config.latent)
        draws = [torch.randn(shape, generator=generator) for _ in range(self.samples)]
        return torch.stack(draws).to(device)

    def _draw(
        self, first: Float[Tensor, "1 C H W"], futures: Float[Tensor, "N L F"]
    ) -> Work[UInt8[np.ndarray, "N L H W 3"]]:
        """Pictures in the scene of the first observed frame, one future at a time."""
        world = self.model.world
        reference = world.reference(first).repeat(futures.shape[1])
        pictures = []
        for future in futures:
            yield from go_on()
            pictures.append(to_bytes(world.decode(future, reference)))
        return np.stack(pictures)


def example_prediction(model: ReadyWorldModel) -> PredictionTask:
    """A small task that every world model can work on."""
    width, frame = model.world.decision_dim, usual_picture(model)
    seen = Seen(np.stack([frame, frame]), np.zeros((1, width), np.float32))
    return PredictionTask(model, seen, (), np.zeros((1, width), np.float32), 1, None, True)


def _roll_out(
    kind: Hashable,
    function: Callable[..., Tensor],
    actions: Float[Tensor, "N L A"],
    also: Tensor,
    state: State,
) -> RollOut:
    """Futures from one state; ``also`` has a row for each of them, or one for all."""
    parts = (also, state.hidden, state.features)
    inputs = (actions, *(part.expand(len(actions), *part.shape[1:]) for part in parts))
    return RollOut((kind, actions.shape[1:], also.shape[1:]), function, inputs, CHUNK)


def _state(hidden: Float[Tensor, "B H"], features: Float[Tensor, "B F"]) -> State:
    """What futures start from; of the seen frames nothing else is needed."""
    return State(hidden, features, torch.cat([hidden, features], -1)[:, None][:, :0])


def _edited(detected: Float[Tensor, "T D"], edits: Sequence[Edit], size: int) -> Float[Tensor, "T D"]:
    """Keypoints after edits, one after the other; what is not moved keeps its bits."""
    keypoints = detected.unflatten(-1, (-1, 3)).clone()
    for edit in edits:
        rows = slice(None) if edit.frame is None else edit.frame
        place = keypoints.new_tensor(edit.place)
        if edit.relative:
            place = place + to_pixels(keypoints[rows, edit.keypoint, :2], size)
        keypoints[rows, edit.keypoint, :2] = from_pixels(place, size)
    return keypoints.flatten(-2)


def _in_pixels(detected: Float[Tensor, "*B D"], size: int) -> Float[np.ndarray, "*B K 3"]:
    keypoints = detected.unflatten(-1, (-1, 3))
    pixels = torch.cat([to_pixels(keypoints[..., :2], size), keypoints[..., 2:]], -1)
    return pixels.float().cpu().numpy()
