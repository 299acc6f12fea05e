"""Rewards, keypoints and predictions: what the engine does with a Struct-VRNN."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.build import ReadyHead, ReadyWorldModel
from server.tasks import Stop, go_on
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.struct_vrnn.dynamics import Rollout
from world_models.struct_vrnn.model import State, StructVRNN
from world_models.struct_vrnn.vision import from_pixels, to_pixels

CHUNK = 64
"""Futures imagined at once, always: matrix products may round differently for another number of rows."""


@dataclass(frozen=True)
class Seen:
    """The frames of a request, oldest first, and the actions between them."""

    frames: UInt8[np.ndarray, "T H W 3"]
    actions: Float[np.ndarray, "T-1 A"]


@dataclass(frozen=True)
class KeypointTask:
    """Keypoints to find."""

    model: ReadyWorldModel
    frames: UInt8[np.ndarray, "T H W 3"]

    @torch.inference_mode()
    def run(self, device: str, stop: Stop) -> Float[np.ndarray, "T K 3"]:
        """Keypoints of every frame: x, y in pixels, scale."""
        detected = self.model.world.vision.detect(to_tensor(self.frames, device)).features
        return _in_pixels(detected, self.model.image_size)


@dataclass(frozen=True)
class RewardTask:
    """Rewards to predict, for every one of several action sequences."""

    model: ReadyWorldModel
    task: str
    head: ReadyHead
    seen: Seen
    actions: Float[np.ndarray, "N L A"]

    @torch.inference_mode()
    def run(self, device: str, stop: Stop) -> Float[np.ndarray, "N L"]:
        """Rewards on arriving at every imagined frame. Raises Unfinished."""
        world, head = self.model.world, self.head.head
        frames, past = to_tensor(self.seen.frames, device), torch.from_numpy(self.seen.actions).to(device)
        state = world.encode(Context(frames[None], past[None]))
        _, memory = head(state.carried)
        memory = memory.repeat_interleave(CHUNK, 0)
        actions = torch.from_numpy(self.actions).to(device)
        rewards = [head(part.carried, memory)[0] for part in _futures(world, state, actions, None, stop)]
        return torch.cat(rewards)[: len(actions)].cpu().numpy()


@dataclass(frozen=True)
class Edit:
    """Moves one keypoint, in one observed frame or (None) in all: to a place or by a way, in pixels."""

    frame: int | None
    keypoint: int
    place: tuple[float, float]
    relative: bool


@dataclass(frozen=True)
class PredictionOutcome:
    """Keypoints are x, y in pixels and scale; ``seen`` those of the observed frames, after the edits."""

    seen: Float[np.ndarray, "T K 3"]
    keypoints: Float[np.ndarray, "N L K 3"]
    pictures: UInt8[np.ndarray, "N L H W 3"] | None


@dataclass(frozen=True)
class PredictionTask:
    """Futures to imagine: the mean one without a seed, else samples."""

    model: ReadyWorldModel
    seen: Seen
    edits: Sequence[Edit]
    actions: Float[np.ndarray, "L A"]
    samples: int
    seed: int | None
    render: bool

    @torch.inference_mode()
    def run(self, device: str, stop: Stop) -> PredictionOutcome:
        """Find keypoints, move them, imagine and, if wanted, draw. Raises Unfinished."""
        world, size = self.model.world, self.model.image_size
        frames, past = to_tensor(self.seen.frames, device), torch.from_numpy(self.seen.actions).to(device)
        detected = _edited(world.vision.detect(frames).features, self.edits, size)
        state = world.take_in(world.describe(detected)[None], past[None])
        actions = torch.from_numpy(self.actions).to(device).expand(self.samples, -1, -1)
        parts = [part.features for part in _futures(world, state, actions, self._noise(device), stop)]
        futures = torch.cat(parts)[: self.samples]
        pictures = self._draw(frames[:1], futures, stop) if self.render else None
        keypoints = futures[..., : world.config.detected]
        return PredictionOutcome(_in_pixels(detected, size), _in_pixels(keypoints, size), pictures)

    def _noise(self, device: str) -> Float[Tensor, "N L Z"] | None:
        """Drawn sample by sample, so that the first ones stay when more are asked for."""
        if self.seed is None:
            return None
        generator = torch.Generator().manual_seed(self.seed)
        shape = (len(self.actions), self.model.world.config.latent)
        draws = [torch.randn(shape, generator=generator) for _ in range(self.samples)]
        return torch.stack(draws).to(device)

    def _draw(
        self, first: Float[Tensor, "1 C H W"], futures: Float[Tensor, "N L F"], stop: Stop
    ) -> UInt8[np.ndarray, "N L H W 3"]:
        """Pictures in the scene of the first observed frame, one future at a time."""
        world = self.model.world
        reference = world.reference(first).repeat(futures.shape[1])
        pictures = []
        for future in futures:
            go_on(stop)
            pictures.append(to_bytes(world.decode(future, reference)))
        return np.stack(pictures)


def example_prediction(model: ReadyWorldModel) -> PredictionTask:
    """A small task that every world model can work on."""
    width, size = model.world.decision_dim, model.image_size
    seen = Seen(np.zeros((2, size, size, 3), np.uint8), np.zeros((1, width), np.float32))
    return PredictionTask(model, seen, (), np.zeros((1, width), np.float32), 1, None, True)


def _futures(
    world: StructVRNN,
    state: State,
    actions: Float[Tensor, "N L A"],
    noise: Float[Tensor, "N L Z"] | None,
    stop: Stop,
) -> Iterator[Rollout]:
    """Futures from one state in batches of exactly ``CHUNK``; the last one is filled up with zeros."""
    states = state.repeat(CHUNK)
    for start in range(0, len(actions), CHUNK):
        if start:
            go_on(stop)
        chosen = slice(start, start + CHUNK)
        drawn = None if noise is None else _filled(noise[chosen])
        yield world.roll_out(states, _filled(actions[chosen]), drawn)


def _filled(rows: Float[Tensor, "B L D"]) -> Float[Tensor, "CHUNK L D"]:
    return torch.cat([rows, rows.new_zeros(CHUNK - len(rows), *rows.shape[1:])])


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
