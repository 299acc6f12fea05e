"""Figures 3, 6 and 9 of the paper, from the first test videos. Balls are in pixels, x right and y down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from world_models.kalman.ed_lstm.model import EDLSTM
from world_models.kalman.evaluation.averaging import Averaging
from world_models.kalman.evaluation.held_out_videos import TestVideos
from world_models.kalman.evaluation.scores import Affine
from world_models.kalman.model import Kalman
from world_models.kalman.queries import generate, interpolate

EXAMPLES = 4
"""Videos of every number of balls in figure 3, and columns of figure 9."""
PAIRS = 2
"""Videos of every number of balls in figure 6."""
FAINTEST = 0.25
"""Brightness of the earliest picture where pictures are overlaid; the latest has 1."""
Generator = Callable[[Tensor, int, int], Tensor]
"""Pictures ``[B L 1 H W]`` from frames, number of balls and number of steps."""
TRUE, INFERRED, GENERATED, INTERPOLATED = "black", "tab:blue", "tab:red", "tab:cyan"


@dataclass(frozen=True)
class Pictured:
    """Videos with one number of balls, and the map from the model's pixels to true ones."""

    videos: TestVideos
    fitted: Affine

    @property
    def balls(self) -> int:
        """How many."""
        return self.videos.positions.shape[1]


@torch.no_grad()
def draw_figures(
    model: Kalman, baseline: EDLSTM | None, pictured: Sequence[Pictured], seen: int, beside: Path
) -> list[Path]:
    """Write ``<name>-inferred.png`` (Fig. 3), ``-generated.png`` (Fig. 6) and ``-interpolated.png`` (Fig. 9).

    Args:
        model: the Kalman model.
        baseline: drawn under its pictures, of the mean and averaged over the forecast, in Fig. 6.
        pictured: videos to choose from, one entry per number of balls.
        seen: frames given before what is generated, and after what is interpolated.
        beside: results that the figures belong to; they are named after them.
    """
    names = ("inferred", "generated", "interpolated")
    paths = [beside.with_name(f"{beside.stem}-{name}.png") for name in names]
    _draw_inferred(model, pictured, paths[0])
    _draw_generated(model, baseline, pictured, seen, paths[1])
    _draw_interpolated(model, pictured, seen, paths[2])
    return paths


def _draw_inferred(model: Kalman, pictured: Sequence[Pictured], path: Path) -> None:
    """True trajectories in black, inferred ones in blue."""
    figure = _new_figure(figsize=(2.6 * EXAMPLES, 2.6 * len(pictured)))
    axes = figure.subplots(len(pictured), EXAMPLES, squeeze=False)
    for row, some in zip(axes, pictured, strict=True):
        frames, truth = some.videos.frames[:EXAMPLES], some.videos.positions[:EXAMPLES]
        found = _inferred(model, some, frames)
        for axis, balls, tracks in zip(row, truth, found, strict=False):
            _lines(axis, balls, color=TRUE, linewidth=1.5)
            _lines(axis, tracks, color=INFERRED, marker=".", markersize=3, linewidth=0.8)
            _frame(axis, frames.shape[-1])
    figure.suptitle("true (black) and inferred (blue) trajectories")
    _save(figure, path)


def _draw_generated(
    model: Kalman, baseline: EDLSTM | None, pictured: Sequence[Pictured], seen: int, path: Path
) -> None:
    """Pairs of generated and true pictures, overlaid in time."""
    averaging = Averaging(model)
    rows: dict[str, Generator] = {
        "Kalman, mean": lambda frames, balls, steps: generate(model, frames, balls, steps).frames,
        "Kalman, averaged": lambda frames, balls, steps: averaging(generate(model, frames, balls, steps)),
    }
    if baseline is not None:
        rows["ED-LSTM"] = lambda frames, _, steps: baseline.generate(frames, steps)
    columns = 2 * PAIRS * len(pictured)
    figure = _new_figure(figsize=(1.6 * columns, 1.9 * len(rows)))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, generator) in zip(axes, rows.items(), strict=True):
        made, true = [], []
        for some in pictured:
            frames = some.videos.frames[:PAIRS].to(_device(model))
            steps = frames.shape[1] - seen
            made += [*generator(frames[:, :seen], some.balls, steps).cpu()]
            true += [*frames[:, seen:].cpu()]
        for index, (left, right) in enumerate(zip(made, true, strict=True)):
            _picture(row[2 * index], left, "generated")
            _picture(row[2 * index + 1], right, "true")
        row[0].set_ylabel(name)
    figure.suptitle(f"frames after the first {seen}, overlaid in time; later ones are brighter")
    _save(figure, path)


def _draw_interpolated(model: Kalman, pictured: Sequence[Pictured], seen: int, path: Path) -> None:
    """Trajectories; below, what is generated and interpolated on the frames between, next to the truth."""
    several = [some for some in pictured if some.balls > 1] or [*pictured]
    share = EXAMPLES // len(several)
    figure = _new_figure(figsize=(3.4 * share * len(several), 5.6))
    grid = figure.add_gridspec(3, 2 * share * len(several), height_ratios=(2, 1, 1))
    for block, some in enumerate(several):
        frames = some.videos.frames[:share].to(_device(model))
        steps = frames.shape[1] - seen
        ahead = generate(model, frames[:, :seen], some.balls, steps)
        between = interpolate(model, frames[:, :seen], frames[:, -seen:], some.balls, steps - seen)
        found = _inferred(model, some, some.videos.frames[:share])
        for index in range(len(frames)):
            left = 2 * (block * share + index)
            axis = figure.add_subplot(grid[0, left : left + 2])
            _lines(axis, some.videos.positions[index], color=TRUE, linewidth=1.2)
            _lines(axis, found[index], color=INFERRED, marker=".", markersize=2.5, linewidth=0.6)
            _lines(axis, some.fitted(ahead.means[index].cpu()), color=GENERATED, linewidth=1.2)
            _lines(axis, some.fitted(between.means[index].cpu()), color=INTERPOLATED, linewidth=1.2)
            _frame(axis, frames.shape[-1])
            true = frames[index, seen:-seen].cpu()
            made = {"generated": ahead.frames[index, : steps - seen], "interpolated": between.frames[index]}
            for line, (name, pictures) in enumerate(made.items(), 1):
                _picture(figure.add_subplot(grid[line, left]), pictures.cpu(), name)
                _picture(figure.add_subplot(grid[line, left + 1]), true, "true")
    figure.suptitle("true (black), inferred (blue), generated (red), interpolated (cyan)")
    _save(figure, path)


def _inferred(model: Kalman, some: Pictured, frames: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B N T 2"]:
    means = model.infer(frames.to(_device(model)), some.balls).means
    return some.fitted(model.to_pixels(means).cpu())


def _device(model: Kalman) -> torch.device:
    return next(model.parameters()).device


def _lines(axis: Any, tracks: Float[Tensor, "N T 2"], **style: Any) -> None:
    for track in tracks:
        axis.plot(*track.T.numpy(), **style)


def _frame(axis: Any, size: int) -> None:
    """The picture's edges, with y down."""
    axis.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
    axis.tick_params(labelsize=6)


def _picture(axis: Any, frames: Float[Tensor, "T 1 H W"], title: str) -> None:
    axis.imshow(overlay(frames), cmap="gray", vmin=0.0, vmax=1.0)
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=7)


def overlay(frames: Float[Tensor, "T 1 H W"]) -> Float[np.ndarray, "H W"]:
    """Pictures overlaid in time: the brightest counts, and later ones are brighter."""
    brightness = torch.linspace(FAINTEST, 1.0, len(frames))
    overlaid: Float[np.ndarray, "H W"] = (frames[:, 0] * brightness[:, None, None]).amax(dim=0).numpy()
    return overlaid


def _new_figure(figsize: tuple[float, float]) -> Any:
    # Imported when needed, because it takes a while.
    from world_models.jobs.figures import new_figure

    return new_figure(figsize=figsize)


def _save(figure: Any, path: Path) -> None:
    from world_models.jobs.figures import save_figure

    figure.tight_layout()
    save_figure(figure, path, dpi=110)
