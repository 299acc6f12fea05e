"""How digits fly: paths of Stochastic Moving MNIST as its authors draw them, and as SRVP does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int

Protocol = Literal["svg", "srvp"]

PICTURE = 64
"""Side of a picture in pixels."""
ROOM = PICTURE - 32
"""Upper left corners of digits of 32 pixels are at 0..31 on both axes; as with SVG's authors, the last row
and column of pixels stay black."""
MNIST_SIDE = 28
"""Side of MNIST's digits in pixels."""
SPEED = 4
"""Greatest velocity on an axis in pixels per frame."""
NEAR = 1e-9
"""Share of a frame that counts as none."""


@dataclass(frozen=True)
class Paths:
    """One video's motion over T frames.

    Attributes:
        corners: upper left corners of the digits (x, y) in pixels.
        hits: True where a digit gets a new velocity. ``svg``: it is put on the edge, and the next frame is
            the first that shows the new velocity; ``srvp``: it has bounced since the frame before.
    """

    corners: Int[np.ndarray, "T N 2"]
    hits: Bool[np.ndarray, "T N"]


def draw_paths(start: np.random.Generator, bounces: np.random.Generator, count: int, frames: int) -> Paths:
    """Paths of ``count`` digits of 32 pixels from where ``start`` puts them (Denton and Fergus 2018, section
    4.2, and their public code); new velocities are from ``bounces``.
    """
    positions = start.integers(ROOM, size=(count, 2))
    velocities = start.integers(-SPEED, SPEED, size=(count, 2), endpoint=True)
    corners = np.empty((frames, count, 2), dtype=np.int64)
    hits = np.zeros((frames, count), dtype=np.bool_)
    for time in range(frames):
        for number, position in enumerate(positions):
            # The authors look at y first. In a corner the second wall redraws the velocity off the first.
            for axis in (1, 0):
                if not 0 <= position[axis] < ROOM:
                    away = 1 if position[axis] < 0 else -1
                    position[axis] = min(max(position[axis], 0), ROOM - 1)
                    velocities[number] = bounces.integers(-SPEED, SPEED, size=2, endpoint=True)
                    velocities[number, axis] = away * bounces.integers(1, SPEED, endpoint=True)
                    hits[time, number] = True
        corners[time] = positions
        positions += velocities
    return Paths(corners, hits)


def draw_exact_paths(
    start: np.random.Generator, bounces: np.random.Generator, count: int, frames: int
) -> Paths:
    """The same of digits of 28 pixels in the protocol of SRVP (Franceschi et al. 2020, and their code).

    A digit that meets a wall within a frame gets a new velocity there, -4 to 4 on each axis and not into the
    wall, and flies on with it for the rest of the frame. Places are kept exactly, and rounded to be drawn.
    """
    room = PICTURE - MNIST_SIDE
    corners = np.empty((frames, count, 2), dtype=np.int64)
    hits = np.zeros((frames, count), dtype=np.bool_)
    positions = start.integers(room, size=(count, 2), endpoint=True).astype(np.float64)
    velocities = start.integers(-SPEED, SPEED, size=(count, 2), endpoint=True)
    for time in range(frames):
        corners[time] = np.rint(positions)
        if time + 1 == frames:
            break
        for number, position in enumerate(positions):
            hits[time + 1, number] = _fly(position, velocities[number], room, bounces)
    return Paths(corners, hits)


def _fly(position: np.ndarray, velocity: np.ndarray, room: int, bounces: np.random.Generator) -> bool:
    """Move for one frame, in place; whether there was a wall."""
    left, bounced = 1.0, False
    while True:
        goal = position + left * velocity
        outside = (goal < -NEAR) | (goal > room + NEAR)
        if not outside.any():
            position[:] = goal.clip(0, room)
            return bounced
        # When each axis meets its wall, as a share of a frame; those that stay inside never do.
        walls = np.where(velocity < 0, 0.0, float(room))
        when = np.full(2, np.inf)
        when[outside] = (walls - position)[outside] / velocity[outside]
        first = float(when.min())
        at_wall = outside & (when <= first + NEAR)
        position[:] = (position + first * velocity).clip(0, room)
        position[at_wall] = walls[at_wall]
        inwards = np.where(velocity < 0, 1, -1)
        drawn = bounces.integers(-SPEED, SPEED, size=2, endpoint=True)
        velocity[:] = np.where(at_wall, inwards * np.abs(drawn), drawn)
        left -= max(first, 0.0)
        bounced = True


DRAWN: dict[Protocol, Callable[[np.random.Generator, np.random.Generator, int, int], Paths]] = {
    "svg": draw_paths,
    "srvp": draw_exact_paths,
}
"""How paths are drawn, by protocol."""
