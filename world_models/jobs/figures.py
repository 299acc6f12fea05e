"""Figures that are drawn without a display, whatever the user's own choice for it is."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

# Matplotlib reads the variable when it is imported, and a back end that is not installed ends it.
os.environ["MPLBACKEND"] = "agg"

import matplotlib
from matplotlib.axes import Axes as Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Figure
from matplotlib.lines import Line2D as Line2D
from matplotlib.patches import Circle as Circle

from world_models.files import write_bytes


def new_figure(**options: Any) -> Figure:
    """An empty figure; ``options`` are those of :class:`matplotlib.figure.Figure`."""
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure


def colour_of(name: str, share: float) -> tuple[float, float, float, float]:
    """Red, green, blue and opacity at ``share`` (0 to 1) of a colour map."""
    return matplotlib.colormaps[name](share)


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure as PNG, whole or not at all; ``options`` are those of ``Figure.savefig``.

    Raises:
        OSError: it cannot be written.
    """
    content = BytesIO()
    figure.savefig(content, format="png", **options)
    write_bytes(path, content.getvalue())
