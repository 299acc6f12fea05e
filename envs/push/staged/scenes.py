"""Scenes in which order and moment count.

``push-corner``: two walls make an L; the puck stands inside it and has to get past the end of one arm to a
goal behind that arm. It is pushed along the arm by one face, then from another face round the end.

``push-two-pucks``: a wall across the table with one gap, and the second puck stands in the gap. It has to be
drawn back to the side from which the puck comes before the puck can pass. Pushed through the gap by the puck,
it would end on the wrong side.
"""

import numpy as np
from numpy.typing import NDArray

from envs.push.scene import FINGER_CLEARANCE, Point, Scene, Wall, blocked, free_finger

Array = NDArray[np.float64]

TURN = np.deg2rad(10.0)
"""Scenes are turned by at most this angle, and mirrored."""
WIDEST = 0.95
"""Pucks and goals lie within this distance of the table's middle, per axis."""


def sample_corner(rng: np.random.Generator) -> Scene:
    """Draw an L of two walls; the goal is behind the arm that leaves a way past its end."""
    while True:
        frame = _Frame(rng)
        half = rng.uniform(0.4, 0.5)
        joint = np.array([rng.uniform(-0.1, 0.3), rng.uniform(-0.75, -0.6)])
        tip = joint[1] + 2 * half
        puck = np.array([joint[0] - rng.uniform(0.25, 0.7), rng.uniform(joint[1] + 0.25, tip - 0.35)])
        goal = np.array([joint[0] + rng.uniform(0.2, 0.6), rng.uniform(joint[1] - 0.2, tip - 0.35)])
        floor = frame.wall(joint - np.array([0.7, 0.0]), [1.0, 0.0], 0.7)
        arm = frame.wall(joint + np.array([0.0, half]), [0.0, 1.0], half)
        scene = frame.scene((floor, arm), puck, goal)
        if _on_table(scene) and blocked(scene, np.array(scene.puck), np.array(scene.goal)):
            return scene


def sample_two_pucks(rng: np.random.Generator) -> Scene:
    """Draw a wall with a gap, the second puck in it; the puck's way leads through the gap and back again."""
    while True:
        frame = _Frame(rng)
        gap = np.array([rng.uniform(-0.15, 0.15), rng.uniform(-0.35, 0.0)])
        width = rng.uniform(0.42, 0.46)
        walls = tuple(
            frame.wall(gap + np.array([0.0, side * (width / 2 + 0.6)]), [0.0, 1.0], 0.6)
            for side in (1.0, -1.0)
        )
        puck = gap + np.array([-rng.uniform(0.32, 0.5), rng.uniform(0.5, 0.75)])
        goal = gap + np.array([rng.uniform(0.32, 0.5), rng.uniform(0.5, 0.75)])
        aside = rng.uniform(0.3, 1.1)
        away = gap + rng.uniform(0.4, 0.5) * np.array([-np.cos(aside), -np.sin(aside)])
        scene = frame.scene(walls, puck, goal, (gap, away))
        if _on_table(scene) and _passes(scene):
            return scene


def _passes(scene: Scene) -> bool:
    """Whether the puck passes the second one where that is to go, and does not stand in its way."""
    assert scene.second is not None
    gap, away = (np.array(point) for point in scene.second)
    puck, finger = np.array(scene.puck), np.array(scene.finger)
    clear = float(np.linalg.norm(puck - finger)) > FINGER_CLEARANCE
    return clear and _gap_between(puck, gap, away) > 0.28 and _gap_between(gap, away, puck) > 0.3


def _gap_between(start: Array, end: Array, point: Array) -> float:
    """Distance of a point from the segment between two others."""
    along = end - start
    share = np.clip((point - start) @ along / (along @ along), 0.0, 1.0)
    return float(np.linalg.norm(point - start - share * along))


class _Frame:
    """Turned and mirrored axes, drawn at random, in which a scene is laid out."""

    def __init__(self, rng: np.random.Generator) -> None:
        heading = rng.choice([0.0, np.pi]) + rng.uniform(-TURN, TURN)
        across = np.array([np.cos(heading), np.sin(heading)])
        self._axes = np.stack([across, rng.choice([-1.0, 1.0]) * np.array([-across[1], across[0]])])

    def wall(self, middle: Array, along: list[float], half_length: float) -> Wall:
        x, y = np.array(along) @ self._axes
        return Wall(self._point(middle), float(np.arctan2(y, x)), float(half_length))

    def scene(
        self,
        walls: tuple[Wall, ...],
        puck: Array,
        goal: Array,
        second: tuple[Array, Array] | None = None,
    ) -> Scene:
        finger = free_finger((puck if second is None else second[0]) @ self._axes)
        errand = None if second is None else (self._point(second[0]), self._point(second[1]))
        return Scene(
            walls,
            self._point(puck),
            self._point(goal),
            (float(finger[0]), float(finger[1])),
            second=errand,
        )

    def _point(self, values: Array) -> Point:
        x, y = values @ self._axes
        return float(x), float(y)


def _on_table(scene: Scene) -> bool:
    return bool(np.abs(np.array(scene.errands)).max() < WIDEST)
