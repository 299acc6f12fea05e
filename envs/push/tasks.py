"""Which pushing tasks there are, and how their scenes are drawn.

``push`` follows the KeyIn authors' environment: the wall at a random place, puck and goal in the cones either
side of it, mean shortest path 1.34, but the wall stands across the x axis. ``push-published`` draws them as
theirs does. The others are harder: :data:`TASKS` says how.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from envs.push.demonstrator import plan_pushes
from envs.push.ids import PUSH_STEPS, TIGHT_PUSH_STEPS, TWO_PUCKS_STEPS
from envs.push.scene import WALL_HALF_LENGTH, Scene, Wall, free_finger
from envs.push.staged.scenes import sample_corner, sample_two_pucks

Array = NDArray[np.float64]

WALL_TURN = np.deg2rad(20.0)
"""A single wall stands across the x axis, turned by at most this angle."""
PLACEMENT = 0.9
"""Puck and goal start within this distance of the table's middle, per axis."""
WALL_CLEARANCE = 0.2
"""Puck and goal start at least this far beside the wall (centre to wall axis)."""


@dataclass(frozen=True)
class Spread:
    """How far puck and goal may lie from where the wall is most in the way, and how long the wall is.

    ``cone`` is the largest angle (radians) between the wall's normal and the line from its middle to puck or
    goal, ``reach`` the least and largest length of that line in table units, ``half_length`` the least and
    largest half-length of the wall, ``turn`` the largest angle (radians) between its normal and the x axis.
    """

    cone: float
    reach: tuple[float, float]
    half_length: tuple[float, float] = (WALL_HALF_LENGTH, WALL_HALF_LENGTH)
    turn: float = WALL_TURN


AUTHORS_SPREAD = Spread(cone=np.pi / 4, reach=(0.2, 1.0))
"""As in the KeyIn authors' environment; demonstrations are drawn from it."""
PUBLISHED_SPREAD = replace(AUTHORS_SPREAD, turn=np.pi)
"""The same, with walls in every direction: their task itself."""
TASK_SPREAD = Spread(cone=np.deg2rad(35.0), reach=(0.2, 0.95))
"""Tasks keep to the inner part, at the same mean shortest path (1.34). Farther out a goal lies past the end
of the wall, and a servo without subgoals simply slides the puck round: it solved a third of the tasks."""
LONG_SPREAD = Spread(cone=np.deg2rad(25.0), reach=(0.5, 0.95), half_length=(0.5, 0.65))
"""Longer walls, start and goal far from them: mean shortest path 1.8."""
LONG_DEMONSTRATION_SPREAD = Spread(cone=np.pi / 4, reach=(0.3, 1.0), half_length=(0.4, 0.65))
"""Around the long tasks, so that they are not at the edge of what is demonstrated."""


def sample_scene(rng: np.random.Generator, spread: Spread = TASK_SPREAD) -> Scene:
    """Draw a task: the wall 0.05 to 0.5 from the middle, puck and goal in the cones either side of it.

    Both lie beside the wall; the straight line between them crosses it.
    """
    while True:
        heading = rng.choice([0.0, np.pi]) + rng.uniform(-spread.turn, spread.turn)
        normal = np.array([np.cos(heading), np.sin(heading)])
        along = np.array([-normal[1], normal[0]])
        wall = rng.uniform(0.05, 0.5) * normal
        side = rng.choice([-1.0, 1.0])
        angles = rng.uniform(-spread.cone, spread.cone, size=2)
        radii = rng.uniform(*spread.reach, size=2)
        shortest, longest = spread.half_length
        half_length = rng.uniform(shortest, longest) if shortest < longest else shortest
        depth, shift = radii * np.cos(angles) * [side, -side], radii * np.sin(angles)
        puck, goal = wall + depth[:, None] * normal + shift[:, None] * along
        crossing = shift[0] + (shift[1] - shift[0]) * depth[0] / (depth[0] - depth[1])
        if _on_table(puck, goal) and abs(crossing) < half_length and np.abs(depth).min() >= WALL_CLEARANCE:
            return _scene([Wall(_point(wall), float(heading + np.pi / 2), float(half_length))], puck, goal)


def sample_two_walls(rng: np.random.Generator) -> Scene:
    """Draw a task with two walls that the puck has to pass in an S: round one end, back, round the other.

    The walls are parallel, 0.5 to 0.7 apart; each leaves one gap to the rim that the puck fits through, on
    opposite sides. Puck and goal are on the far sides, away from the gaps.
    """
    while True:
        heading = rng.choice([0.0, np.pi]) + rng.uniform(-0.5, 0.5) * WALL_TURN
        normal = np.array([np.cos(heading), np.sin(heading)])
        along = np.array([-normal[1], normal[0]]) * rng.choice([-1.0, 1.0])
        middle = rng.uniform(-0.08, 0.08, size=2)
        gap, shift = rng.uniform(0.5, 0.7), rng.uniform(0.47, 0.55)
        angle = float(np.arctan2(along[1], along[0]))
        first = middle - gap / 2 * normal + shift * along
        second = middle + gap / 2 * normal - shift * along
        depth = gap / 2 + rng.uniform(WALL_CLEARANCE, 0.4, size=2)
        sideways = rng.uniform(-0.2, 0.6, size=2)
        puck = middle - depth[0] * normal + sideways[0] * along
        goal = middle + depth[1] * normal - sideways[1] * along
        walls = [Wall(_point(first), angle, 0.65), Wall(_point(second), angle, 0.65)]
        scene = _scene(walls, puck, goal)
        if _on_table(puck, goal) and all(wall.blocks(puck, goal) for wall in scene.walls):
            return scene


def _on_table(*points: Array) -> bool:
    return bool(max(np.abs(point).max() for point in points) < PLACEMENT)


def _point(values: Array) -> tuple[float, float]:
    return (float(values[0]), float(values[1]))


def _scene(walls: list[Wall], puck: Array, goal: Array) -> Scene:
    return Scene(tuple(walls), _point(puck), _point(goal), _point(free_finger(puck)))


Sample = Callable[[np.random.Generator], Scene]
"""Draws a scene."""


def draw_sampler(rng: np.random.Generator) -> Sample:
    """What a demonstration is to be about: half of them standard, the others a longer wall or two walls."""
    kind = rng.random()
    if kind < 0.5:
        return lambda rng: sample_scene(rng, AUTHORS_SPREAD)
    if kind < 0.7:
        return lambda rng: sample_scene(rng, LONG_DEMONSTRATION_SPREAD)
    return sample_two_walls


def sample_published(rng: np.random.Generator) -> Scene:
    """Draw a task as the KeyIn authors' environment does: the wall in any direction."""
    return sample_scene(rng, PUBLISHED_SPREAD)


@dataclass(frozen=True)
class Task:
    """A pushing task: what is hard about it, how a scene is drawn, how many control steps it allows, and how
    many pucks have somewhere to go.
    """

    what: str
    sample: Sample
    steps: int = PUSH_STEPS
    pucks: Literal[1, 2] = 1
    staged: bool = False
    """Whether its demonstrations are those of :mod:`envs.push.staged`."""

    def draw(self, rng: np.random.Generator) -> Scene:
        """A scene, with this task's steps."""
        return replace(self.sample(rng), steps=self.steps)


def _sample_long(rng: np.random.Generator) -> Scene:
    return _solvable(lambda: sample_scene(rng, LONG_SPREAD))


def _sample_two_walls(rng: np.random.Generator) -> Scene:
    return _solvable(lambda: sample_two_walls(rng))


def _solvable(draw: Callable[[], Scene]) -> Scene:
    """The first scene drawn for which the demonstrator has a plan."""
    while True:
        scene = draw()
        rng = np.random.default_rng(list(bytes.fromhex(scene.digest)[:16]))
        if any(plan_pushes(scene, rng, PUSH_STEPS) is not None for _ in range(SOLVABLE_DRAWS)):
            return scene


SOLVABLE_DRAWS = 50
"""Plans tried before a scene is given up."""

TASKS = MappingProxyType(
    {
        "push": Task("as in the KeyIn paper", sample_scene),
        "push-long": Task("a longer wall, start and goal far from it", _sample_long),
        "push-two-walls": Task("two walls to be passed in an S", _sample_two_walls),
        "push-tight": Task("fewer steps", sample_scene, TIGHT_PUSH_STEPS),
        "push-corner": Task("out of an L and back, by another contact face", sample_corner, staged=True),
        "push-two-pucks": Task(
            "a second puck has to leave the only gap before the first can pass",
            sample_two_pucks,
            TWO_PUCKS_STEPS,
            pucks=2,
            staged=True,
        ),
        "push-published": Task("the KeyIn paper's own scenes, the wall in any direction", sample_published),
    }
)
SINGLE = tuple(name for name, task in TASKS.items() if task.pucks == 1)
"""Those where one object is moved."""


def find_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        ValueError: there is no such task.
    """
    if name not in TASKS:
        raise ValueError(f"no task {name!r}; there are: {', '.join(TASKS)}")
    return TASKS[name]
