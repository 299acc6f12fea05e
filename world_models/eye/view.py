"""Where the camera looks: found by correlation with the background, undone by a rotation."""

from functools import lru_cache
from math import atan, degrees, isinf, radians

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from world_models.eye.edges import agreement, displacements, find_edges
from world_models.eye.reference import Reference

Array = NDArray[np.float64]

_MOST = 7
"""Pixels by which a picture may be displaced."""
_STILL = 0.85
"""Agreement of edges, relative to that of training, beyond which nobody needs to look for a turn."""
_GAIN = 0.02
"""Correlation that a turn has to bring; with less, the camera is where it was in training."""
_CLOSE = 1
"""Pixels by which a picture may still be displaced once it was turned."""
_FAR = 1e6
"""Focal length, in pixels, at which a turn is as good as a shift."""


def find_view(pictures: UInt8[np.ndarray, "n H W 3"], reference: Reference) -> tuple[float, float]:
    """Pitch and yaw of the camera, in degrees, beyond those of the training data; zeros if it did not move.

    Pictures of one scene are looked at together; they must have the reference's size.
    """
    template, focal = find_edges(reference.background), _focal(reference)
    if min(agreement(picture, template) for picture in pictures) > _STILL * reference.agreement:
        return 0.0, 0.0
    scores = displacements(pictures, template, _MOST)
    if scores.max() < scores[_MOST, _MOST] + _GAIN:
        return 0.0, 0.0
    down, right = _peak(scores)
    pitch, yaw = atan(down / focal), atan(right / focal)
    # Once more on the turned pictures, to a fraction of a pixel.
    turned = np.stack([undo_turn(one, degrees(pitch), degrees(yaw), reference) for one in pictures])
    down, right = _peak(displacements(turned, template, _CLOSE))
    return degrees(pitch + atan(down / focal)), degrees(yaw + atan(right / focal))


def undo_turn(
    pictures: UInt8[np.ndarray, "*batch H W 3"], pitch: float, yaw: float, reference: Reference
) -> UInt8[np.ndarray, "*batch H W 3"]:
    """Pictures as if the camera had not been turned by these degrees.

    What it did not see is taken from the background.
    """
    height, width = pictures.shape[-3:-1]
    places, weights, inside = _sampling(pitch, yaw, height, width, _focal(reference))
    flat = pictures.reshape(*pictures.shape[:-3], height * width, 3)
    turned = sum(weight[:, None] * flat[..., place, :] for place, weight in zip(places, weights, strict=True))
    shown = np.where(inside[:, None], turned, reference.background.reshape(-1, 3))
    return np.clip(np.round(shown), 0, 255).astype(np.uint8).reshape(pictures.shape)


@lru_cache(maxsize=64)
def _sampling(
    pitch: float, yaw: float, height: int, width: int, focal: float
) -> tuple[NDArray[np.int64], Array, NDArray[np.bool_]]:
    """The four pixels that each pixel is made of, their weights, and whether they are inside."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    middle = ((height - 1) / 2, (width - 1) / 2)
    y, x = (rows - middle[0]) / focal, (columns - middle[1]) / focal
    right, left = np.cos(radians(yaw)), np.sin(radians(yaw))
    x, depth = right * x + left, right - left * x
    up, down = np.cos(radians(pitch)), np.sin(radians(pitch))
    y, depth = up * y + down * depth, up * depth - down * y
    rows, columns = y / depth * focal + middle[0], x / depth * focal + middle[1]
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    top, start = (
        np.minimum(np.floor(at), size - 2).astype(np.int64) for at, size in ((rows, height), (columns, width))
    )
    low, far = rows - top, columns - start
    corners = (
        (0, 0, (1 - low) * (1 - far)),
        (0, 1, (1 - low) * far),
        (1, 0, low * (1 - far)),
        (1, 1, low * far),
    )
    places = np.stack([((top + row) * width + start + column).ravel() for row, column, _ in corners])
    return places, np.stack([weight.ravel() for _, _, weight in corners]), inside.ravel()


def _focal(reference: Reference) -> float:
    return _FAR if isinf(reference.focal) else reference.focal


def _peak(scores: Float[np.ndarray, "n n"]) -> tuple[float, float]:
    """Displacement, down and right, of the best score, to a fraction of a pixel by parabolas through it."""
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    most = len(scores) // 2
    return (
        row - most + _vertex(scores[:, column], int(row)),
        column - most + _vertex(scores[row], int(column)),
    )


def _vertex(line: Float[np.ndarray, " n"], at: int) -> float:
    """Where the parabola through three neighbours peaks, from the middle one; 0 at an end."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = line[at - 1 : at + 2]
    curvature = before - 2 * here + after
    return float(0.5 * (before - after) / curvature) if curvature < -1e-9 else 0.0
