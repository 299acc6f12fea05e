"""The pushing scene, compiled with given factors of variation."""

from pathlib import Path
from typing import Literal

import mujoco
import numpy as np

from envs.push.scene import PIECES, PUCK_NAMES
from envs.push.staged.second_puck import add_second_puck
from envs.push.variation.distractors import add_distractors
from envs.push.variation.factors import STANDARD, Variation
from envs.push.variation.texture import add_grain
from envs.rendering import shift_picture

CAMERA = "table"
SCENE = Path(__file__).parents[1] / "push.xml"


def build_model(
    variation: Variation | None = None, image_size: int = 64, pucks: Literal[1, 2] = 1
) -> mujoco.MjModel:
    """Compile the pushing scene with the given factors of variation, which are those of every puck but for
    the second one's colour.
    """
    variation = variation or STANDARD
    spec = mujoco.MjSpec.from_file(str(SCENE))
    names = PUCK_NAMES[:pucks]
    if pucks == 2:
        add_second_puck(spec)
    spec.visual.global_.offwidth = spec.visual.global_.offheight = image_size
    for name, colour in (
        ("puck_visual", variation.puck_color),
        *((piece, variation.wall_color) for piece in PIECES),
        ("table", variation.table_color),
    ):
        spec.geom(name).rgba = [*colour, 1.0]
    for name in (name + part for name in names for part in ("", "_visual")):
        spec.geom(name).size[0] *= variation.puck_radius
    for name in (name + axis for name in names for axis in ("_x", "_y")):
        joint = spec.joint(name)
        joint.damping = np.asarray(joint.damping) * variation.friction
        joint.frictionloss *= variation.friction
    if variation.table_texture:
        add_grain(spec, variation.table_texture)
    add_distractors(spec, variation.distractors)
    model = spec.compile()
    _light(model, variation)
    _aim_camera(model, variation)
    return model


def _light(model: mujoco.MjModel, variation: Variation) -> None:
    for lights in (model.light_diffuse, model.vis.headlight.ambient, model.vis.headlight.diffuse):
        lights *= variation.light
        lights *= np.array(variation.light_color)
    if variation.light_from is not None:
        azimuth, elevation = np.deg2rad(variation.light_from)
        away = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        model.light("sun").dir[:] = np.negative(away)


def _aim_camera(model: mujoco.MjModel, variation: Variation) -> None:
    camera = model.camera(CAMERA).id
    _turn(model.cam_quat[camera], variation.camera_pitch, (1.0, 0.0, 0.0))
    _turn(model.cam_quat[camera], variation.camera_yaw, (0.0, 1.0, 0.0))
    if any(variation.camera_shift):
        shift_picture(model, CAMERA, variation.camera_shift)


def _turn(rotation: np.ndarray, degrees: float, axis: tuple[float, float, float]) -> None:
    """Turn a camera's quaternion ``[4]``, in place, about one of the camera's own axes."""
    half = np.deg2rad(degrees) / 2
    turn = np.array([np.cos(half), *(np.sin(half) * part for part in axis)])
    mujoco.mju_mulQuat(rotation, rotation.copy(), turn)
