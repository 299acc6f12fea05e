"""Have a Kalman model say where cannonballs fly, from pictures of a part of the way.

    python examples/cannonballs.py [URL] [--balls 2] [--seed 3] [--out demo/cannonballs.png]

Draws a video. The model is shown its beginning and goes on from there; then it is shown its end too and fills
in what is missing between. Writes a plot of both over the true flights, with ellipses of two standard
deviations.

URL is that of a running server (``make serve``), else ``WAYMARK_URL`` or http://127.0.0.1:8000; a key, if it
wants one, is taken from ``WAYMARK_KEY``.
"""

import os
from itertools import permutations
from pathlib import Path
from typing import Annotated, Literal

import httpx2
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from envs.videos.cannonballs import Videos, draw_sequences
from server.catalogue.schemas import TrackModelInfo
from server.client import Client, Positions, ServerProblem

SHOWN, MISSING = 5, 20
"""Frames on each side, and frames between."""


def error(found: Positions, truth: np.ndarray) -> float:
    """Mean distance to the true places ``[J T 2]`` in pixels; the model may count objects in any order."""
    orders = permutations(range(len(truth)))
    return min(float(np.linalg.norm(found.means[list(order)] - truth, axis=-1).mean()) for order in orders)


def draw(axis: Axes, found: Positions, truth: np.ndarray, title: str) -> None:
    """Paths found over true ones, in pixels."""
    turn = np.linspace(0, 2 * np.pi, 40)
    circle = 2 * np.stack([np.cos(turn), np.sin(turn)])
    for means, covariances in zip(found.means, found.covariances, strict=True):
        (line,) = axis.plot(*means.T, ".-", markersize=4)
        for mean, root in zip(means, np.linalg.cholesky(covariances), strict=True):
            axis.plot(*(mean[:, None] + root @ circle), color=line.get_color(), linewidth=0.3)
    for path in truth:
        axis.plot(*path.T, "k:", linewidth=1)
    axis.set(title=f"{title}: {error(found, truth):.2f} pixels", aspect="equal")
    axis.invert_yaxis()


def main(
    url: Annotated[str, tyro.conf.Positional] = os.environ.get("WAYMARK_URL", "http://127.0.0.1:8000"),
    balls: Literal[1, 2, 3] = 2,
    seed: int = 3,
    out: Path = Path("demo/cannonballs.png"),
) -> None:
    """Follow balls with the server at ``url``."""
    try:
        with Client(url) as client:
            model = next((each for each in client.models() if isinstance(each, TrackModelInfo)), None)
            if model is None:
                raise SystemExit(f"{url} has no Kalman model")
            end = SHOWN + MISSING
            video = draw_sequences(Videos(balls, end + SHOWN, model.image_size), seed, 0, 1)
            frames = video.frames[0]
            truth = video.states[0].reshape(end + SHOWN, 3, balls, 2)[SHOWN:end, 1].swapaxes(0, 1)
            gone_on = client.predictions(frames[:SHOWN], steps=MISSING, objects=balls, model=model.name)
            between = client.interpolations(frames[:SHOWN], frames[end:], MISSING, balls, model=model.name)
    except (ServerProblem, httpx2.HTTPError) as problem:
        raise SystemExit(str(problem)) from problem
    assert gone_on.predicted is not None
    figure = Figure(figsize=(9, 4.5))
    axes = figure.subplots(1, 2)
    for axis, found, name in zip(
        axes, (gone_on.predicted, between.positions), ("foreseen", "filled in"), strict=True
    ):
        print(f"{name}: mean distance to the true places {error(found, truth):.2f} pixels")
        draw(axis, found, truth, name)
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
