"""Predictions and interpolations of videos: what the engine does with an SVG or a Kalman model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from planner.loaded import ReadyKalman, ReadySVG
from planner.search.rollout import RollOut
from server.engine.task import Work, go_on
from server.predictions.keypoint_task import ModelTask, Positions, PredictionOutcome, Seen
from world_models.eye import STANDARD, Calibration
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.kalman.queries import Tracks, filtered, generate, interpolate

CHUNK = 8
"""Futures imagined at once, always: matrix products may round differently for another number of rows."""

# Thousandths (ITU-R BT.601): what is grey keeps its value.
_RED, _GREEN, _BLUE = 299, 587, 114


@dataclass(frozen=True)
class VideoTask(ModelTask):
    """Futures of an SVG model: without a seed the one with the means of all latents, else samples."""

    kind: ClassVar[str] = "predictions"
    calibration: ClassVar[Calibration] = STANDARD

    model: ReadySVG
    seen: Seen
    actions: Float[np.ndarray, "L A"]
    samples: int
    seed: int | None

    @property
    def amount(self) -> float:
        """Frames, those seen included."""
        return len(self.seen.frames) + self.samples * len(self.actions)

    def work(self, device: str) -> Work[PredictionOutcome]:
        """See, imagine, then draw one future at a time. Raises Interrupted."""
        world = self.model.world
        frames = _pictures(self.seen.frames, world.config.channels, device)
        past, actions = (torch.from_numpy(part).to(device) for part in (self.seen.actions, self.actions))
        state = world.encode(Context(frames[None], past[None]))
        start = state.repeat(CHUNK)
        decisions = torch.cat([self._noise(device), actions.expand(self.samples, -1, -1)], dim=-1)
        # No kind: others' futures start from other states.
        features = yield RollOut(None, lambda rows: world.imagine(start, rows).features, (decisions,), CHUNK)
        futures = []
        for future in features:
            yield from go_on()
            futures.append(_coloured(world.decode(future, state.skips)))
        keypoints = np.zeros((self.samples, len(self.actions), 0, 3), np.float32)
        seen = np.zeros((len(frames), 0, 3), np.float32)
        return PredictionOutcome(seen, keypoints, np.stack(futures))

    def _noise(self, device: str) -> Float[Tensor, "N L Z"]:
        """Drawn sample by sample, so that the first ones stay when more are asked for; zeros for the mean."""
        shape = (len(self.actions), self.model.world.config.latent)
        if self.seed is None:
            return torch.zeros(1, *shape, device=device)
        generator = torch.Generator().manual_seed(self.seed)
        draws = [torch.randn(shape, generator=generator) for _ in range(self.samples)]
        return torch.stack(draws).to(device)


@dataclass(frozen=True)
class TrackTask(ModelTask):
    """The future of objects that a Kalman model follows, rolled on from where they most likely are."""

    kind: ClassVar[str] = "predictions"
    calibration: ClassVar[Calibration] = STANDARD
    samples: ClassVar[int] = 1
    seed: ClassVar[None] = None

    model: ReadyKalman
    frames: UInt8[np.ndarray, "T H W 3"]
    objects: int
    steps: int
    render: bool

    @property
    def amount(self) -> float:
        """Positions in all frames."""
        return self.objects * (2 * len(self.frames) + self.steps)

    def work(self, device: str) -> Work[PredictionOutcome]:
        """Follow, then go on. Raises Interrupted."""
        world = self.model.world
        frames = _pictures(self.frames, 1, device)[None]
        yield from go_on()
        seen = filtered(world, frames, self.objects)
        yield from go_on()
        future = generate(world, frames, self.objects, self.steps)
        keypoints = np.zeros((1, self.steps, 0, 3), np.float32)
        pictures = _coloured(future.frames[0])[None] if self.render else None
        positions = (_positions(seen), _positions(future))
        return PredictionOutcome(
            np.zeros((len(self.frames), 0, 3), np.float32), keypoints, pictures, positions
        )


@dataclass(frozen=True)
class InterpolationOutcome:
    """What was in the missing frames."""

    positions: Positions
    pictures: UInt8[np.ndarray, "L H W 3"] | None


@dataclass(frozen=True)
class InterpolationTask(ModelTask):
    """What objects did that a Kalman model follows, in frames that are missing (section 3.5)."""

    kind: ClassVar[str] = "interpolations"

    model: ReadyKalman
    before: UInt8[np.ndarray, "T H W 3"]
    after: UInt8[np.ndarray, "S H W 3"]
    objects: int
    steps: int
    render: bool

    @property
    def amount(self) -> float:
        """Positions in all frames."""
        return self.objects * (len(self.before) + self.steps + len(self.after))

    def work(self, device: str) -> Work[InterpolationOutcome]:
        """Smooth. Raises Interrupted."""
        before, after = (_pictures(frames, 1, device)[None] for frames in (self.before, self.after))
        yield from go_on()
        tracks = interpolate(self.model.world, before, after, self.objects, self.steps)
        return InterpolationOutcome(_positions(tracks), _coloured(tracks.frames[0]) if self.render else None)


def example_video(model: ReadySVG) -> VideoTask:
    """A small task for an SVG model: one future, in which nothing need happen."""
    config, size = model.world.config, model.image_size
    seen = Seen(np.zeros((2, size, size, 3), np.uint8), np.zeros((1, config.actions), np.float32))
    return VideoTask(model, seen, np.zeros((4, config.actions), np.float32), 1, None)


def example_track(model: ReadyKalman) -> TrackTask:
    """A small task for a Kalman model."""
    return TrackTask(model, _empty(model), objects=1, steps=4, render=True)


def example_interpolation(model: ReadyKalman) -> InterpolationTask:
    """Another one."""
    return InterpolationTask(model, _empty(model), _empty(model), objects=1, steps=4, render=True)


def _empty(model: ReadyKalman) -> UInt8[np.ndarray, "2 H W 3"]:
    return np.zeros((2, model.image_size, model.image_size, 3), np.uint8)


def _pictures(frames: UInt8[np.ndarray, "T H W 3"], channels: int, device: str) -> Float[Tensor, "T C H W"]:
    """Frames as a model sees them: in colour, or their brightness."""
    if channels == 1:
        red, green, blue = np.moveaxis(frames.astype(np.uint32), -1, 0)
        frames = ((_RED * red + _GREEN * green + _BLUE * blue + 500) // 1000).astype(np.uint8)[..., None]
    return to_tensor(frames, device)


def _coloured(frames: Float[Tensor, "L C H W"]) -> UInt8[np.ndarray, "L H W 3"]:
    """Pictures for replies: grey ones have three equal channels."""
    return to_bytes(frames.expand(-1, 3, -1, -1))


def _positions(tracks: Tracks) -> Positions:
    """Those of a single video."""
    return Positions(tracks.means[0].double().cpu().numpy(), tracks.covariances[0].double().cpu().numpy())
