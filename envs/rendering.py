"""Pictures of a MuJoCo scene, and where a point of the scene falls in the picture."""

import atexit
from weakref import WeakSet

import mujoco
import numpy as np
from numpy.typing import NDArray

from envs.factors import Shift


class Renderer:
    """Renders square RGB pictures of one fixed camera.

    ``mujoco.Renderer`` frees its GL objects in whatever context happens to be current, which corrupts
    the pictures of any other renderer alive in the process. This one makes its own context current before
    it draws or frees, so that several can live side by side.
    """

    def __init__(self, model: mujoco.MjModel, camera: str, size: int) -> None:
        self._model = model
        self._size = size
        self._closed = False
        self._gl = mujoco.GLContext(size, size)
        _close_before_exit(self)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=64)
        self._option = mujoco.MjvOption()
        self._perturb = mujoco.MjvPerturb()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(camera).id
        self._viewport = mujoco.MjrRect(0, 0, size, size)

    def render(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """The picture ``[H, W, 3]`` of ``data``, a fresh array."""
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            self._perturb,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        upside_down = np.empty((self._size, self._size, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(upside_down, None, self._viewport, self._context)
        return np.ascontiguousarray(upside_down[::-1])

    def close(self) -> None:
        """Free the GL context; harmless to call twice."""
        if not self._closed:
            self._closed = True
            self._gl.make_current()
            self._context.free()
            self._gl.free()


_open: WeakSet[Renderer] = WeakSet()


def _close_before_exit(renderer: Renderer) -> None:
    """Users may leave a renderer open; at exit MuJoCo ends its display, and then no context can be freed.

    MuJoCo and dm_control have told ``atexit`` so by now; what is registered last comes first.
    """
    atexit.unregister(_close_all)
    atexit.register(_close_all)
    _open.add(renderer)


def _close_all() -> None:
    for renderer in list(_open):
        renderer.close()


def shift_picture(model: mujoco.MjModel, camera: str, shift: Shift) -> None:
    """Move the named camera's whole picture, by shifting the camera's sensor behind its lens."""
    index, side = model.camera(camera).id, 1.0
    focal = side / 2 / np.tan(np.deg2rad(model.cam_fovy[index]) / 2)
    right, down = shift
    model.cam_sensorsize[index] = side, side
    model.cam_intrinsic[index] = focal, focal, -side * right / SHIFTED, -side * down / SHIFTED


SHIFTED = 64
"""Side of the picture whose pixels shifts are given in."""


def _shift(model: mujoco.MjModel, index: int) -> tuple[float, float]:
    """What :func:`shift_picture` did to a camera, as shares of the picture's side."""
    side = model.cam_sensorsize[index][0]
    if not side:
        return 0.0, 0.0
    _, _, right, down = model.cam_intrinsic[index] / -side
    return float(right), float(down)


class Projection:
    """Pin-hole projection of the named fixed camera, in pixels of a square picture of side ``size``.

    Pixel centres are integers, x to the right, y down. The camera may have been shifted by
    :func:`shift_picture`.
    """

    def __init__(self, model: mujoco.MjModel, camera: str, size: int) -> None:
        index = model.camera(camera).id
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.cam_quat[index])
        self._axes = rotation.reshape(3, 3)
        self._position = model.cam_pos[index].copy()
        right, down = _shift(model, index)
        self._right, self._down = (size - 1) / 2 + size * right, (size - 1) / 2 + size * down
        self._focal = size / 2 / np.tan(np.deg2rad(model.cam_fovy[index]) / 2)

    def __call__(self, plane: NDArray[np.float64], height: float) -> NDArray[np.float64]:
        """Pixels ``[..., 2]`` of points ``[..., 2]`` (x, y) at one height, all in table units."""
        dx, dy = plane[..., 0] - self._position[0], plane[..., 1] - self._position[1]
        dz = height - self._position[2]
        right, up, back = (
            self._axes[0, k] * dx + self._axes[1, k] * dy + self._axes[2, k] * dz for k in range(3)
        )
        scale = self._focal / -back
        return np.stack([self._right + right * scale, self._down - up * scale], axis=-1)

    def plane(self, pixels: NDArray[np.float64], height: float) -> NDArray[np.float64]:
        """Points ``[..., 2]`` at one height that fall on pixels ``[..., 2]``; the inverse of calling it."""
        right = (pixels[..., 0] - self._right) / self._focal
        up = (self._down - pixels[..., 1]) / self._focal
        rays = right[..., None] * self._axes[:, 0] + up[..., None] * self._axes[:, 1] - self._axes[:, 2]
        lengths = (height - self._position[2]) / rays[..., 2]
        return self._position[:2] + lengths[..., None] * rays[..., :2]
