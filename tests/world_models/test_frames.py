import numpy as np
import pytest
import torch

from world_models.frames import to_bytes, to_tensor


def test_all_byte_values_survive_the_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    assert np.array_equal(to_bytes(to_tensor(pixels)), pixels)


def test_tensor_is_channel_first_and_scaled():
    pixels = np.zeros((2, 4, 6, 3), np.uint8)
    pixels[1, 2, 5, 0] = 255
    tensor = to_tensor(pixels)
    assert tensor.shape == (2, 3, 4, 6) and tensor.dtype == torch.float32
    assert tensor[1, 0, 2, 5] == 1.0 and tensor.sum() == 1.0


def test_bytes_are_clipped_not_wrapped():
    assert to_bytes(torch.tensor([[[-0.5]], [[2.0]]])).tolist() == [[[0, 255]]]


def test_tensor_owns_its_memory():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels.flags.writeable = False
    assert to_tensor(pixels).add_(1.0).sum() == 12.0
    assert pixels.sum() == 0


@pytest.mark.usefixtures("unchecked")
def test_float_pictures_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        to_tensor(np.zeros((4, 4, 3), np.float32))
