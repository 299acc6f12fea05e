import gzip
import shutil
from hashlib import md5

import numpy as np
import pytest

from envs.videos.digits import BUNDLED, MNIST, TRAINING, load_digits, read_idx
from envs.videos.moving_digits import Videos, draw_sequences
from world_models.data import DataError


def idx(images):
    return b"".join(n.to_bytes(4, "big") for n in (0x803, *images.shape)) + images.tobytes()


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Three training digits and one for testing, the latter gzipped, that pass for MNIST's."""
    images = np.zeros((4, 28, 28), np.uint8)
    images[np.arange(4), 4 + np.arange(4), 10] = 255
    digests = {"train": md5(idx(images[:3])).hexdigest(), "test": md5(idx(images[3:])).hexdigest()}
    monkeypatch.setattr("envs.videos.digits.MD5", digests)
    (tmp_path / MNIST["train"]).write_bytes(idx(images[:3]))
    (tmp_path / f"{MNIST['test']}.gz").write_bytes(gzip.compress(idx(images[3:])))
    return tmp_path


def test_bundled_digits_are_split_in_two_and_none_is_in_both():
    train, test = load_digits("train"), load_digits("test")
    assert train.shape == (TRAINING, 32, 32) and test.shape == (297, 32, 32)
    assert not {digit.tobytes() for digit in train} & {digit.tobytes() for digit in test}
    with np.load(BUNDLED) as file:
        assert np.bincount(file["labels"][TRAINING:]).min() >= 27


def test_enlarged_digits_keep_their_shape_and_stay_off_the_edge():
    with np.load(BUNDLED) as file:
        small = file["images"][:TRAINING] * (255 / 16)
    large = load_digits("train")
    assert large[:, 4:28, 4:28].sum() == large.sum() and large.max() == 255
    blocks = large[:, 4:28, 4:28].reshape(-1, 8, 3, 8, 3).mean((2, 4))
    assert np.corrcoef(blocks.ravel(), small.ravel())[0, 1] > 0.98


def test_bundled_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    original = datasets.load_digits()
    with np.load(BUNDLED) as file:
        assert np.array_equal(file["images"], original.images)
        assert np.array_equal(file["labels"], original.target)


def test_videos_of_other_digits_are_other_videos(mnist, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(mnist, other)
    changed = bytearray((other / MNIST["train"]).read_bytes())
    changed[-1] ^= 1
    (other / MNIST["train"]).write_bytes(changed)
    one, two, bundled = (Videos(mnist=folder).origin() for folder in (mnist, other, None))
    assert one.keys() == two.keys() == bundled.keys()
    assert len({origin["digits_sha256"] for origin in (one, two, bundled)}) == 3


def test_files_of_mnist_are_read_plain_and_gzipped(mnist):
    train, test = load_digits("train", mnist), load_digits("test", mnist)
    assert train.shape == (3, 32, 32) and test.shape == (1, 32, 32)
    assert np.array_equal(read_idx(mnist / MNIST["train"])[2].nonzero(), [[6], [10]])
    for row, digit in enumerate((*train, *test), 4):
        y, x = (np.average(axis, weights=digit) for axis in np.mgrid[:32, :32])
        assert ((y + 0.5) * 28 / 32, (x + 0.5) * 28 / 32) == pytest.approx((row + 0.5, 10.5), abs=0.1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with 0x00000000, not 0x00000803"),
        (idx(np.zeros((2, 28, 28), np.uint8))[:-1], "1583 bytes, but .* need 1584"),
        ((0x801).to_bytes(4, "big") + bytes(12), "begins with 0x00000801"),
    ],
)
def test_malformed_files_are_refused(tmp_path, content, message):
    path = tmp_path / MNIST["train"]
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_digits("train", tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(DataError, match="has no t10k-images-idx3-ubyte or"):
        load_digits("test", tmp_path)
    (tmp_path / f"{MNIST['test']}.gz").write_bytes(gzip.compress(bytes(100))[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        load_digits("test", tmp_path)


def test_other_digits_than_mnists_are_refused(tmp_path):
    (tmp_path / MNIST["train"]).write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    with pytest.raises(DataError, match="is not MNIST's train-images-idx3-ubyte: the MD5"):
        load_digits("train", tmp_path)


def test_videos_in_the_protocol_of_srvp_show_digits_as_they_are(mnist):
    videos = Videos(count=1, frames=8, mnist=mnist, protocol="srvp")
    drawn = draw_sequences(videos, 3, 0, 4)
    assert drawn.frames.shape == (4, 8, 64, 64, 1)
    assert ((drawn.frames > 0).sum(axis=(2, 3, 4)) == 1).all() and drawn.frames.max() == 255
    assert videos.origin()["protocol"] == "srvp"
    with pytest.raises(ValueError, match="about MNIST's digits"):
        draw_sequences(Videos(protocol="srvp"), 3, 0, 1)
