"""Pictures of what SVG models predict, in the manner of the paper's figures 3, 5, 6 and 7."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from world_models.svg.evaluation.directions import REACH, Example
from world_models.svg.evaluation.uncertainty import Spreads

GAP = 2
"""Pixels between pictures."""
WHITE = 255
COLOURS = ("tab:red", "tab:blue", "tab:green")
"""Of the digits, as in the paper."""
DPI = 110


def draw_curves(methods: Mapping[str, Any], seen: int, path: Path) -> None:
    """SSIM and PSNR of the best sample per frame, with 95 % intervals (Fig. 7).

    Args:
        methods: of :func:`world_models.svg.evaluation.table.summarise`.
        seen: number of the first generated frame, counted from 0.
        path: PNG to write.
    """
    figure = _new_figure((11, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, (measure, label) in zip(axes, {"ssim": "SSIM", "psnr": "PSNR in dB"}.items(), strict=True):
        for name, found in methods.items():
            curve = found["per_step"][f"{measure}_best"]
            times = range(seen, seen + len(curve["mean"]))
            axis.plot(times, curve["mean"], label=name)
            if None not in curve["low"]:
                axis.fill_between(times, curve["low"], curve["high"], alpha=0.3)
        axis.set(xlabel="frame", ylabel=f"{label} of the best sample")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    axes[0].legend()
    _save(figure, path)


def draw_strips(
    videos: Sequence[Mapping[str, UInt8[np.ndarray, "T H W C"]]], seen: int, path: Path, every: int = 2
) -> None:
    """Rows of pictures by name, video below video; every second frame (Fig. 3).

    Args:
        videos: all rows have T frames.
        seen: frames that were given, left of the line.
        path: PNG to write.
        every: step from one shown frame to the next.
    """
    names = [name for rows in videos for name in rows]
    shown = range(0, len(next(iter(videos[0].values()))), every)
    side = next(iter(videos[0].values())).shape[1] + GAP
    canvas = np.concatenate([_row(frames[shown]) for rows in videos for frames in rows.values()])
    figure = _new_figure((0.75 * len(shown) + 1.5, 0.75 * len(names) + 0.5))
    axis = figure.subplots()
    axis.imshow(canvas, interpolation="nearest")
    axis.set_yticks([side * (row + 0.5) for row in range(len(names))], names)
    axis.set_xticks([side * (column + 0.5) for column in range(len(shown))], list(shown))
    axis.set_xlabel("frame")
    axis.axvline(side * len([time for time in shown if time < seen]) - GAP / 2, color="tab:red")
    for above in np.cumsum([len(rows) for rows in videos])[:-1]:
        axis.axhline(side * above - GAP / 2, color="black", linewidth=2)
    axis.spines[:].set_visible(False)
    _save(figure, path)


def draw_directions(examples: Sequence[Example], seen: int, path: Path) -> None:
    """Distributions of velocities frame by frame, sampled and true, and the path up to the wall (Fig. 5)."""
    rows = [(example, name) for example in examples for name in [*example.models, "truth"]]
    steps = len(examples[0].truth)
    figure = _new_figure((0.62 * (steps + 2), 0.72 * len(rows)))
    axes = figure.subplots(len(rows), steps + 1, squeeze=False)
    for line, (example, name) in zip(axes, rows, strict=True):
        counts = example.truth if name == "truth" else example.models[name]
        for step, axis in enumerate(line[:-1]):
            # Square roots, so that what is rare can be seen beside what is certain.
            axis.imshow(counts[step] ** 0.5, cmap="magma", vmin=0, extent=[-REACH, REACH, REACH, -REACH])
            axis.set(xticks=[], yticks=[])
            axis.set_title(str(step + seen), fontsize=7, pad=2)
        line[0].set_ylabel(name, fontsize=7, rotation=0, ha="right", va="center")
        last = line[-1]
        last.set(xticks=[], yticks=[], xlim=(0, 63), ylim=(63, 0), aspect="equal")
        last.set_title(f"wall at {example.first_wall}", fontsize=7, pad=2)
        last.plot(*example.path.T, ".-", color="black", markersize=3, linewidth=1)
    figure.subplots_adjust(wspace=0.08, hspace=0.35)
    _save(figure, path)


def draw_prior_spread(spreads: Mapping[str, Spreads], path: Path) -> None:
    """The prior's standard deviation over time, mean ± one deviation over videos, for a shared path (Fig. 6).

    Vertical lines are frames that first show a new velocity, one colour per digit.
    """
    figure = _new_figure((12, 3.2 * len(spreads)), layout="constrained")
    axes = figure.subplots(len(spreads), 1, squeeze=False)
    for axis, (name, found) in zip(axes[:, 0], spreads.items(), strict=True):
        times = np.arange(1, found.values.shape[1] + 1)
        mean, deviation = found.values.mean(0), found.values.std(0)
        axis.plot(times, mean, color="black", linewidth=1)
        axis.fill_between(times, mean - deviation, mean + deviation, color="grey", alpha=0.4, linewidth=0)
        for digit, fresh in enumerate(found.fresh[0].T):
            label = f"digit {digit + 1}: first frame of a new velocity"
            bottom, top = axis.get_ylim()
            colour = COLOURS[digit % len(COLOURS)]
            axis.vlines(times[fresh], bottom, top, colour, "dashed", linewidth=1, label=label)
            axis.set_ylim(bottom, top)
        axis.set(xlabel="frame", ylabel="standard deviation of the prior", title=name)
        axis.set_xlim(times[0], times[-1])
        axis.legend(fontsize=8, loc="upper right")
    _save(figure, path)


def _row(frames: UInt8[np.ndarray, "T H W C"]) -> UInt8[np.ndarray, "h w 3"]:
    """Pictures side by side, with a white gap right of and below each."""
    colour = np.broadcast_to(frames, (*frames.shape[:3], 3))
    padded = np.pad(colour, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=WHITE)
    return np.concatenate([*padded], axis=1)


def _new_figure(figsize: tuple[float, float], layout: str | None = None) -> Any:
    # Imported by who draws, because it takes a while.
    from world_models.jobs.figures import new_figure

    return new_figure(figsize=figsize, layout=layout)


def _save(figure: Any, path: Path) -> None:
    from world_models.jobs.figures import save_figure

    save_figure(figure, path, dpi=DPI, bbox_inches="tight")
