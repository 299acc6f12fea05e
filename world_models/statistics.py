"""Means over seeds and their intervals."""

import math
from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; later ones are hardly smaller."""


def mean_and_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half width of its 95 % t-interval over seeds; None with a single seed."""
    count = len(values)
    if count < 2:
        return float(values[0]), None
    quantile = T_95[min(count - 1, len(T_95)) - 1]
    return float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / math.sqrt(count)


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a rate (95 % by default); unlike the normal one it is right near 0 and 1."""
    if trials == 0:
        return (0.0, 1.0)
    rate = successes / trials
    centre = rate + z * z / (2 * trials)
    half = z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 the interval touches the bound exactly; rounding must not push it a hair beside it.
    return (max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale))


def mcnemar(won: int, lost: int) -> float:
    """Two-sided p of McNemar's exact test (1947): how likely chance splits the pairs of trials that only one
    of two passes so unevenly, or more so.
    """
    count, fewer = won + lost, min(won, lost)
    return min(1.0, 2 * sum(math.comb(count, k) for k in range(fewer + 1)) / 2**count)


RESAMPLES = 10_000


def bootstrap_interval(values: NDArray[np.float64], coverage: float = 0.95) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean (Efron and Tibshirani 1993, chapter 13), without chance.

    None for a single value, which says nothing of how far others are.
    """
    if len(values) < 2:
        return None
    draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    tail = (1 - coverage) / 2
    low, high = np.quantile(draws.mean(axis=1), [tail, 1 - tail])
    return float(low), float(high)


DRAWS = 2_000


def cluster_draws(values: NDArray[np.float64], stream: int = 0) -> NDArray[np.float64]:
    """Bootstrap means of measurements ``[seeds, clusters]``: each of :data:`DRAWS` takes seeds and whole
    clusters (sequences, episodes) anew, with replacement.

    The same clusters are drawn in every call of as many clusters and the same ``stream``, so differences of
    draws compare models that were measured on the same clusters pair by pair; other streams are independent.
    """
    seeds, clusters = values.shape
    chosen = np.random.default_rng(0).multinomial(seeds, [1 / seeds] * seeds, DRAWS) / seeds
    drawn = np.random.default_rng([1, stream]).multinomial(clusters, [1 / clusters] * clusters, DRAWS)
    means: NDArray[np.float64] = np.einsum("rs,rs->r", chosen, drawn @ values.T / clusters)
    return means


def percentiles(draws: NDArray[np.float64], coverage: float = 0.95) -> tuple[float, float]:
    """The interval that holds this share of bootstrap draws, as much left out below as above."""
    tail = (1 - coverage) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
