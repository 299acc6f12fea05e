"""Edges of pictures, and how well those of two agree: what light and colours do not change much."""

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LIMIT = 9.0
"""Contrast beyond which all edges count alike: arm and objects are not to outweigh the background."""
_WINDOW = 5
_LUMINANCE = np.array([0.3, 0.5, 0.2])


def find_edges(picture: UInt8[np.ndarray, "H W 3"]) -> Array:
    """Brightness less its mean over a window, which light that changes slowly does not alter."""
    bright = picture @ _LUMINANCE
    padded = np.pad(bright, _WINDOW // 2, mode="edge")
    height, width = bright.shape
    rows = np.sum([padded[first : first + height] for first in range(_WINDOW)], axis=0)
    means = np.sum([rows[:, first : first + width] for first in range(_WINDOW)], axis=0) / _WINDOW**2
    edges: Array = np.clip(bright - means, -_LIMIT, _LIMIT)
    return edges


def agreement(picture: UInt8[np.ndarray, "H W 3"], template: Array, most: int = 0) -> float:
    """How well its edges agree with the template: normalised correlation of the overlap, the best of all
    displacements by at most so many pixels.
    """
    edges = find_edges(picture)
    height, width = edges.shape
    best = -1.0
    for down in range(-most, most + 1):
        for right in range(-most, most + 1):
            seen = edges[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
            wanted = template[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
            size = max(float((seen**2).sum() * (wanted**2).sum()), 1e-12)
            best = max(best, float((seen * wanted).sum()) / size**0.5)
    return best


def displacements(pictures: UInt8[np.ndarray, "n H W 3"], template: Array, most: int) -> Array:
    """How well pictures agree with the template if they are displaced by -most..most pixels down and right.

    Normalised correlation of the overlap, as a mean over the pictures.
    """
    size = 2 * max(template.shape)
    known = np.ones_like(template)
    wanted, wanted_square, overlap = (
        np.conj(np.fft.rfft2(one, (size, size))) for one in (template, template**2, known)
    )
    moves = np.arange(-most, most + 1) % size
    scores = np.zeros((len(moves), len(moves)))
    for picture in pictures:
        edges = find_edges(picture)
        seen, seen_square, shown = (np.fft.rfft2(one, (size, size)) for one in (edges, edges**2, known))
        product, own, other = (
            np.fft.irfft2(one, (size, size))[np.ix_(moves, moves)]
            for one in (seen * wanted, seen_square * overlap, shown * wanted_square)
        )
        scores += product / np.sqrt(np.maximum(own, 1e-6) * np.maximum(other, 1e-6))
    return scores / len(pictures)
