"""``waymark/Push-v0``: a two-link arm pushes a puck round a wall to where the goal picture shows it."""

from functools import cache
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.factors import Colour
from envs.push import arm
from envs.push.scene import JOINTS, PUCK, PUCKS, Scene, distance_left, place
from envs.push.tasks import find_task
from envs.push.variation.distractors import Course, draw_courses, place_distractors
from envs.push.variation.factors import STANDARD, Variation
from envs.push.variation.model import CAMERA as CAMERA
from envs.push.variation.model import build_model
from envs.rendering import Projection, Renderer
from world_models.segmenter import PUCK_GOAL

SUCCESS = 0.30
"""Shortest-path distance (table units) below which the puck counts as delivered."""
STRICT_SUCCESS = 0.15
PUCK_PIXELS: Colour = PUCK_GOAL.segmenter.color
"""The default puck as the camera sees it (its colour under the scene's light), RGB in [0, 1]."""
STATE = mujoco.mjtState.mjSTATE_INTEGRATION

Info = dict[str, Any]


@cache
def standard_view(size: int) -> Projection:
    """Pixels of the camera where it stands for the training data, in pictures of side ``size``.

    Pictures of a camera that was turned are brought to this view before anybody measures in them.
    """
    return Projection(build_model(), CAMERA, size)


class PushEnv(gymnasium.Env[NDArray[np.uint8], NDArray[np.float64]]):
    """Push the puck round the wall to the goal.

    Action: finger displacement ``[2]`` in [-1, 1], times :data:`envs.push.arm.STEP` table units.
    Observation: RGB picture ``[image_size, image_size, 3]`` uint8 from a fixed steep camera.
    Reward: minus the shortest-path distance of the puck to the goal, in table units; the
    longer one of two pucks.

    ``reset`` puts the goal picture into ``info["goal"]``; ``step`` puts ``info["success"]`` (distance below
    0.30), ``info["strict_success"]`` (below 0.15) and ``info["distance"]``. ``info["state"]`` holds the true
    positions and is meant for evaluation, never for a planner. The episode does not end by itself on
    success: leaving the puck at the goal is part of the task. It is truncated after the
    steps of its task.

    ``variation`` says how the world differs from the one of training; what moves or flickers there follows
    from scene and step. The goal picture is as if taken one step after the episode.

    ``task`` is one of :data:`envs.push.tasks.TASKS`; ``reset`` draws its scenes, and
    ``reset(options={"scene": scene})`` starts a given :class:`~envs.push.scene.Scene`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        variation: Variation | None = None,
        image_size: int = 64,
        render_mode: str | None = "rgb_array",
        task: str = "push",
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be 'rgb_array' or None, not {render_mode!r}")
        self.render_mode = render_mode
        self.task = find_task(task)
        self._variation = variation or STANDARD
        self.model = build_model(variation, image_size, self.task.pucks)
        self.data = mujoco.MjData(self.model)
        self.action_space = spaces.Box(-1.0, 1.0, shape=(2,), dtype=np.float64)
        self.observation_space = spaces.Box(0, 255, shape=(image_size, image_size, 3), dtype=np.uint8)
        self._renderer = Renderer(self.model, CAMERA, image_size)
        self._scene: Scene | None = None
        self._courses: list[Course] = []
        self._seed: list[int] = []

    @property
    def scene(self) -> Scene:
        """The task of the running episode."""
        if self._scene is None:
            raise RuntimeError("call reset() before using the environment")
        return self._scene

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start a new task drawn with ``seed``, or the one in ``options["scene"]``."""
        super().reset(seed=seed)
        unknown = set(options or {}) - {"scene"}
        if unknown:
            raise ValueError(f"unknown reset options {sorted(unknown)}; the only option is 'scene'")
        scene = (options or {}).get("scene")
        if scene is not None and not isinstance(scene, Scene):
            raise TypeError(f"options['scene'] must be an envs.push.scene.Scene, not {type(scene).__name__}")
        scene = self.task.draw(self.np_random) if scene is None else scene
        self.start(scene)
        goal = self._goal_picture()
        place(self.model, self.data, scene)
        return self.render(), {"goal": goal, **self._info()}

    def start(self, scene: Scene) -> None:
        """The physics of :meth:`reset` alone, without pictures."""
        self._check(scene)
        self._scene = scene
        self._courses = draw_courses(self._variation.distractors, scene)
        self._seed = list(bytes.fromhex(scene.digest)[:16])
        place(self.model, self.data, scene)

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Move the finger by ``action``; physics runs :data:`envs.push.arm.SUBSTEPS` steps."""
        self.advance(action)
        info = self._info()
        return self.render(), -info["distance"], False, False, info

    def advance(self, action: NDArray[np.floating[Any]]) -> None:
        """The physics of :meth:`step` alone, without a picture (data collection renders afterwards)."""
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (2,) or not np.isfinite(action).all():
            raise ValueError(f"an action is two finite numbers in [-1, 1], not {action!r}")
        targets = arm.servo_targets(self.data.qpos[JOINTS], self.data.ctrl, np.clip(action, -1.0, 1.0))
        for target in targets:
            self.data.ctrl[:] = target
            mujoco.mj_step(self.model, self.data)

    def render(self) -> NDArray[np.uint8]:
        """The current picture ``[H, W, 3]`` uint8."""
        step = round(self.data.time / (arm.SUBSTEPS * self.model.opt.timestep))
        place_distractors(self.model, self.data, self._courses, step)
        mujoco.mj_kinematics(self.model, self.data)
        return self._variation.corruption.apply(self._renderer.render(self.data), [*self._seed, step])

    def _goal_picture(self) -> NDArray[np.uint8]:
        """The running episode's, in a state that is to be left at once."""
        scene = self.scene
        place(self.model, self.data, scene, [goal for _, goal in scene.errands])
        self.data.time = (scene.steps + 1) * arm.SUBSTEPS * self.model.opt.timestep
        return self.render()

    def get_state(self) -> NDArray[np.float64]:
        """Everything the physics depends on, as one vector; :meth:`set_state` continues from it exactly."""
        state = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return state

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Return to a state of :meth:`get_state`."""
        mujoco.mj_setState(self.model, self.data, state, STATE)

    def move_puck(self, place: NDArray[np.float64]) -> None:
        """Put the puck elsewhere ``[2]``, at rest, as a hand would."""
        self.data.qpos[PUCK], self.data.qvel[PUCK] = place, 0.0
        mujoco.mj_forward(self.model, self.data)

    def positions(self) -> dict[str, NDArray[np.float64]]:
        """True positions in table units: ``puck``, ``finger`` and ``goal``, each ``[2]``; and where there are
        two pucks ``second_puck`` and ``second_goal``.
        """
        found = {
            "puck": self.data.qpos[PUCK].copy(),
            "finger": arm.forward(self.data.qpos[JOINTS]),
            "goal": np.array(self.scene.goal),
        }
        if self.scene.second is not None:
            found["second_puck"] = self.data.qpos[PUCKS[1]].copy()
            found["second_goal"] = np.array(self.scene.second[1])
        return found

    def distance(self) -> float:
        """The longest of the pucks' shortest ways to their goals, in table units."""
        return distance_left(self.scene, [self.data.qpos[where] for where in PUCKS[: self.task.pucks]])

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()

    def _check(self, scene: Scene) -> None:
        """Raises ValueError for a scene of more or fewer pucks than the task has."""
        if len(scene.errands) != self.task.pucks:
            raise ValueError(
                f"the scene has {len(scene.errands)} of the pucks, this task {self.task.pucks}; "
                "scenes with a second puck are those of push-two-pucks"
            )

    def _info(self) -> Info:
        distance = self.distance()
        return {
            "distance": distance,
            "success": distance < SUCCESS,
            "strict_success": distance < STRICT_SUCCESS,
            "state": self.positions(),
        }
