"""Reads a scene off pictures of it: where finger, puck, goal and walls are on the table.

Colours give a first guess. Then the environment draws what was guessed, and the guess is moved until the
drawing agrees with the picture (Gauss-Newton steps, damped as by Levenberg). That allows for all the camera
does: perspective, heights, and the arm that hides what lies under it.
"""

from collections.abc import Generator, Iterator
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from envs.push import arm
from envs.push.env import CAMERA, PushEnv
from envs.push.scene import (
    LONGEST_HALF_LENGTH,
    MOST_WALLS,
    PUCK_RADIUS,
    TABLE,
    WALL_HALF_LENGTH,
    Scene,
    Wall,
    place,
)
from envs.rendering import Projection
from world_models.frames import Picture

Array = NDArray[np.float64]
Labels = NDArray[np.intp]
T = TypeVar("T")
Reading = Generator[None, None, T]
"""Comes to rest now and then, as reading takes a few tenths of a second."""

LARGEST_DIFFERENCE = 0.06
"""Between a start picture and its drawing: root mean square over pixels and channels in [0, 1]."""
_THINGS = ("puck_visual", "wall", "fore")
_PUCK, _WALL, _ARM = range(len(_THINGS))
_NUDGE = 0.01
"""Table units or radians between the drawings that a slope is taken from: a quarter of a pixel."""
_STEPS = 20
_MOST_PIXELS = 200
"""Pixels of wall that lines are drawn through; two of the longest walls have as many."""


def read_scene(env: PushEnv, start: Picture, goal: Picture) -> Scene:
    """The scene that two pictures ``[H, W, 3]`` show; in the goal picture only the puck matters.

    Pictures have the environment's size. It draws the guesses, which ends the episode it is in.

    Raises:
        NoScene: the start picture lacks puck, arm or wall or looks like no scene; the goal picture lacks
            the puck.
    """
    reading = scene_reading(env, start, goal)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            scene: Scene = end.value
            return scene


def scene_reading(env: PushEnv, start: Picture, goal: Picture) -> Reading[Scene]:
    """The same in pieces; see :func:`read_scene`."""
    reader = _Reader(env)
    found = yield from reader.read_start(start)
    puck, finger, walls = found[:2], found[2:4], _walls(found)
    walls.sort(key=lambda wall: float(np.linalg.norm(puck - wall.middle)))
    there = yield from reader.read_goal(goal, found)
    return Scene(tuple(walls), _point(puck), _point(there), _point(finger))


class NoScene(ValueError):
    """A picture, ``start`` or ``goal``, does not show what it must."""

    def __init__(self, picture: Literal["start", "goal"], problem: str) -> None:
        super().__init__(f"the {picture} picture {problem}")
        self.picture = picture


class _Reader:
    """Looks at pictures of one environment.

    What it finds is a vector ``[4 + 4 W]``: puck x and y, finger x and y, and of every wall x and y of the
    middle, angle and half-length.
    """

    def __init__(self, env: PushEnv) -> None:
        self._env = env
        size = env.observation_space.shape[0]  # type: ignore[index]
        self._project = Projection(env.model, CAMERA, size)
        self._pixels = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).astype(float)
        middle, aside = self._project(np.array([[0.0, 0.0], [1.0, 0.0]]), 0.0)
        self._scale = float(np.linalg.norm(aside - middle))
        self._colours = np.array([env.model.geom(name).rgba[:3] for name in ("table", *_THINGS)])

    def read_start(self, picture: Picture) -> Reading[Array]:
        """What the start picture shows. Raises NoScene."""
        labels = self._label(picture)
        puck, finger, walls = self._find_puck(labels), self._find_finger(labels), [*self._find_walls(labels)]
        for what, missing in (("puck", puck is None), ("arm", finger is None), ("wall", not walls)):
            if missing:
                raise NoScene("start", f"shows no {what}")
        guess = np.concatenate([puck, finger, *walls])
        found = yield from self._fit(picture, guess, free=len(guess))
        difference = float(np.sqrt(np.square(self._difference(found, picture)).mean()))
        if difference > LARGEST_DIFFERENCE:
            raise NoScene(
                "start",
                f"looks like no scene: the nearest one differs by {difference:.3f} "
                f"(root mean square, channels in [0, 1]), at most {LARGEST_DIFFERENCE} is allowed",
            )
        return found

    def read_goal(self, picture: Picture, start: Array) -> Reading[Array]:
        """Where the puck is in the goal picture of a scene whose start is known. Raises NoScene."""
        labels = self._label(picture)
        puck, finger = self._find_puck(labels), self._find_finger(labels)
        if puck is None:
            raise NoScene("goal", "shows no puck")
        guess = np.concatenate([puck, start[2:4] if finger is None else finger, start[4:]])
        found = yield from self._fit(picture, guess, free=4)
        return found[:2]

    def _label(self, picture: Picture) -> Labels:
        """For each pixel the thing that covers a third of it or more, else -1.

        A pixel is taken for a mixture of the table's colour, by far the most frequent one, and one thing's.
        """
        table = np.median(picture.reshape(-1, 3), axis=0)
        light = table / self._colours[0]
        ways = np.clip(self._colours[1:] * light, 0, 255) - table
        shares = np.clip((picture - table) @ ways.T / (1 + np.square(ways).sum(1)), 0, 1)
        misses = np.linalg.norm(picture[..., None, :] - table - shares[..., None] * ways, axis=-1)
        labels = misses.argmin(-1)
        share = np.take_along_axis(shares, labels[..., None], -1)[..., 0]
        return np.where(share < 1 / 3, -1, labels)

    def _find_puck(self, labels: Labels) -> Array | None:
        mask = labels == _PUCK
        if mask.sum() < np.pi * (PUCK_RADIUS * self._scale) ** 2 / 4:
            return None
        return self._project.plane(self._pixels[mask].mean(0), 0.0)

    def _find_finger(self, labels: Labels) -> Array | None:
        """Of a grid of places the one whose arm agrees best with the pixels that look like an arm."""
        mask = (labels == _ARM)[::2, ::2].ravel()
        pixels = self._pixels[::2, ::2].reshape(-1, 2)
        places = np.linspace(-arm.REACH, arm.REACH, 24)
        fingers = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
        joints = arm.inverse(fingers)
        elbows = arm.BASE + arm.LINK * np.stack([np.cos(joints[:, 0]), np.sin(joints[:, 0])], axis=-1)
        height = float(self._env.model.geom("fore").pos[2])
        radius = float(self._env.model.geom("fore").size[0]) * self._scale
        bends = [np.broadcast_to(arm.BASE, elbows.shape), elbows, fingers]
        base, elbow, tip = (self._project(points, height) for points in bends)
        covered = _near(pixels, base, elbow, radius) | _near(pixels, elbow, tip, radius)
        both, either = (covered & mask).sum(1), (covered | mask).sum(1)
        best = int((both / np.maximum(either, 1)).argmax())
        return fingers[best] if both[best] > covered[best].sum() / 2 else None

    def _find_walls(self, labels: Labels) -> Iterator[Array]:
        """Middle, angle and half-length of straight rows of wall pixels, most pixels first."""
        pixels = self._pixels[labels == _WALL]
        pixels = pixels[:: len(pixels) // _MOST_PIXELS + 1]
        points = self._project.plane(pixels, float(self._env.model.geom("wall").pos[2]))
        for _ in range(MOST_WALLS):
            if len(points) < WALL_HALF_LENGTH * self._scale:
                return
            first, second = np.array([*combinations(range(len(points)), 2)]).T
            along = points[second] - points[first]
            along /= np.linalg.norm(along, axis=1, keepdims=True)
            offsets = points[None] - points[first][:, None]
            near = np.abs(along[:, :1] * offsets[..., 1] - along[:, 1:] * offsets[..., 0]) < 1.5 / self._scale
            best = int(near.sum(1).argmax())
            inside, along = points[near[best]], along[best]
            ends = (inside @ along).min(), (inside @ along).max()
            across = inside.mean(0) - along * (inside.mean(0) @ along)
            half = np.clip((ends[1] - ends[0]) / 2, WALL_HALF_LENGTH, LONGEST_HALF_LENGTH)
            yield np.array([*(across + along * sum(ends) / 2), np.arctan2(along[1], along[0]), half])
            points = points[~near[best]]

    def _fit(self, picture: Picture, guess: Array, free: int) -> Reading[Array]:
        """Move the first ``free`` numbers of a guess until its drawing agrees best with the picture."""
        found, damping = self._clip(guess), 1e-3
        difference = self._difference(found, picture)
        for _ in range(_STEPS):
            yield
            nudges = _NUDGE * np.eye(len(guess))[:free]
            slopes = np.stack(
                [
                    self._difference(found + nudge, picture) - self._difference(found - nudge, picture)
                    for nudge in nudges
                ]
            ) / (2 * _NUDGE)
            normal, pull = slopes @ slopes.T, slopes @ difference
            step = np.zeros(len(guess))
            step[:free] = np.linalg.solve(normal + (1e-6 + damping * normal.diagonal()) * np.eye(free), pull)
            moved = self._clip(found - step)
            changed = self._difference(moved, picture)
            if np.square(changed).sum() < np.square(difference).sum():
                found, difference, damping = moved, changed, damping / 10
            elif damping > 10:
                break
            else:
                damping *= 10
        return found

    def _difference(self, values: Array, picture: Picture) -> Array:
        """What the drawing has more than the picture, flat, channels in [0, 1]."""
        values = self._clip(values)
        puck, finger = _point(values[:2]), _point(values[2:4])
        place(self._env.model, self._env.data, Scene(tuple(_walls(values)), puck, puck, finger))
        return ((self._env.render().astype(float) - picture) / 255).ravel()

    def _clip(self, values: Array) -> Array:
        """What can be drawn and be true."""
        walls = len(values) // 4 - 1
        most = [TABLE - PUCK_RADIUS] * 2 + [TABLE] * 2 + [TABLE, TABLE, np.inf, LONGEST_HALF_LENGTH] * walls
        least = [-bound for bound in most[:4]] + [-TABLE, -TABLE, -np.inf, WALL_HALF_LENGTH] * walls
        return np.clip(values, least, most)


def _walls(values: Array) -> list[Wall]:
    rows = values[4:].reshape(-1, 4)
    return [Wall((float(x), float(y)), float(angle % np.pi), float(half)) for x, y, angle, half in rows]


def _point(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _near(points: Array, a: Array, b: Array, radius: float) -> NDArray[np.bool_]:
    """Whether points ``[P, 2]`` are within a radius of segments from a to b, each ``[S, 2]``: ``[S, P]``."""
    (x, y), (along_x, along_y) = (points - a[:, None]).transpose(2, 0, 1), (b - a).T[..., None]
    share = np.clip((x * along_x + y * along_y) / (along_x**2 + along_y**2), 0.0, 1.0)
    return np.asarray((x - share * along_x) ** 2 + (y - share * along_y) ** 2 < radius**2)
