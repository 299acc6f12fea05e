"""A page of pictures by which a person can judge a Struct-VRNN of any data."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from world_models.data import SequenceDataset
from world_models.frames import to_bytes, to_tensor
from world_models.interface import Context
from world_models.jobs.figures import Axes, colour_of, new_figure, save_figure
from world_models.struct_vrnn.model import FAINT, StructVRNN
from world_models.struct_vrnn.vision import to_pixels

PICTURES = "pictures.png"
"""Beside the card."""
SHOWN = 8
"""Pictures in a row."""


@torch.no_grad()
def draw_own(model: StructVRNN, data: SequenceDataset, start: int, observed: int, path: Path) -> None:
    """Write held-out sequences with the trails of their keypoints, and one that is foreseen from its first
    frames and its actions, beside what came.
    """
    batch = data[start : start + SHOWN]
    device = next(model.parameters()).device
    frames = to_tensor(batch.frames, device)
    actions = torch.from_numpy(batch.actions).to(device)
    figure = new_figure(figsize=(1.25 * SHOWN, 4.2))
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.92, wspace=0.1, hspace=0.2)
    axes = figure.subplots(3, SHOWN, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for axis, sequence in zip(axes[0], frames, strict=False):
        features = model.embed(sequence)
        axis.imshow(to_bytes(sequence[-1]), interpolation="nearest")
        _draw_trails(axis, model, features)
    state = model.encode(Context(frames[:1, :observed], actions[:1, : observed - 1]))
    future = model.imagine(state, actions[:1, observed - 1 :])
    reference = model.reference(frames[:1, 0])
    times = torch.linspace(0, future.features.shape[1] - 1, SHOWN).long().tolist()
    for column, time in enumerate(times):
        axes[1][column].imshow(to_bytes(frames[0, observed + time]), interpolation="nearest")
        decoded = model.decode(future.features[:, time], reference)
        axes[2][column].imshow(to_bytes(decoded[0]), interpolation="nearest")
    for row, title in enumerate(("keypoints, with trails", "what came", "what was foreseen")):
        axes[row][0].set_title(title, fontsize=8, loc="left")
    save_figure(figure, path, dpi=90)


def _draw_trails(axis: Axes, model: StructVRNN, features: Float[Tensor, "T F"]) -> None:
    keypoints = features[:, : model.config.detected].unflatten(-1, (-1, 3)).cpu()
    for number, trail in enumerate(keypoints.unbind(1)):
        if float(trail[:, 2].median()) > FAINT:
            x, y = to_pixels(trail[:, :2], model.config.image_size).unbind(-1)
            colour = colour_of("tab10", number / 10)
            axis.plot(x, y, color=colour, linewidth=0.9)
            axis.plot(x[-1:], y[-1:], "o", color=colour, markersize=2.5)
