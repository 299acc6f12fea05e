"""Things that lie about on the table, or move across it, and have nothing to do with the task.

Nothing touches them. They are lower than puck and walls, which therefore hide them and are never hidden.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from envs.factors import Colour
from envs.push.scene import Scene

Array = NDArray[np.float64]
Shape = Literal["box", "bar", "disc"]


class Distractor(BaseModel):
    """One of these things. Where it lies, or which way it goes, follows from the scene."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Shape
    color: Colour
    moves: bool = False


_GEOM = mujoco.mjtGeom
SHAPES: dict[Shape, tuple[mujoco.mjtGeom, tuple[float, float, float]]] = {
    "box": (_GEOM.mjGEOM_BOX, (0.09, 0.09, 0.02)),
    "bar": (_GEOM.mjGEOM_BOX, (0.125, 0.03, 0.02)),
    "disc": (_GEOM.mjGEOM_CYLINDER, (0.10, 0.02, 0.0)),
}
"""MuJoCo's kind of geometry and its half sizes, table units."""
HEIGHT = -0.04
"""z of their middles."""
FROM_PUCK, FROM_WALL, FROM_EACH_OTHER = 0.30, 0.20, 0.30
"""Least distances of their middles from where pucks start or are to go, from walls and from those that came
before, table units."""
SPREAD = 1.0
"""Their middles lie within this distance of the table's middle, per axis."""
SWING = (0.1, 0.3)
"""How far those that move swing to either side, per axis, table units."""
PERIOD = (40.0, 80.0)
"""Control steps of a swing: they make 0.05 table units a step at most, half of what the finger can."""
DRAWS = 256
"""Courses drawn for each, of which the first that keeps all distances is taken."""


@dataclass(frozen=True)
class Course:
    """Where one of them is at any time: it swings about ``middle``; one that lies still has no ``swing``.

    ``swing``, ``period`` (control steps) and ``phase`` (radians) are per axis; ``angle`` (radians) is how it
    is turned.
    """

    middle: Array
    swing: Array
    period: Array
    phase: Array
    angle: float

    def at(self, steps: NDArray[np.integer]) -> Array:
        """Places ``[T, 2]`` after so many control steps ``[T]``."""
        turns = 2 * np.pi * np.asarray(steps)[:, None] / self.period + self.phase
        return self.middle + self.swing * np.sin(turns)


def draw_courses(distractors: Sequence[Distractor], scene: Scene) -> list[Course]:
    """A course for each; the same scene has the same ones.

    All of them stay clear of where the pucks start and are to go, of walls and of each other, if any of the
    courses drawn does; else the one is taken that comes closest to it.
    """
    rng = np.random.default_rng([*bytes.fromhex(scene.digest)[:16], 0xD157])
    courses: list[Course] = []
    for distractor in distractors:
        best, most = _draw(rng, distractor.moves), -np.inf
        for _ in range(DRAWS):
            course = _draw(rng, distractor.moves)
            room = _room(course, courses, scene)
            if room > most:
                best, most = course, room
            if room >= 0:
                break
        courses.append(best)
    return courses


def _draw(rng: np.random.Generator, moves: bool) -> Course:
    swing = rng.uniform(*SWING, size=2) if moves else np.zeros(2)
    return Course(
        middle=rng.uniform(-1.0, 1.0, size=2) * (SPREAD - swing),
        swing=swing,
        period=rng.uniform(*PERIOD, size=2),
        phase=rng.uniform(-np.pi, np.pi, size=2),
        angle=float(rng.uniform(-np.pi, np.pi)),
    )


def _room(course: Course, others: Sequence[Course], scene: Scene) -> float:
    """How much farther than it has to it stays from everything, at the worst moment of the episode."""
    steps = np.arange(scene.steps + 2) if course.swing.any() else np.zeros(1, dtype=int)
    places = course.at(steps)
    rooms = [
        np.linalg.norm(places - point, axis=1).min() - FROM_PUCK
        for errand in scene.errands
        for point in errand
    ]
    for wall in scene.walls:
        offset = places - wall.middle
        along = np.clip(offset @ wall.along, -wall.half_length, wall.half_length)
        rooms.append(np.linalg.norm(offset - along[:, None] * wall.along, axis=1).min() - FROM_WALL)
    rooms += [np.linalg.norm(places - other.at(steps), axis=1).min() - FROM_EACH_OTHER for other in others]
    return float(min(rooms))


def add_distractors(spec: mujoco.MjSpec, distractors: Sequence[Distractor]) -> None:
    """Add them to a scene, after all other bodies."""
    for number, distractor in enumerate(distractors):
        kind, size = SHAPES[distractor.shape]
        body = spec.worldbody.add_body(name=_name(number), mocap=True)
        body.add_geom(
            name=_name(number),
            type=kind,
            size=size,
            pos=[0.0, 0.0, HEIGHT],
            contype=0,
            conaffinity=0,
            rgba=[*distractor.color, 1.0],
        )


def place_distractors(
    model: mujoco.MjModel, data: mujoco.MjData, courses: Sequence[Course], step: int
) -> None:
    """Put them where they are after so many control steps."""
    for number, course in enumerate(courses):
        index = model.body(_name(number)).mocapid[0]
        data.mocap_pos[index] = [*course.at(np.array([step]))[0], 0.0]
        data.mocap_quat[index] = [np.cos(course.angle / 2), 0.0, 0.0, np.sin(course.angle / 2)]


def _name(number: int) -> str:
    return f"distractor_{number}"
