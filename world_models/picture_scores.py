"""How alike pictures are: SSIM and PSNR."""

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
"""The Gaussian window of Wang et al. 2004, in pixels."""
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""Their constants C1 and C2 for pixels in 0..1."""
MOST_DECIBELS = 100.0
BLOCK = 18
"""Places of the window that one matrix product moves it over. A band matrix is mostly zeros: for 64 pixels,
three narrow blocks take half the time of the whole."""


def ssim(pictures: Float[Tensor, "*B C H W"], truth: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
    """Structural similarity of pictures in [0, 1]: 1 where they are equal, about 0 where nothing agrees.

    Means, variances and covariance under a Gaussian window, wherever it fits into the picture; averaged over
    these places and the channels (Wang, Bovik, Sheikh and Simoncelli 2004). ``truth`` is broadcast.

    Raises:
        ValueError: a picture is smaller than the window.
    """
    mean, true_mean = _smooth(pictures), _smooth(truth)
    variance = _smooth(pictures.square()) - mean.square()
    true_variance = _smooth(truth.square()) - true_mean.square()
    covariance = _smooth(pictures * truth) - mean * true_mean
    alike = (2 * mean * true_mean + LUMINANCE) * (2 * covariance + CONTRAST)
    size = (mean.square() + true_mean.square() + LUMINANCE) * (variance + true_variance + CONTRAST)
    return (alike / size).mean((-3, -2, -1))


class SSIMTo:
    """:func:`ssim` of many pictures to the same truth, in less than half the time.

    The truth's own moments are computed once, and all pictures are smoothed in few large matrix products.

    Raises:
        ValueError: the truth is smaller than the window.
    """

    def __init__(self, truth: Float[Tensor, "C H W"]) -> None:
        self._truth = truth
        mean = _smooth(truth)
        variance = _smooth(truth.square()) - mean.square()
        # As the pictures below: rows first, so that one product smooths all of them.
        self._mean = mean.movedim(1, 0)[:, None]
        self._size = (mean.square() + LUMINANCE).movedim(1, 0)[:, None]
        self._spread = (variance + CONTRAST).movedim(1, 0)[:, None]
        self._down, self._across = (_blocks(side, truth.device) for side in truth.shape[-2:])

    def __call__(self, pictures: Float[Tensor, "P C H W"]) -> Float[Tensor, " P"]:
        """Of each picture."""
        count, channels, height, width = pictures.shape
        maps = pictures.new_empty(height, 3, count, channels, width)
        plain, squared, crossed = maps.permute(1, 2, 3, 0, 4)
        plain.copy_(pictures)
        torch.mul(pictures, pictures, out=squared)
        torch.mul(pictures, self._truth, out=crossed)
        down = _slide(self._down, maps.flatten(1))
        across = _slide(self._across, down.view(-1, width).T).T
        mean, square, product = across.view(len(down), 3, count, channels, -1).unbind(1)
        shared, own = mean * self._mean, mean.square()
        alike = (2 * shared + LUMINANCE) * (2 * (product - shared) + CONTRAST)
        return (alike / ((own + self._size) * (square - own + self._spread))).mean((0, 2, 3))


def psnr(pictures: Float[Tensor, "*B C H W"], truth: Float[Tensor, "*#B C H W"]) -> Float[Tensor, "*B"]:
    """Peak signal-to-noise ratio of pictures in [0, 1] in decibels; 100, the most, where they are equal."""
    error = (pictures - truth).square().mean((-3, -2, -1))
    return -10.0 * torch.log10(error.clamp_min(10.0 ** (-MOST_DECIBELS / 10)))


def _blocks(side: int, device: torch.device) -> list[tuple[slice, Float[Tensor, "_ _"]]]:
    """Where the window fits along a side, in blocks: the places, and their band matrix."""
    places = side - WINDOW + 1
    starts = [slice(start, min(start + BLOCK, places)) for start in range(0, places, BLOCK)]
    return [(block, _band(block.stop - block.start + WINDOW - 1, device)) for block in starts]


def _slide(
    blocks: list[tuple[slice, Float[Tensor, "_ _"]]], rows: Float[Tensor, "H M"]
) -> Float[Tensor, "h M"]:
    """Means of neighbouring rows under the window, wherever it fits; laid out as ``rows`` is."""
    places, columns = blocks[-1][0].stop, rows.shape[1]
    transposed = rows.stride(0) == 1
    means = rows.new_empty(columns, places).T if transposed else rows.new_empty(places, columns)
    for block, band in blocks:
        torch.mm(band, rows[block.start : block.stop + WINDOW - 1], out=means[block])
    return means


def _smooth(maps: Float[Tensor, "*B H W"]) -> Float[Tensor, "*B h w"]:
    """Means under the window. As products with band matrices they take a fraction of a convolution's time.

    Always in single precision: a variance, the small difference of two such means, would be lost in bfloat16.
    """
    with torch.autocast(maps.device.type, enabled=False):
        return _band(maps.shape[-2], maps.device) @ maps.float() @ _band(maps.shape[-1], maps.device).T


@cache
@torch.inference_mode(False)  # what is kept is used outside of inference, too
def _band(side: int, device: torch.device) -> Float[Tensor, "{side-10} {side}"]:
    """One row per place where the window fits."""
    if side < WINDOW:
        raise ValueError(f"pictures must be at least {WINDOW} pixels wide and high, got {side}")
    offsets = range(-(WINDOW // 2), WINDOW // 2 + 1)
    bell = torch.tensor([math.exp(-0.5 * (offset / SIGMA) ** 2) for offset in offsets])
    band = torch.zeros(side - WINDOW + 1, side)
    for place, row in enumerate(band):
        row[place : place + WINDOW] = bell / bell.sum()
    return band.to(device)
