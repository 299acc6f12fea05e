"""The statistics of the evaluation of SVG: intervals, distances and ratios of known numbers."""

import numpy as np
import pytest

from world_models.svg.evaluation.directions import count_velocities, distances
from world_models.svg.evaluation.scores import COPY, MEASURES
from world_models.svg.evaluation.table import mean_interval, summarise
from world_models.svg.evaluation.uncertainty import Spreads, compare_spreads


def test_differences_are_paired_by_video():
    """The videos differ much more than the methods: only the paired interval is short."""
    base = np.random.default_rng(0).normal(0.5, 0.2, size=(400, 1)).astype(np.float32).repeat(3, axis=1)
    found = summarise(
        {name: dict.fromkeys(MEASURES, base + shift) for name, shift in (("a", 0.01), ("b", 0), (COPY, -1))}
    )
    assert found["differences"].keys() == {"a - b"}
    difference = found["differences"]["a - b"]
    assert difference["mean"] == pytest.approx(0.01, abs=1e-4) and difference["high"] < 0.0101
    assert not difference["apart"]
    row = found["methods"]["a"]["ssim_best"]
    assert row["high"] - row["mean"] == pytest.approx(1.96 * base[:, 0].std(ddof=1) / 20, rel=1e-3)
    assert len(found["methods"]["a"]["per_step"]["psnr_mean"]["low"]) == 3
    assert mean_interval(np.array([2.0])) == {"mean": 2.0, "low": None, "high": None}


def test_distances_of_distributions():
    rest, right = (count_velocities(np.full((1, 2, 2), [speed, 0.0])) for speed in (0.0, 3.0))
    both = 0.5 * (rest + right)
    found = distances(right, rest, 1)
    assert found["total_variation"] == [1.0, 1.0]
    assert found["wasserstein"] == pytest.approx([1.5, 1.5])  # three pixels on one of two axes
    assert distances(both, rest, 0)["after_wall"] == {"total_variation": 0.5, "wasserstein": 0.75}
    assert distances(rest, rest, 2)["after_wall"] == {"total_variation": None, "wasserstein": None}


def test_the_interval_of_the_ratio_is_over_videos():
    values = np.random.default_rng(0).uniform(0.5, 1.5, size=(200, 12))
    fresh = np.zeros((200, 12, 1), np.bool_)
    fresh[:, 4] = True
    values[:, 4] += 1.0
    values[:, [2, 6]] += 0.5  # neighbours, which are uncertain too
    compared = compare_spreads(Spreads(values, fresh), np.random.default_rng(0))
    assert 1.5 < compared["ratio"]["mean"] < 1.9
    ratio = compared["ratio_to_quiet"]
    assert ratio["low"] < 2.0 < ratio["high"] and ratio["high"] - ratio["low"] < 0.15
