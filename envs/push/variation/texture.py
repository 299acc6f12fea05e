"""A table with a grain, as of wood."""

import mujoco
import numpy as np
from numpy.typing import NDArray

SIZE = 256
"""Texels along a side of the table."""
GRAIN = (3.0, 14.0)
"""How many waves along and across the grain the finest features have."""
LIMIT = 2.0
"""Brightness is clipped at so many standard deviations from the mean."""
NAME = "grain"


def add_grain(spec: mujoco.MjSpec, strength: float) -> None:
    """Give the table a grain whose brightness has the relative standard deviation ``strength``; on average
    the table keeps its colour.
    """
    # A texture can only darken, so the table's own colour becomes that of the brightest texel.
    brightest = 1.0 + LIMIT * strength
    texels = np.round(255 * (1.0 + strength * draw_grain()) / brightest).astype(np.uint8)
    texture = spec.add_texture(
        name=NAME, type=mujoco.mjtTexture.mjTEXTURE_2D, width=SIZE, height=SIZE, nchannel=3
    )
    texture.data = np.repeat(texels[..., None], 3, axis=-1).tobytes()
    material = spec.add_material(name=NAME)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = NAME
    table = spec.geom("table")
    table.material = NAME
    table.rgba = [*(brightest * channel for channel in table.rgba[:3]), 1.0]


def draw_grain() -> NDArray[np.float64]:
    """Smooth noise ``[SIZE, SIZE]`` of mean 0 and, before it is clipped, deviation 1; always the same."""
    noise = np.random.default_rng(0x6EA1).standard_normal((SIZE, SIZE))
    along, across = np.fft.rfftfreq(SIZE, 1 / SIZE), np.fft.fftfreq(SIZE, 1 / SIZE)[:, None]
    passed = np.exp(-0.5 * ((along / GRAIN[0]) ** 2 + (across / GRAIN[1]) ** 2))
    passed[0, 0] = 0.0
    grain = np.fft.irfft2(np.fft.rfft2(noise) * passed, s=noise.shape)
    return np.clip(grain / grain.std(), -LIMIT, LIMIT)
