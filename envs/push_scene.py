"""The pushing task without time: where things stand, how far the puck has to go, what it looks like.

Units, scenes and distance follow the KeyIn authors' environment: table +-1.2, wall of length 0.8 at a random
place, puck and goal on opposite sides of it, mean shortest path 1.34. Their wall may point in any direction.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from envs import arm

Array = NDArray[np.float64]

TABLE = 1.2
PUCK_RADIUS = 0.12
WALL_HALF_LENGTH = 0.4
DETOUR_HALF_LENGTH = WALL_HALF_LENGTH + PUCK_RADIUS
"""The puck's centre has to pass the wall at this distance from its middle."""
WALL_TURN = np.deg2rad(20.0)
"""The wall stands across the x axis, turned by at most this angle."""
PLACEMENT = 0.9
"""Puck and goal start within this distance of the table's middle, per axis."""
WALL_CLEARANCE = 0.2
"""Puck and goal start at least this far beside the wall (centre to wall axis)."""
FINGER_CLEARANCE = PUCK_RADIUS + 0.05 + 0.03

Channel = Annotated[float, Field(ge=0, le=1)]
Colour = tuple[Channel, Channel, Channel]


@dataclass(frozen=True)
class Scene:
    """One task, in table units and radians. ``puck``, ``goal`` and ``finger`` are (x, y)."""

    wall: tuple[float, float]
    wall_angle: float
    puck: tuple[float, float]
    goal: tuple[float, float]
    finger: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the inverse of :meth:`from_json`."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """SHA-256 that names exactly this task."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Scene":
        """Read what :meth:`to_json` wrote."""
        points = {name: tuple(values[name]) for name in ("wall", "puck", "goal", "finger")}
        return cls(wall_angle=float(values["wall_angle"]), **points)


class Variation(BaseModel):
    """Factors of variation of the pushing environment; the defaults are the training distribution."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    puck_color: Colour = (0.80, 0.12, 0.75)
    wall_color: Colour = (0.16, 0.33, 0.78)
    table_color: Colour = (0.42, 0.30, 0.20)
    light: float = Field(1.0, gt=0, le=2, description="factor on every light's intensity")
    camera_pitch: float = Field(0.0, ge=-10, le=10, description="degrees added to the camera's pitch")
    puck_radius: float = Field(1.0, ge=0.8, le=1.2, description="factor on the puck's radius")
    friction: float = Field(1.0, gt=0, le=4, description="factor on the table's resistance to the puck")


def wall_end_points(scene: Scene) -> Array:
    """The two points ``[2, 2]`` round which a shortest path may bend."""
    along = np.array([np.cos(scene.wall_angle), np.sin(scene.wall_angle)])
    return np.array(scene.wall) + np.outer([-1.0, 1.0], along) * DETOUR_HALF_LENGTH


def crosses_wall(scene: Scene, start: Array, end: Array, half_length: float = DETOUR_HALF_LENGTH) -> bool:
    """Whether the straight line from ``start`` to ``end`` cuts the wall, taken with ``half_length``."""
    along = np.array([np.cos(scene.wall_angle), np.sin(scene.wall_angle)])
    normal = np.array([-along[1], along[0]])
    a, b = np.asarray(start) - scene.wall, np.asarray(end) - scene.wall
    height_a, height_b = float(a @ normal), float(b @ normal)
    if height_a * height_b >= 0:
        return False
    share = height_a / (height_a - height_b)
    return bool(abs((a + share * (b - a)) @ along) < half_length)


def path_length(scene: Scene, position: Array) -> float:
    """Shortest way of the puck's centre from ``position`` to the goal round the wall, in table units.

    KeyIn's planning metric (section 4.2): the wall counts as a segment of half-length 0.52.
    """
    position, goal = np.asarray(position, dtype=float), np.asarray(scene.goal)
    if not crosses_wall(scene, position, goal):
        return float(np.linalg.norm(goal - position))
    ends = wall_end_points(scene)
    legs = np.linalg.norm(ends - position, axis=1) + np.linalg.norm(goal - ends, axis=1)
    return float(legs.min())


@dataclass(frozen=True)
class Spread:
    """How far puck and goal may lie from where the wall is most in the way.

    ``cone`` is the largest angle (radians) between the wall's normal and the line from its middle to puck or
    goal, ``reach`` the largest length of that line in table units.
    """

    cone: float
    reach: float


AUTHORS_SPREAD = Spread(cone=np.pi / 4, reach=1.0)
"""As in the KeyIn authors' environment; demonstrations are drawn from it."""
TASK_SPREAD = Spread(cone=np.deg2rad(35.0), reach=0.95)
"""Tasks keep to the inner part, at the same mean shortest path (1.34). Farther out a goal lies past the end
of the wall, and a servo without subgoals simply slides the puck round: it solved a third of the tasks."""


def sample_scene(rng: np.random.Generator, spread: Spread = TASK_SPREAD) -> Scene:
    """Draw a task: the wall 0.05 to 0.5 from the middle, puck and goal in the cones either side of it.

    Each lies at least 0.2 from the wall's middle and beside the wall; the straight line between them
    crosses it.
    """
    while True:
        heading = rng.choice([0.0, np.pi]) + rng.uniform(-WALL_TURN, WALL_TURN)
        normal = np.array([np.cos(heading), np.sin(heading)])
        along = np.array([-normal[1], normal[0]])
        wall = rng.uniform(0.05, 0.5) * normal
        side = rng.choice([-1.0, 1.0])
        angles = rng.uniform(-spread.cone, spread.cone, size=2)
        radii = rng.uniform(0.2, spread.reach, size=2)
        depth, shift = radii * np.cos(angles) * [side, -side], radii * np.sin(angles)
        puck, goal = wall + depth[:, None] * normal + shift[:, None] * along
        crossing = shift[0] + (shift[1] - shift[0]) * depth[0] / (depth[0] - depth[1])
        on_table = max(np.abs(puck).max(), np.abs(goal).max()) < PLACEMENT
        if on_table and abs(crossing) < WALL_HALF_LENGTH and np.abs(depth).min() >= WALL_CLEARANCE:
            break
    finger = _free_finger(puck)
    return Scene(
        wall=(float(wall[0]), float(wall[1])),
        wall_angle=float(heading + np.pi / 2),
        puck=(float(puck[0]), float(puck[1])),
        goal=(float(goal[0]), float(goal[1])),
        finger=(float(finger[0]), float(finger[1])),
    )


def _free_finger(puck: Array) -> Array:
    """The middle of the table, or the nearest point to it that does not touch the puck."""
    distance = float(np.linalg.norm(puck))
    if distance >= FINGER_CLEARANCE:
        return np.zeros(2)
    away = -puck / distance if distance > 1e-9 else np.array([0.0, -1.0])
    return puck + FINGER_CLEARANCE * away


def build_model(variation: Variation | None = None, image_size: int = 64) -> mujoco.MjModel:
    """Compile the pushing scene with the given factors of variation."""
    variation = variation or Variation()
    spec = mujoco.MjSpec.from_file(str(Path(__file__).with_name("push.xml")))
    spec.visual.global_.offwidth = spec.visual.global_.offheight = image_size
    for name, colour in (
        ("puck_visual", variation.puck_color),
        ("wall", variation.wall_color),
        ("table", variation.table_color),
    ):
        spec.geom(name).rgba = [*colour, 1.0]
    for name in ("puck", "puck_visual"):
        spec.geom(name).size[0] *= variation.puck_radius
    for name in ("puck_x", "puck_y"):
        joint = spec.joint(name)
        joint.damping = np.asarray(joint.damping) * variation.friction
        joint.frictionloss *= variation.friction
    model = spec.compile()
    model.light_diffuse *= variation.light
    model.vis.headlight.ambient[:] *= variation.light
    model.vis.headlight.diffuse[:] *= variation.light
    pitch = np.deg2rad(variation.camera_pitch) / 2
    mujoco.mju_mulQuat(
        model.cam_quat[0], model.cam_quat[0].copy(), np.array([np.cos(pitch), np.sin(pitch), 0.0, 0.0])
    )
    return model


def place(
    model: mujoco.MjModel, data: mujoco.MjData, scene: Scene, puck: tuple[float, float] | None = None
) -> None:
    """Reset ``data`` to the start of ``scene`` (with the puck elsewhere if ``puck`` is given), at rest."""
    mujoco.mj_resetData(model, data)
    angles = arm.inverse(np.array(scene.finger))
    data.qpos[PUCK] = scene.puck if puck is None else puck
    data.qpos[JOINTS] = angles
    data.ctrl[:] = angles
    data.mocap_pos[0] = [*scene.wall, 0.0]
    data.mocap_quat[0] = [np.cos(scene.wall_angle / 2), 0.0, 0.0, np.sin(scene.wall_angle / 2)]
    mujoco.mj_forward(model, data)


PUCK = slice(0, 2)
"""Puck x and y in ``qpos``."""
JOINTS = slice(2, 4)
"""Shoulder and elbow in ``qpos``."""
