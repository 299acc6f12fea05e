"""Pictures of what KeyIn makes of held-out sequences, in the manner of the paper's figures 4 to 7."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from world_models.files import write_bytes
from world_models.frames import Picture, to_bytes
from world_models.keyin.model import KeyIn
from world_models.keyin.recipe import ObjectColor
from world_models.keyin.reconstruction import decode, imagine, reconstruct
from world_models.segmenter import find_blob

WIDTH = 64
"""Smaller pictures are enlarged to this many pixels."""
BORDER = 3
TRUE, FOUND, PLAIN = (60, 200, 90), (250, 140, 20), (110, 110, 110)
"""Colours of frames: recorded keyframes green, found ones orange."""
SAMPLES = 100


def reconstruction_strips(
    model: KeyIn,
    frames: Float[Tensor, "B frames C H W"],
    flags: Bool[Tensor, "B {model.config.frames+1}"],
    generator: torch.Generator,
    path: Path,
) -> None:
    """Two rows per sequence, times 0..N: the truth and its reconstruction, keyframes in coloured frames."""
    found = reconstruct(model, frames, generator)
    count = model.config.frames
    first = frames[:, model.config.context - 1 :]
    shown = torch.cat([first[:, :1], decode(model, found.embeddings)], dim=1)
    marked = torch.zeros(len(frames), count + 1, dtype=torch.bool)
    for row, times in zip(marked, found.times.cpu(), strict=True):
        row[times[times <= count]] = True
    rows = []
    for index in range(len(frames)):
        rows += [_strip(first[index], flags[index], TRUE), _strip(shown[index], marked[index], FOUND)]
        rows.append(np.full((2 * BORDER, rows[-1].shape[1], 3), 255, dtype=np.uint8))
    _save(np.concatenate(rows[:-1]), path)


def sampled_paths(
    model: KeyIn,
    frames: Float[Tensor, "B frames C H W"],
    thing: ObjectColor,
    generator: torch.Generator,
    path: Path,
) -> None:
    """Paths of the object in 100 prior samples over each start picture, and the true path in black and white.

    A path has gaps where a decoded frame shows no object.
    """
    from world_models.jobs.figures import colour_of, new_figure, save_figure

    seen = model.config.context
    figure = new_figure(figsize=(4 * len(frames), 4))
    axes = figure.subplots(1, len(frames), squeeze=False)
    for axis, sequence in zip(axes[0], frames, strict=True):
        context = sequence[None, :seen].expand(SAMPLES, -1, -1, -1, -1)
        pictures = decode(model, imagine(model, context, generator).embeddings)
        paths = find_blob(pictures.flatten(0, 1), thing.color, thing.tolerance).centre
        start = find_blob(sequence[seen - 1 :], thing.color, thing.tolerance).centre.cpu()
        axis.imshow(to_bytes(sequence[seen - 1]), interpolation="nearest")
        for index, track in enumerate(paths.unflatten(0, pictures.shape[:2]).cpu()):
            colour = colour_of("hsv", index / SAMPLES)
            axis.plot(*torch.cat([start[:1], track]).T.numpy(), color=colour, linewidth=0.7, alpha=0.6)
        axis.plot(*start.T.numpy(), color="black", linewidth=3)
        axis.plot(*start.T.numpy(), color="white", linewidth=1.5)
        axis.set_axis_off()
    figure.tight_layout(pad=0.3)
    save_figure(figure, path, dpi=110)


def _strip(
    frames: Float[Tensor, "T C H W"], marked: Bool[Tensor, " T"], colour: tuple[int, int, int]
) -> Picture:
    """Frames side by side, each in a coloured or a plain frame."""
    tiles = []
    for picture, mark in zip(to_bytes(frames), marked.tolist(), strict=True):
        scale = max(1, WIDTH // picture.shape[0])
        large = picture.repeat(scale, axis=0).repeat(scale, axis=1)
        side = large.shape[0] + 2 * BORDER
        tile = np.full((side, side, 3), colour if mark else PLAIN, dtype=np.uint8)
        tile[BORDER:-BORDER, BORDER:-BORDER] = large
        tiles.append(tile)
    return np.concatenate(tiles, axis=1)


def _save(picture: Picture, path: Path) -> None:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    write_bytes(path, buffer.getvalue())
