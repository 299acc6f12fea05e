"""Detector, rendering and generator of Struct-VRNN in closed form."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.vision import KeypointCode, VectorCode, Vision, from_pixels, to_pixels

CONFIG = DEBUG.model.model_copy(update={"image_size": 32, "widths": (0, 4, 3), "keypoints": 3})
SIDE = CONFIG.map_size


def transparent():
    """A code whose keypoint maps are the incoming maps; 0 stands for dark, 40 for bright."""
    code = KeypointCode(CONFIG).requires_grad_(False)
    code.maps.weight.copy_(torch.eye(3)[:, :, None, None])
    code.maps.bias.zero_()
    return code


def bright(*cells):
    """One map per (column, row), dark but for that cell."""
    maps = torch.full((1, len(cells), SIDE, SIDE), -40.0)
    for k, (column, row) in enumerate(cells):
        maps[0, k, row, column] = 40.0
    return maps


def test_a_bright_cell_is_a_keypoint_there():
    found = transparent().detect(bright((0, 0), (SIDE - 1, 0), (2, SIDE - 1)))
    x, y, scale = found.features.unflatten(-1, (-1, 3))[0].unbind(-1)
    torch.testing.assert_close(x, torch.tensor([-1.0, 1.0, 4.0 / (SIDE - 1) - 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(y, torch.tensor([-1.0, -1.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(scale, torch.ones(3))


def test_a_keypoint_is_the_centre_of_mass():
    maps = bright((1, 2), (1, 2), (1, 2))
    maps[0, 0, 2, 3] = 40.0
    x, y, _ = transparent().detect(maps).features.unflatten(-1, (-1, 3))[0].unbind(-1)
    columns, rows = (to_pixels(part, CONFIG.image_size) for part in (x, y))
    torch.testing.assert_close(columns, torch.tensor([9.5, 5.5, 5.5]), atol=1e-3, rtol=0)
    torch.testing.assert_close(rows, torch.tensor([9.5, 9.5, 9.5]), atol=1e-3, rtol=0)


def test_scales_are_relative_to_the_largest():
    maps = bright((1, 1), (2, 2), (3, 3))
    maps[0, 1, 2, 2], maps[0, 2, 3, 3] = 20.0, 10.0
    found = transparent().detect(torch.cat([maps, bright((0, 0), (1, 1), (2, 2))]))
    scale = found.features.unflatten(-1, (-1, 3))[..., 2]
    torch.testing.assert_close(scale, torch.tensor([[1.0, 0.5, 0.25], [1.0, 1.0, 1.0]]), atol=1e-4, rtol=0)
    activity = torch.tensor([40.0, 20.0, 10.0]) / SIDE**2
    torch.testing.assert_close(found.activity[0], activity, atol=1e-4, rtol=0)


def test_pixels_and_coordinates_are_inverse():
    """A cell covers 4 x 4 pixels: its centre is at 1.5, 5.5, ... where pixel centres are integers."""
    centres = torch.linspace(-1.0, 1.0, 16)
    torch.testing.assert_close(to_pixels(centres, 64), torch.arange(16.0) * 4.0 + 1.5)
    pixels = torch.linspace(-5.0, 70.0, 31)
    torch.testing.assert_close(to_pixels(from_pixels(pixels, 64), 64), pixels)


def test_a_blob_peaks_at_its_keypoint_and_scales_with_it():
    code = transparent()
    column, row = code.line[2], code.line[5]
    features = torch.stack([column, row, torch.tensor(1.0)]).repeat(1, 3)
    features[0, 5] = 0.25
    maps = code.render(features)
    assert divmod(int(maps[0, 0].argmax()), SIDE) == (5, 2)
    torch.testing.assert_close(maps[0, 0, 5, 2], torch.tensor(1.0))
    torch.testing.assert_close(maps[0, 1], 0.25 * maps[0, 0])
    # One cell beside the centre, a Gaussian of blob_width cells has fallen to exp(-1 / 2 width^2).
    beside = torch.tensor(-0.5 / CONFIG.blob_width**2).exp()
    torch.testing.assert_close(torch.stack([maps[0, 0, 5, 3], maps[0, 0, 4, 2]]), beside.expand(2))


def test_rendered_keypoints_are_detected_again():
    """Blobs in the middle of a map, seen as brightness, have their keypoints as centres of mass."""
    code = transparent()
    features = torch.tensor([[0.1, -0.2, 1.0, -0.15, 0.05, 1.0, 0.0, 0.2, 1.0]])
    brightness = code.render(features)
    raw = torch.where(brightness > 1e-3, torch.log(torch.expm1(brightness)), -40.0)  # undo the softplus
    found = code.detect(raw).features.unflatten(-1, (-1, 3))
    torch.testing.assert_close(found[..., :2], features.unflatten(-1, (-1, 3))[..., :2], atol=0.02, rtol=0)


def test_the_vector_has_mean_zero_and_variance_one():
    code = VectorCode(CONFIG.model_copy(update={"representation": "vector"}))
    found = code.detect(torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))
    assert found.features.shape == (5, CONFIG.features)
    torch.testing.assert_close(found.features.mean(-1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.features.std(-1, correction=0), torch.ones(5), atol=0.01, rtol=0)
    assert (found.activity == 0).all()
    assert code.render(found.features).shape == (5, CONFIG.keypoints, SIDE, SIDE)


@pytest.mark.parametrize(
    ("widths", "representation", "extra_layers"),
    [((0, 4, 8), "keypoints", 1), ((4, 4, 8), "keypoints", 2), ((0, 4, 8), "vector", 1)],
)
def test_pictures_begin_as_the_reference_and_can_change_everywhere(widths, representation, extra_layers):
    update = {"widths": widths, "representation": representation, "extra_layers": extra_layers}
    vision = Vision(CONFIG.model_copy(update=update)).requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    frames = torch.rand(2, 3, 32, 32, generator=rng)
    features = vision.detect(frames).features
    reference = vision.reference(frames)
    assert torch.equal(vision.generate(features, reference), frames)
    vision.painter.weight.copy_(torch.randn(vision.painter.weight.shape, generator=rng))
    change = vision.generate(features, reference) - frames
    assert change.shape == frames.shape and (change != 0).float().mean() > 0.99
    given = vision.reference(frames, features.roll(1, 0))
    assert (vision.generate(features, given) != vision.generate(features, reference)).any()


def test_repeated_references_are_rows_in_a_row():
    vision = Vision(CONFIG).requires_grad_(False)
    frames = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    wide = vision.reference(frames).repeat(3)
    for part in (wide.frames, wide.maps, wide.appearance):
        assert len(part) == 6 and torch.equal(part[0], part[2]) and not torch.equal(part[2], part[3])


def test_full_size_layers_are_there_where_asked_for():
    """Table S1: with 32 filters at full size the first convolution keeps the picture's size."""
    strides = {
        widths: [layer.stride[0] for layer in Vision(CONFIG.model_copy(update={"widths": widths})).trunk[::2]]
        for widths in ((4, 4, 8), (0, 4, 8))
    }
    assert strides == {(4, 4, 8): [1, 1, 2, 1, 2, 1], (0, 4, 8): [2, 1, 2, 1]}
    assert all(isinstance(layer, nn.LeakyReLU) for layer in Vision(CONFIG).trunk[1::2])


def test_odd_pictures_are_refused():
    with pytest.raises(ValidationError, match="image_size 30 must be a multiple of 4"):
        StructVRNNConfig(image_size=30)
