"""Pictures of a tiny model: what is where, and in which colours."""

import numpy as np
import pytest
import torch
from PIL import Image

from world_models.struct_vrnn.evaluation.figures import (
    BORDER,
    DIMMED,
    DOT,
    FONT,
    GAP,
    IMAGINED,
    LABEL,
    SCALE,
    SEEN,
    _with_keypoints,
    film_strip,
    sample_fan,
)
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.vision import from_pixels

SIDE = 16 * SCALE + 2 * BORDER
STEP = SIDE + GAP
TOP = FONT + 4


def strip(tmp_path, representation="keypoints", pixel=(12.0, 4.0)):
    """Grey frames, four of six of them seen, and one large keypoint."""
    model = StructVRNN(DEBUG.model.model_copy(update={"representation": representation})).eval()
    torch.nn.init.zeros_(model.vision.painter.bias)  # its weights are: it paints the reference
    features = torch.zeros(6, 4, 3)
    features[..., :2] = from_pixels(torch.tensor(pixel), 16)
    features[:, 0, 2] = 1.0
    frames = np.full((6, 16, 16, 3), 100, np.uint8)
    film_strip(model, frames, features.flatten(1), torch.zeros(2, 2, 12), tmp_path / "strip.png")
    with Image.open(tmp_path / "strip.png") as picture:
        return np.asarray(picture).astype(int)


def tile(picture, row, column):
    """One picture with its border."""
    top, left = TOP + row * STEP, LABEL + column * STEP
    return picture[top : top + SIDE, left : left + SIDE]


def test_frames_are_marked_as_seen_or_imagined(tmp_path):
    picture = strip(tmp_path)
    assert picture.shape == (TOP + 5 * STEP, LABEL + 3 * STEP, 3)  # every second frame of six
    colours = [tuple(tile(picture, 0, column)[0, 0]) for column in range(3)]
    assert colours == [SEEN, SEEN, IMAGINED]
    assert (tile(picture, 3, 1) == 255).all()  # nothing is imagined of seen frames
    assert tuple(tile(picture, 3, 2)[0, 0]) == IMAGINED
    assert (tile(picture, 4, 2)[BORDER:-BORDER, BORDER:-BORDER] == 100).all()


def test_a_keypoint_is_drawn_where_it_is(tmp_path):
    inside = tile(strip(tmp_path), 1, 0)[BORDER:-BORDER, BORDER:-BORDER]
    marked = np.argwhere((inside != 100 * DIMMED).any(-1))
    y, x = marked.mean(0)
    # The centre of pixel 12 is 12.5 pixels from the edge.
    assert (x + 0.5, y + 0.5) == pytest.approx((12.5 * SCALE, 4.5 * SCALE), abs=0.6)


def test_trails_fade_and_need_a_keypoint_on_both_sides():
    """Three keypoints run to the right on black: one all the time, one that is off, one that has come on."""
    features = torch.zeros(4, 3, 3)
    features[..., 0] = torch.linspace(-0.6, 0.6, 4)[:, None]
    features[..., 1] = torch.tensor([-0.8, 0.0, 0.8])
    features[:, 0, 2], features[3, 2, 2] = 1.0, 1.0
    black = [np.zeros((16 * SCALE, 16 * SCALE, 3), np.uint8)] * 4
    shown = _with_keypoints(black, features.flatten(1))[3].max(-1).astype(int)
    top, middle, bottom = np.split(shown, 3)
    columns = np.flatnonzero(top.max(0))
    old, young = top[:, columns[: len(columns) // 3]].max(), top[:, columns[len(columns) // 3 :]].max()
    assert 0 < old < young == 255
    assert middle.max() == 0
    assert np.ptp(np.flatnonzero(bottom.max(0))) <= 2 * DOT < np.ptp(columns)


def test_an_unstructured_model_has_no_keypoints(tmp_path):
    assert len(strip(tmp_path, "vector")) == TOP + 4 * STEP


def test_a_fan_has_a_panel_per_model_and_body(tmp_path):
    fans = {"a": torch.rand(5, 3, 2, 2), "b": torch.rand(5, 3, 2, 2)}
    sample_fan(fans, torch.rand(7, 2, 2), ("hip", "foot"), tmp_path / "fan.png")
    sample_fan({"a": fans["a"]}, torch.rand(7, 2, 2), ("hip", "foot"), tmp_path / "row.png")
    with Image.open(tmp_path / "fan.png") as fan, Image.open(tmp_path / "row.png") as row:
        assert fan.size == (row.width, 2 * row.height)
