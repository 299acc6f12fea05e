"""Cannonballs: one to three balls shot from the left or the right, white on black.

The generated videos of Chiappa and Paquet 2019, section 3.1: Newton's laws as a linear Gaussian state-space
model, observed with noise. In the model x points right, y up, and lengths have no unit.

What the paper leaves open: a ball comes from either side with chance 1/2, and is drawn as a disc round the
nearest whole pixel. Positions are scaled into the picture by one map per length of video, made from what the
parameters allow, so that one law of motion holds for all videos.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from world_models.data import Scalar, Sequences

PERIOD = 0.015
"""δ, time between two frames."""
GRAVITY = 9.81
NOISE = 0.001
"""Variance of what is added to every seen position; the motion itself has no noise."""
ANGLES = (40.0, 60.0)
"""Degrees above the horizontal."""
SPEEDS = (2.0, 3.0)
LEFT = (-0.5, -0.1)
"""Where balls from the left start on the x axis."""
ACROSS = 0.9
"""Balls from the right start this share of the longest way across further to the right."""
HEIGHTS = (-0.5, 0.5)
RADIUS = 2
ALLOWANCE = 2.0
"""Standard deviations of noise that the map into the picture leaves room for round the farthest flights.
Those are so rare that none of a million positions was outside; a ball that is gets drawn on the edge."""


@dataclass(frozen=True)
class Videos:
    """Which videos are drawn.

    Attributes:
        balls: how many of them, N.
        frames: length T.
        size: height and width of the picture in pixels.
    """

    balls: Literal[1, 2, 3] = 2
    frames: int = 30
    size: int = 48

    def origin(self) -> dict[str, Scalar]:
        """The attributes of shards of these videos."""
        return {
            "frames": self.frames,
            "size": self.size,
            "bodies": ",".join(f"ball-{number}" for number in range(1, self.balls + 1)),
            "observation": 4 * self.balls,
        }


@dataclass(frozen=True)
class Flights:
    """Balls of one video: true positions and velocities, and the positions that are seen, with noise."""

    positions: Float[np.ndarray, "T N 2"]
    velocities: Float[np.ndarray, "T N 2"]
    seen: Float[np.ndarray, "T N 2"]


@dataclass(frozen=True)
class Bounds:
    """The rectangle that is scaled into the picture: lowest and highest x, and y."""

    low: tuple[float, float]
    high: tuple[float, float]


def widest_way(frames: int) -> float:
    """How far along x a ball can get in so many frames."""
    return (frames - 1) * PERIOD * SPEEDS[1] * math.cos(math.radians(ANGLES[0]))


def bounds(frames: int) -> Bounds:
    """Where seen positions can be, with some room for the noise."""
    way, duration = widest_way(frames), (frames - 1) * PERIOD
    room = ALLOWANCE * math.sqrt(NOISE)
    slow, fast = (v * math.sin(math.radians(angle)) for v, angle in zip(SPEEDS, ANGLES, strict=True))
    climb = min(duration, fast / GRAVITY)
    fall = min(0.0, slow * duration - GRAVITY * duration**2 / 2)
    return Bounds(
        low=(LEFT[0] - (1.0 - ACROSS) * way - room, HEIGHTS[0] + fall - room),
        high=(LEFT[1] + way + room, HEIGHTS[1] + fast * climb - GRAVITY * climb**2 / 2 + room),
    )


def draw_flights(videos: Videos, seed: int, index: int) -> Flights:
    """Flights of video ``index`` of the data set with this seed; depends on its arguments alone."""
    rng = np.random.default_rng([seed, videos.balls, index])
    count = videos.balls
    from_right = rng.random(count) < 0.5
    x = rng.uniform(*LEFT, count) + from_right * ACROSS * widest_way(videos.frames)
    y = rng.uniform(*HEIGHTS, count)
    angle, speed = np.radians(rng.uniform(*ANGLES, count)), rng.uniform(*SPEEDS, count)
    position = np.stack([x, y], axis=-1)
    velocity = np.stack(
        [speed * np.cos(angle) * np.where(from_right, -1.0, 1.0), speed * np.sin(angle)], axis=-1
    )
    time = PERIOD * np.arange(videos.frames)[:, None, None]
    pull = np.array([0.0, -GRAVITY])
    # The closed form of T steps with A = [I, δI; 0, I] and u = -g (0, δ²/2, 0, δ).
    positions = position + time * velocity + time**2 / 2 * pull
    velocities = velocity + time * pull
    return Flights(positions, velocities, positions + rng.normal(0.0, math.sqrt(NOISE), positions.shape))


def to_pixels(points: Float[np.ndarray, "*B 2"], videos: Videos) -> Float[np.ndarray, "*B 2"]:
    """Positions of the model as positions in the picture (x right, y down), where balls are whole."""
    area = bounds(videos.frames)
    share = (points - area.low) / np.subtract(area.high, area.low)
    share = np.stack([share[..., 0], 1.0 - share[..., 1]], axis=-1)
    return RADIUS + share * (videos.size - 1 - 2 * RADIUS)


def draw_pictures(places: Float[np.ndarray, "*B N 2"], size: int) -> UInt8[np.ndarray, "*B H W 1"]:
    """White discs on black at whole pixels; a disc reaches ``RADIUS`` pixels from its middle one."""
    middles = np.clip(np.rint(places), RADIUS, size - 1 - RADIUS)
    distance = np.square(np.arange(size) - middles[..., None])  # per axis: [..., N, 2, size]
    discs = distance[..., 1, :, None] + distance[..., 0, None, :] <= (RADIUS + 0.5) ** 2
    return np.where(discs.any(-3), np.uint8(255), np.uint8(0))[..., None]


def draw_sequences(videos: Videos, seed: int, first: int, count: int) -> Sequences:
    """Videos ``first`` to ``first + count - 1`` of the data set with this seed.

    The states are the balls' true velocities in pixels per frame, their true positions in pixels and the
    positions that are seen, each as (x, y) per ball with x right and y down. Nobody acts: actions have size
    0; no frame is a keyframe.
    """
    drawn = [draw_flights(videos, seed, index) for index in range(first, first + count)]
    steps = PERIOD * np.stack([flights.velocities for flights in drawn])
    places = to_pixels(np.stack([flights.seen for flights in drawn]), videos)
    positions = to_pixels(np.stack([flights.positions for flights in drawn]), videos)
    states = np.stack([to_pixels(steps, videos) - to_pixels(np.zeros(2), videos), positions, places], axis=2)
    return Sequences(
        frames=np.stack([draw_pictures(video, videos.size) for video in places]),
        actions=np.zeros((count, videos.frames - 1, 0), dtype=np.float32),
        keyframes=np.zeros((count, videos.frames), dtype=np.bool_),
        states=states.reshape(count, videos.frames, 6 * videos.balls).astype(np.float32),
    )
