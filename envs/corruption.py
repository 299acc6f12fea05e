"""What a camera, and what carries its pictures, does to them: after they are drawn, whatever they show."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from envs.factors import Gains

Floats = NDArray[np.float64]


class Corruption(BaseModel):
    """Blur, noise, white balance, gamma and JPEG, in the order in which light and bits meet them.

    The defaults leave every picture as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    blur: float = Field(0.0, ge=0, le=3, description="standard deviation of a Gaussian blur, pixels")
    noise: float = Field(0.0, ge=0, le=0.5, description="standard deviation of Gaussian noise, of [0, 1]")
    white_balance: Gains = Field((1.0, 1.0, 1.0), description="factors on red, green and blue")
    gamma: float = Field(1.0, ge=0.25, le=4, description="exponent on values in [0, 1]; above 1 is darker")
    jpeg: int | None = Field(None, ge=5, le=95, description="quality of a JPEG on the way; None: no JPEG")

    def apply(self, picture: NDArray[np.uint8], seed: Sequence[int]) -> NDArray[np.uint8]:
        """The picture ``[H, W, 3]`` as it arrives; ``seed``, words of [0, 2^32), says which noise it gets."""
        if self == CLEAN:
            return picture
        values = picture / 255.0
        if self.blur:
            values = _blurred(_blurred(values, self.blur).swapaxes(0, 1), self.blur).swapaxes(0, 1)
        if self.noise:
            values = values + self.noise * np.random.default_rng(list(seed)).standard_normal(values.shape)
        values = np.clip(values * np.array(self.white_balance), 0.0, 1.0) ** self.gamma
        changed = np.ascontiguousarray(np.round(255.0 * values).astype(np.uint8))
        return changed if self.jpeg is None else _through_jpeg(changed, self.jpeg)


CLEAN = Corruption()


def _blurred(values: Floats, deviation: float) -> Floats:
    """``values`` blurred along their first axis; beyond the edge, the edge goes on."""
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    padded = np.pad(values, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    shifted = np.stack([padded[start : start + len(values)] for start in range(len(weights))])
    return np.tensordot(weights, shifted, axes=1)


def _through_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "JPEG", quality=quality)
    with Image.open(content) as arrived:
        return np.array(arrived.convert("RGB"))
