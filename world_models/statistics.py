"""Means over seeds and their intervals."""

import math
from collections.abc import Sequence

import numpy as np

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; later ones are hardly smaller."""


def mean_and_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half width of its 95 % t-interval over seeds; None with a single seed."""
    count = len(values)
    if count < 2:
        return float(values[0]), None
    quantile = T_95[min(count - 1, len(T_95)) - 1]
    return float(np.mean(values)), quantile * float(np.std(values, ddof=1)) / math.sqrt(count)
