"""The pushing task without time: where things stand, how far the puck has to go, what it looks like.

Units and distance follow the KeyIn authors' environment: table +-1.2, a wall of length 0.8, puck and goal on
opposite sides of it. Which scenes are drawn is the matter of :mod:`envs.push.tasks`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from envs.push import arm
from envs.push.ids import PUSH_STEPS
from envs.push.staged.second_puck import SECOND_PUCK

Array = NDArray[np.float64]

TABLE = 1.2
PUCK_RADIUS = 0.12
WALL_HALF_LENGTH = 0.4
WALL_HALF_WIDTH = 0.02
LONGEST_HALF_LENGTH = 2 * WALL_HALF_LENGTH
"""A longer wall is two standard pieces that overlap."""
MOST_WALLS = 2

Point = tuple[float, float]
FINGER_CLEARANCE = PUCK_RADIUS + 0.05 + 0.03
"""Least distance of finger and puck centre at the start."""


@dataclass(frozen=True)
class Wall:
    """A wall: its middle (x, y), its direction in radians and half its length, in table units.

    Raises:
        ValueError: pieces of the standard length cannot make a wall of this length.
    """

    middle: tuple[float, float]
    angle: float
    half_length: float = WALL_HALF_LENGTH

    def __post_init__(self) -> None:
        if not WALL_HALF_LENGTH <= self.half_length <= LONGEST_HALF_LENGTH:
            raise ValueError(
                f"half_length must be {WALL_HALF_LENGTH} to {LONGEST_HALF_LENGTH}, got {self.half_length}"
            )

    @property
    def along(self) -> Array:
        """Unit vector along the wall."""
        return np.array([np.cos(self.angle), np.sin(self.angle)])

    def end_points(self, margin: float = PUCK_RADIUS) -> Array:
        """The two points ``[2, 2]`` on the wall's axis, ``margin`` beyond its ends."""
        return np.array(self.middle) + np.outer([-1.0, 1.0], self.along) * (self.half_length + margin)

    def blocks(self, start: Array, end: Array, margin: float = PUCK_RADIUS) -> bool:
        """Whether the straight line from ``start`` to ``end`` cuts the wall, lengthened by ``margin``."""
        along = self.along
        normal = np.array([-along[1], along[0]])
        a, b = np.asarray(start) - self.middle, np.asarray(end) - self.middle
        height_a, height_b = float(a @ normal), float(b @ normal)
        if height_a * height_b >= 0:
            return False
        share = height_a / (height_a - height_b)
        return bool(abs((a + share * (b - a)) @ along) < self.half_length + margin)


@dataclass(frozen=True)
class Scene:
    """One task, in table units. ``puck``, ``goal`` and ``finger`` are (x, y).

    ``walls`` are in the order in which the puck meets them; ``steps`` is the most control steps allowed.
    ``second`` is where a second puck stands and where it is to go, in scenes that have one.
    """

    walls: tuple[Wall, ...]
    puck: Point
    goal: Point
    finger: Point
    steps: int = PUSH_STEPS
    second: tuple[Point, Point] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.walls) <= MOST_WALLS:
            raise ValueError(f"a scene has 1 to {MOST_WALLS} walls, got {len(self.walls)}")

    @property
    def errands(self) -> tuple[tuple[Point, Point], ...]:
        """Of every puck, where it starts and where it is to go."""
        first = (self.puck, self.goal)
        return (first,) if self.second is None else (first, self.second)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the inverse of :meth:`from_json`.

        A scene with one wall of the standard length and the usual steps is written as it was when there were
        no others, so that the fingerprints of frozen episodes hold.
        """
        points: dict[str, Any] = {"puck": self.puck, "goal": self.goal, "finger": self.finger}
        if self.second is not None:
            points["second"] = self.second
        wall = self.walls[0]
        if (self.walls, self.steps, self.second) == ((Wall(wall.middle, wall.angle),), PUSH_STEPS, None):
            return {"wall": wall.middle, "wall_angle": wall.angle, **points}
        return {"walls": [asdict(wall) for wall in self.walls], "steps": self.steps, **points}

    @property
    def digest(self) -> str:
        """SHA-256 that names exactly this task."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Scene":
        """Read what :meth:`to_json` wrote."""
        puck, goal, finger = (tuple(values[name]) for name in ("puck", "goal", "finger"))
        if "wall" in values:
            return cls((Wall(tuple(values["wall"]), float(values["wall_angle"])),), puck, goal, finger)
        walls = tuple(
            Wall(tuple(wall["middle"]), float(wall["angle"]), float(wall["half_length"]))
            for wall in values["walls"]
        )
        second = values.get("second")
        if second is not None:
            second = (tuple(second[0]), tuple(second[1]))
        return cls(walls, puck, goal, finger, int(values["steps"]), second)


def blocked(scene: Scene, start: Array, end: Array, margin: float = PUCK_RADIUS) -> bool:
    """Whether a wall, lengthened by ``margin``, cuts the straight line from ``start`` to ``end``."""
    return any(wall.blocks(start, end, margin) for wall in scene.walls)


def is_free(scene: Scene, puck: Array, finger: Array) -> bool:
    """Whether a puck there touches neither walls nor rim nor finger."""
    if np.abs(puck).max() > TABLE - PUCK_RADIUS or np.linalg.norm(puck - finger) < FINGER_CLEARANCE:
        return False
    for wall in scene.walls:
        offset = puck - np.array(wall.middle)
        nearest = np.clip(offset @ wall.along, -wall.half_length, wall.half_length) * wall.along
        if np.linalg.norm(offset - nearest) < PUCK_RADIUS + WALL_HALF_WIDTH:
            return False
    return True


def path_length(scene: Scene, position: Array, goal: Point | None = None) -> float:
    """Shortest way of a puck's centre from ``position`` to ``goal`` (the scene's unless another is given)
    round the walls, in table units.

    KeyIn's planning metric (section 4.2): a wall counts as a segment, longer than it is by the puck's radius
    (half-length 0.52 for the standard wall). The way bends at wall ends only, and only at those where the
    puck fits between wall and rim.
    """
    nodes = [np.asarray(point, dtype=float) for point in (position, scene.goal if goal is None else goal)]
    ends = np.concatenate([wall.end_points() for wall in scene.walls])
    nodes += [end for end in ends if np.abs(end).max() <= TABLE - PUCK_RADIUS]
    remaining = np.full(len(nodes), np.inf)
    remaining[1] = 0.0
    legs = np.full((len(nodes), len(nodes)), np.inf)
    for i, j in combinations(range(len(nodes)), 2):
        # A hair less than the puck's radius, since a leg along a wall end must not count as cutting it.
        if not blocked(scene, nodes[i], nodes[j], PUCK_RADIUS - 1e-9):
            legs[i, j] = legs[j, i] = np.linalg.norm(nodes[i] - nodes[j])
    for _ in nodes:  # Bellman-Ford on at most six nodes
        remaining = np.minimum(remaining, (legs + remaining).min(axis=1))
    return float(remaining[0])


def free_finger(puck: Array) -> Array:
    """The middle of the table, or the nearest point to it that does not touch the puck."""
    distance = float(np.linalg.norm(puck))
    if distance >= FINGER_CLEARANCE:
        return np.zeros(2)
    away = -puck / distance if distance > 1e-9 else np.array([0.0, -1.0])
    return puck + FINGER_CLEARANCE * away


def distance_left(scene: Scene, positions: Sequence[Array]) -> float:
    """The longest way that a puck has still to go; ``positions`` are those of the pucks, ``[2]`` each.

    The longest, not the mean: then it is below a limit exactly when every puck is that near to its goal.
    """
    goals = (goal for _, goal in scene.errands)
    return max(path_length(scene, place, goal) for place, goal in zip(positions, goals, strict=True))


def place(
    model: mujoco.MjModel, data: mujoco.MjData, scene: Scene, pucks: Sequence[Point] | None = None
) -> None:
    """Reset ``data`` to the start of ``scene`` (with its pucks elsewhere if ``pucks`` are given), at rest."""
    mujoco.mj_resetData(model, data)
    angles = arm.inverse(np.array(scene.finger))
    starts = [start for start, _ in scene.errands] if pucks is None else pucks
    for where, start in zip(PUCKS, starts, strict=False):
        data.qpos[where] = start
    data.qpos[JOINTS] = angles
    data.ctrl[:] = angles
    pieces = [piece for wall in scene.walls for piece in _pieces(wall)]
    for index, (x, y, angle) in enumerate(pieces):
        data.mocap_pos[index] = [x, y, 0.0]
        data.mocap_quat[index] = [np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]
    data.mocap_pos[len(pieces) :] = OUT_OF_SIGHT
    mujoco.mj_forward(model, data)


def _pieces(wall: Wall) -> list[tuple[float, float, float]]:
    """Middle and angle of the standard pieces that make up a wall: one, or two that overlap."""
    shift = wall.half_length - WALL_HALF_LENGTH
    middles = [np.array(wall.middle) + sign * shift * wall.along for sign in ((-1, 1) if shift > 0 else (0,))]
    return [(float(x), float(y), wall.angle) for x, y in middles]


PUCK = slice(0, 2)
"""Puck x and y in ``qpos``."""
JOINTS = slice(2, 4)
"""Shoulder and elbow in ``qpos``."""
PUCKS = (PUCK, slice(4, 6))
"""x and y of every puck in ``qpos``."""
PUCK_NAMES = ("puck", SECOND_PUCK)
"""Bodies of the pucks."""
PIECES = ("wall", "wall_1", "wall_2", "wall_3")
"""Geoms of the pieces of wall, in the order of their mocap bodies."""
OUT_OF_SIGHT = (0.0, -20.0, 0.0)
"""Where pieces wait that a scene does not need."""
