"""Structured Brownian motion: a white disc on black that flies straight and now and then turns.

The generated videos of KeyIn (Pertsch et al. 2019, section 4.1): 32x32 binary pictures, constant speed, a new
direction after 6 to 8 frames. The size, the margin and the speed follow the authors' generator.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray

from world_models.data import Sequences

SIZE = 32
RADIUS = 3
SPEED = 2.0
"""Pixels per frame: two thirds of the radius, between the half and the three quarters at which the
paper's trivial baselines come out."""
SEGMENT_FRAMES = (6, 8)
CONTEXT = 5
"""Frames 0..4 are given, frames 5..34 are to be predicted as times 1..30: frame 4 is time 0."""
PREDICTED = 30
FRAMES = CONTEXT + PREDICTED
LOW, HIGH = float(RADIUS), float(SIZE - 1 - RADIUS)
"""Where the centre may be: the disc stays whole."""


@dataclass(frozen=True)
class Flight:
    """One sequence of T frames: centres ``[T, 2]`` in pixels (x right, y down), flags ``[T]``.

    A flag stands on the frame in which the disc is *where* it turns: the last one on the old line. (The
    authors store it one frame later; only this choice gives the paper's .15, .17 and .21 for the trivial
    baselines.) Every sequence begins with a whole segment, so that the first flag is on frame 6, 7 or 8.
    """

    centers: Float[np.ndarray, "T 2"]
    keyframes: Bool[np.ndarray, " T"]


def draw_flight(seed: int, index: int) -> Flight:
    """Sequence ``index`` of the data set with this seed; depends on nothing but its arguments."""
    rng = np.random.default_rng([seed, index])
    shortest, longest = SEGMENT_FRAMES
    centers, keyframes = np.empty((FRAMES + longest, 2)), np.zeros(FRAMES + longest, dtype=bool)
    centers[0] = rng.uniform(LOW, HIGH, 2)
    time = 0
    while time < FRAMES - 1:
        velocity, room = _draw_velocity(centers[time], rng)
        steps = int(rng.integers(shortest, min(longest, room), endpoint=True))
        centers[time + 1 : time + steps + 1] = centers[time] + np.outer(np.arange(1, steps + 1), velocity)
        time += steps
        keyframes[time] = True
    return Flight(centers[:FRAMES], keyframes[:FRAMES])


def _draw_velocity(center: NDArray[Any], rng: np.random.Generator) -> tuple[tuple[float, float], int]:
    """A direction that is free for the shortest segment at least, and how many frames it is free."""
    while True:
        angle = rng.uniform(-math.pi, math.pi)
        velocity = SPEED * math.cos(angle), SPEED * math.sin(angle)
        rooms = [
            ((HIGH if v > 0 else LOW) - c) / v for c, v in zip(center.tolist(), velocity, strict=True) if v
        ]
        if min(rooms) >= SEGMENT_FRAMES[0]:
            return velocity, int(min(rooms))


def draw_pictures(centers: Float[np.ndarray, "*batch 2"]) -> UInt8[np.ndarray, "*batch H W C"]:
    """White discs on black without smoothing: a pixel belongs to the disc if its centre does."""
    distance = np.square(
        np.arange(SIZE, dtype=np.float32) - centers[..., None].astype(np.float32)
    )  # per axis: [..., 2, SIZE]
    disc = distance[..., 1, :, None] + distance[..., 0, None, :] <= RADIUS**2
    return np.repeat(np.where(disc, np.uint8(255), np.uint8(0))[..., None], 3, axis=-1)


def draw_sequences(seed: int, first: int, count: int) -> Sequences:
    """Sequences ``first`` to ``first + count - 1`` of the data set with this seed.

    The states are the centres ``[x, y]`` in pixels. Nobody acts: the actions are one column of zeros.
    """
    flights = [draw_flight(seed, index) for index in range(first, first + count)]
    centers = np.stack([flight.centers for flight in flights])
    return Sequences(
        frames=draw_pictures(centers),
        actions=np.zeros((count, FRAMES - 1, 1), dtype=np.float32),
        keyframes=np.stack([flight.keyframes for flight in flights]),
        states=centers.astype(np.float32),
    )
