"""DM Control tasks seen by one camera, through Shimmy: ``waymark/CartpoleBalance-v0`` and its siblings."""

from typing import Any

import gymnasium
import mujoco
import numpy as np
from dm_control import suite
from gymnasium import spaces
from numpy.typing import NDArray
from shimmy.dm_control_compatibility import DmControlCompatibilityV0

from envs.dmc.tasks import Point, find_task
from envs.dmc.variation import DmcVariation, vary
from envs.rendering import Renderer

SEEDS = 2**32
"""DM Control draws its starts from a legacy generator, whose seeds lie below this."""
STATE = mujoco.mjtState.mjSTATE_INTEGRATION

Info = dict[str, Any]


class DmcEnv(gymnasium.Env[NDArray[np.uint8], NDArray[np.float64]]):
    """One task of :data:`envs.dmc.tasks.TASKS`.

    Action: ``[A]`` in [-1, 1], in the task's own size, held for ``task.action_repeat`` control steps.
    Observation: RGB picture ``[image_size, image_size, 3]`` uint8 from the task's camera, without shadows
    and reflections, which would take most of the time.
    Reward: sum over the control steps of a step, so that an episode's return compares with published ones.

    ``info["state"]`` holds the true state, ``[S]`` float64, for evaluation only: the task's observation
    (``observation_size`` numbers, flattened in DM Control's order), then x and y pixel positions of
    ``bodies`` (pixel centres are integers, x to the right, y down) before ``variation``, which says how the
    world looks otherwise than in training, shifts the picture. No task ends by itself; all are
    truncated after 1000 control steps.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}

    def __init__(
        self,
        task: str,
        image_size: int = 64,
        render_mode: str | None = "rgb_array",
        variation: DmcVariation | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be 'rgb_array' or None, not {render_mode!r}")
        self.render_mode = render_mode
        self.task = find_task(task)
        self.image_size = image_size
        self._env: DmControlCompatibilityV0 = DmControlCompatibilityV0(
            suite.load(self.task.domain, self.task.task)
        )
        self.action_size = spaces.flatdim(self._env.action_space)
        self.action_space = spaces.Box(-1.0, 1.0, shape=(self.action_size,), dtype=np.float64)
        self.observation_space = spaces.Box(0, 255, shape=(image_size, image_size, 3), dtype=np.uint8)
        self.observation_size = spaces.flatdim(self._env.observation_space)
        self.bodies = tuple(point.name for point in self.task.points)
        physics = self._env.physics
        self.model: mujoco.MjModel = physics.model.ptr
        self._data: mujoco.MjData = physics.data.ptr
        self.substeps = round(self._env.control_timestep() / self.model.opt.timestep)
        simplify(self.model, image_size)
        if variation is not None:
            vary(self.model, self.task.camera, variation)
        self._renderer = Renderer(self.model, self.task.camera, image_size)
        self._camera = self.model.camera(self.task.camera).id
        self._observation: NDArray[np.float64] | None = None
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start a new episode, drawn with ``seed``; there are no options."""
        super().reset(seed=seed)
        if options:
            raise ValueError(f"unknown reset options {sorted(options)}; there are none")
        self.start(int(self.np_random.integers(SEEDS)))
        return self.render(), {"state": self.state()}

    def start(self, seed: int) -> None:
        """The physics of :meth:`reset` alone, without a picture, from a seed in [0, 2^32)."""
        observation, _ = self._env.reset(seed=seed)
        self._observation = _flatten(observation)
        self._running = True

    def step(self, action: NDArray[np.floating[Any]]) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Hold ``action`` for ``task.action_repeat`` control steps."""
        reward, truncated = self.advance(action)
        return self.render(), reward, False, truncated, {"state": self.state()}

    def advance(self, action: NDArray[np.floating[Any]]) -> tuple[float, bool]:
        """The physics of :meth:`step` alone, without a picture: reward, and whether the episode is over.

        Raises:
            ValueError: the action has the wrong size or is not finite.
            RuntimeError: no episode is running.
            dm_control.rl.control.PhysicsError: the simulation diverged.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (self.action_size,) or not np.isfinite(action).all():
            raise ValueError(f"an action is {self.action_size} finite numbers in [-1, 1], not {action!r}")
        if not self._running:  # DM Control would start the next episode by itself
            raise RuntimeError("call reset() before the first step and after a truncated episode")
        total = 0.0
        for _ in range(self.task.action_repeat):
            observation, reward, _, truncated, _ = self._env.step(np.clip(action, -1.0, 1.0))
            total += float(reward)
        self._observation = _flatten(observation)
        self._running = not truncated
        return total, truncated

    def render(self) -> NDArray[np.uint8]:
        """The current picture ``[H, W, 3]`` uint8."""
        return self._renderer.render(self._data)

    def state(self) -> NDArray[np.float64]:
        """The true state ``[S]``: the task's observation, then pixel positions of the bodies."""
        if self._observation is None:
            raise RuntimeError("call reset() before asking for the state")
        places = np.stack([self._place(point) for point in self.task.points])
        return np.concatenate([self._observation, self._project(places).ravel()])

    def physics_state(self) -> NDArray[np.float64]:
        """Everything the physics depends on but the model, as one vector."""
        state = np.empty(mujoco.mj_stateSize(self.model, STATE))
        mujoco.mj_getState(self.model, self._data, state, STATE)
        return state

    def render_state(self, state: NDArray[np.float64]) -> NDArray[np.uint8]:
        """What it would look like there: ``state`` is a :meth:`physics_state` of this task.

        The running episode goes on from there.
        """
        mujoco.mj_setState(self.model, self._data, state, STATE)
        mujoco.mj_forward(self.model, self._data)
        return self.render()

    def close(self) -> None:
        """Free the renderer and the simulation."""
        self._renderer.close()
        self._env.close()

    def _place(self, point: Point) -> NDArray[np.float64]:
        """Where the point is in the world ``[3]``, metres."""
        frame = self._data.body(point.frame) if point.kind == "body" else self._data.geom(point.frame)
        return frame.xpos + frame.xmat.reshape(3, 3) @ np.array(point.offset)

    def _project(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels ``[n, 2]`` of places ``[n, 3]``, seen by the camera where it is now (it may follow)."""
        axes = self._data.cam_xmat[self._camera].reshape(3, 3)
        right, up, back = ((places - self._data.cam_xpos[self._camera]) @ axes).T
        scale = self.image_size / 2 / np.tan(np.deg2rad(self.model.cam_fovy[self._camera]) / 2) / -back
        centre = (self.image_size - 1) / 2
        return np.stack([centre + right * scale, centre - up * scale], axis=-1)


def _flatten(observation: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([np.ravel(part) for part in observation.values()])


def simplify(model: mujoco.MjModel, image_size: int) -> None:
    """Leave out what makes a picture slow; physics does not depend on it."""
    model.light_castshadow[:] = False
    model.mat_reflectance[:] = 0.0
    model.vis.quality.offsamples = 4
    model.vis.quality.numslices, model.vis.quality.numstacks, model.vis.quality.numquads = 12, 6, 1
    model.vis.global_.offwidth = model.vis.global_.offheight = image_size
