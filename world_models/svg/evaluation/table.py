"""Scores of sampled videos with intervals over videos, and the tables that people read."""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from world_models.svg.evaluation.scores import COPY, MEASURES, Scores

NORMAL_95 = 1.96
COLUMNS = {
    "ssim_best": "SSIM, best",
    "psnr_best": "PSNR of it, dB",
    "ssim_mean": "SSIM, mean",
    "psnr_mean": "PSNR, mean, dB",
}

Interval = dict[str, float | None]
"""``mean`` and the ends of its 95 % interval, ``low`` and ``high``; None for a single video."""


def mean_interval(values: Float[np.ndarray, " n"]) -> Interval:
    """Mean over videos and its normal 95 % interval; a single video has none."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = NORMAL_95 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def summarise(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """Of the scores by method: means over frames with intervals over videos, and differences between methods.

    ``methods`` has each measure, and per frame (``per_step``) lists of ``mean``, ``low`` and ``high``.
    ``differences`` are those of ``ssim_best``, paired by video, between each model and those after it;
    ``apart`` says that their own intervals do not overlap.
    """
    means = {
        name: {measure: mean_interval(found[measure].mean(1)) for measure in MEASURES}
        for name, found in scores.items()
    }
    curves = {
        name: {measure: _curve(found[measure]) for measure in MEASURES} for name, found in scores.items()
    }
    differences = {}
    for one, other in combinations([name for name in scores if name != COPY], 2):
        paired = scores[one]["ssim_best"].mean(1) - scores[other]["ssim_best"].mean(1)
        ends = [means[name]["ssim_best"] for name in (one, other)]
        low, high = ([value for end in ends if (value := end[side]) is not None] for side in ("low", "high"))
        apart = len(low) == 2 and (low[0] > high[1] or low[1] > high[0])
        differences[f"{one} - {other}"] = mean_interval(paired) | {"apart": apart}
    methods = {name: {**means[name], "per_step": curves[name]} for name in scores}
    return {"methods": methods, "differences": differences}


def markdown_tables(content: Mapping[str, Any]) -> str:
    """All results of :func:`world_models.svg.evaluation.evaluation.evaluate_svg` as people read them."""
    summary = content["scores"]
    lines = [f"| method | samples | {' | '.join(COLUMNS.values())} |", "|" + "---|" * (2 + len(COLUMNS))]
    for name, found in summary["methods"].items():
        cells = [_cell(found[measure]) for measure in COLUMNS]
        lines.append(f"| {name} | {content['protocol']['samples'][name]} | {' | '.join(cells)} |")
    lines += ["", "| SSIM of the best sample, paired | difference | intervals apart |", "|---|---|---|"]
    for name, found in summary["differences"].items():
        lines.append(f"| {name} | {_cell(found, signed=True)} | {'yes' if found['apart'] else 'no'} |")
    if content["directions"]:
        lines += ["", *_direction_lines(content["directions"])]
    for name, found in (content["prior_spread"] or {}).items():
        ratio, quiet = (_range(found["shared_path"][kind]) for kind in ("ratio", "ratio_to_quiet"))
        lines += [
            "",
            f"{name}: the prior's standard deviation at frames that first show a new velocity is {ratio} "
            f"times that at all other frames, and {quiet} times that at frames far from any new velocity.",
        ]
    return "\n".join(lines)


def _direction_lines(examples: list[dict[str, Any]]) -> list[str]:
    """Total variation after the first wall: one row per example."""
    names = list(examples[0]["models"])
    heads = " | ".join([*names, "halves of the truth"])
    lines = [
        "Total variation between sampled and true velocities, mean over the frames after the first wall:",
        "",
        f"| first wall at frame | {heads} |",
        "|" + "---|" * (2 + len(names)),
    ]
    for example in examples:
        found = [*(example["models"][name] for name in names), example["halves"]]
        cells = " | ".join(_number(distances["after_wall"]["total_variation"]) for distances in found)
        lines.append(f"| {example['first_wall']} | {cells} |")
    return lines


def _curve(values: Float[np.ndarray, "n L"]) -> dict[str, list[float | None]]:
    steps = [mean_interval(step) for step in values.T]
    return {name: [step[name] for step in steps] for name in ("mean", "low", "high")}


def _cell(found: Mapping[str, Any], signed: bool = False) -> str:
    mean = f"{found['mean']:{'+' if signed else ''}.4f}"
    return mean if found["low"] is None else f"{mean} ± {(found['high'] - found['low']) / 2:.4f}"


def _range(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['mean']:.2f}"
    return f"{found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
