"""Rewards of the DM Control tasks for many simulations at once, from MuJoCo's derived fields.

The formulas are those of DM Control (Tassa et al. 2018, arXiv:1801.00690, and its ``suite`` package).
"""

from collections.abc import Callable

import mujoco
import numpy as np
from dm_control.utils.rewards import tolerance
from numpy.typing import NDArray

from envs.dmc.tasks import DmcTask

Array = NDArray[np.float64]
Fields = Callable[[str], Array]
"""``MjData`` field by name, one row per simulation, current for the state whose reward is asked."""
Reward = Callable[[Fields], Array]
"""Rewards ``[B]`` in [0, 1] of one control step."""

ZZ = 8
"""Entry of a flattened rotation matrix."""
RUN_SPEED = 10.0
WALK_SPEED = 1.0
STAND_HEIGHT = 1.2
TARGET_RADIUS = 0.05
"""Of the easy reacher; DM Control writes it into the model at a reset."""


def make_reward(task: DmcTask, model: mujoco.MjModel) -> Reward:
    """The reward of one task."""
    makers = {
        "acrobot-swingup": _acrobot_swingup,
        "cartpole-balance": _cartpole_balance,
        "cheetah-run": _cheetah_run,
        "reacher-easy": _reacher_easy,
        "walker-stand": _walker_stand,
        "walker-walk": _walker_walk,
    }
    return makers[task.name](model)


def _acrobot_swingup(model: mujoco.MjModel) -> Reward:
    tip, target = model.site("tip").id, model.site("target").id
    radius = float(model.site_size[target, 0])

    def reward(fields: Fields) -> Array:
        sites = fields("site_xpos")
        return tolerance(_norm(sites[:, target] - sites[:, tip]), bounds=(0, radius), margin=1)

    return reward


def _cartpole_balance(model: mujoco.MjModel) -> Reward:
    pole, slider, hinge = model.body("pole_1").id, model.joint("slider").qposadr[0], model.joint("hinge_1")
    swing = hinge.dofadr[0]

    def reward(fields: Fields) -> Array:
        upright = (fields("xmat")[:, pole, ZZ] + 1) / 2
        centred = (1 + tolerance(fields("qpos")[:, slider], margin=2)) / 2
        force = tolerance(fields("ctrl")[:, 0], margin=1, value_at_margin=0, sigmoid="quadratic")
        still = (1 + tolerance(fields("qvel")[:, swing], margin=5)) / 2
        return upright * (4 + force) / 5 * still * centred

    return reward


def _cheetah_run(model: mujoco.MjModel) -> Reward:
    speed = _forward_speed(model)

    def reward(fields: Fields) -> Array:
        return tolerance(
            fields("sensordata")[:, speed],
            bounds=(RUN_SPEED, np.inf),
            margin=RUN_SPEED,
            value_at_margin=0,
            sigmoid="linear",
        )

    return reward


def _reacher_easy(model: mujoco.MjModel) -> Reward:
    target, finger = model.geom("target").id, model.geom("finger").id
    reach = TARGET_RADIUS + float(model.geom_size[finger, 0])

    def reward(fields: Fields) -> Array:
        places = fields("geom_xpos")[..., :2]
        return tolerance(_norm(places[:, target] - places[:, finger]), bounds=(0, reach))

    return reward


def _walker_stand(model: mujoco.MjModel) -> Reward:
    torso = model.body("torso").id

    def reward(fields: Fields) -> Array:
        height = fields("xpos")[:, torso, 2]
        standing = tolerance(height, bounds=(STAND_HEIGHT, np.inf), margin=STAND_HEIGHT / 2)
        upright = (1 + fields("xmat")[:, torso, ZZ]) / 2
        return (3 * standing + upright) / 4

    return reward


def _walker_walk(model: mujoco.MjModel) -> Reward:
    stand, speed = _walker_stand(model), _forward_speed(model)

    def reward(fields: Fields) -> Array:
        walking = tolerance(
            fields("sensordata")[:, speed],
            bounds=(WALK_SPEED, np.inf),
            margin=WALK_SPEED / 2,
            value_at_margin=0.5,
            sigmoid="linear",
        )
        return stand(fields) * (5 * walking + 1) / 6

    return reward


def _forward_speed(model: mujoco.MjModel) -> int:
    """Where the sensor data hold the forward speed of the centre of mass."""
    return int(model.sensor("torso_subtreelinvel").adr[0])


def _norm(offsets: Array) -> Array:
    return np.sqrt((offsets**2).sum(axis=-1))
