import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from envs import collect, data_set
from envs.videos.data_sets import MOVING_DIGITS, MovingDigits
from envs.videos.digit_paths import MNIST_SIDE, PICTURE, ROOM, SPEED, draw_exact_paths, draw_paths
from envs.videos.digits import load_digits
from envs.videos.moving_digits import Videos, draw_pictures, draw_sequences, draw_video
from world_models.data import SequenceDataset, read_attributes

TEST = Videos(split="test")


@pytest.fixture(scope="module")
def paths():
    """400 videos of two digits, 60 frames each."""
    drawn = []
    for index in range(400):
        rng = np.random.default_rng([7, index])
        drawn.append(draw_paths(rng, rng, 2, 60))
    return SimpleNamespace(
        corners=np.stack([d.corners for d in drawn]), hits=np.stack([d.hits for d in drawn])
    )


def test_digits_stay_inside_and_fly_straight_between_walls(paths):
    assert paths.corners.min() == 0 and paths.corners.max() == ROOM - 1
    velocity = np.diff(paths.corners, axis=1)
    assert np.abs(velocity).max() == SPEED
    # Frame t shows the velocity drawn at frame t - 1; a step into a wall is cut short.
    straight = (velocity[:, 1:] == velocity[:, :-1]).all(-1)
    undisturbed = ~(paths.hits[:, 1:-1] | paths.hits[:, 2:])
    assert straight[undisturbed].all()
    assert straight[paths.hits[:, 1:-1]].mean() < 0.1


def test_hits_are_at_walls_and_lead_away_from_them(paths):
    at = paths.corners[:, :-1][paths.hits[:, :-1]]
    after = np.diff(paths.corners, axis=1)[paths.hits[:, :-1]]
    on_wall = (at == 0) | (at == ROOM - 1)
    assert on_wall.any(-1).all()
    away = np.where(at == 0, after, -after)
    single = on_wall.sum(-1) == 1
    normal = away[single][on_wall[single]]
    along = after[single][~on_wall[single]]
    interior = np.abs(at[single][~on_wall[single]] - (ROOM - 1) / 2) < 11  # not cut short by the other wall
    assert np.bincount(normal, minlength=5)[0] == 0
    for values, choices in ((normal, range(1, 5)), (along[interior], range(-4, 5))):
        share = [(values == v).mean() for v in choices]
        np.testing.assert_allclose(share, 1 / len(choices), rtol=0.25)


def test_starts_and_first_velocities_are_uniform():
    starts, velocities = [], []
    for index in range(2000):
        rng = np.random.default_rng([8, index])
        corners = draw_paths(rng, rng, 2, 2).corners
        starts.append(corners[0])
        velocities.append((corners[1] - corners[0])[(corners[0] > 3) & (corners[0] < 28)])
    np.testing.assert_allclose(np.bincount(np.ravel(starts), minlength=ROOM) / 8000, 1 / ROOM, rtol=0.35)
    speeds = np.concatenate(velocities)
    assert speeds.min() == -4 and speeds.max() == 4
    np.testing.assert_allclose(np.bincount(speeds + 4) / len(speeds), 1 / 9, rtol=0.2)


def test_pictures_show_the_digits_where_the_states_say():
    shapes, _ = draw_video(replace(TEST, count=1), 1, 0)
    corners = np.array([[[0, 0]], [[31, 31]], [[5, 20]]])
    pictures = draw_pictures(shapes, corners)
    assert pictures.shape == (3, 64, 64, 1)
    for picture, [[x, y]] in zip(pictures[..., 0], corners, strict=True):
        assert np.array_equal(picture[y : y + 32, x : x + 32], shapes[0])
        assert picture.sum() == shapes[0].sum()
    both = draw_pictures(np.stack([shapes[0], shapes[0]]), np.array([[[3, 4], [3, 4]]]))[0, 4:36, 3:35, 0]
    assert np.array_equal(both, np.minimum(2 * shapes[0].astype(int), 255))
    video = draw_sequences(replace(TEST, count=1), 1, 0, 1)
    assert video.states.shape == (1, 25, 3) and video.actions.shape == (1, 24, 0)
    assert np.array_equal(video.keyframes, video.states[..., 0] == 1)
    x, y = (video.states[0, 9, 1:] - 15.5).astype(int)
    assert np.array_equal(video.frames[0, 9, y : y + 32, x : x + 32, 0], shapes[0])


def test_digits_of_a_video_are_two_of_its_split():
    known = {split: {digit.tobytes() for digit in load_digits(split)} for split in ("train", "test")}
    for split in ("train", "test"):
        for index in range(20):
            shapes, _ = draw_video(Videos(split=split), 0, index)
            assert {shape.tobytes() for shape in shapes} <= known[split]
            assert not np.array_equal(*shapes)
    train, test = (draw_video(Videos(split=split), 0, 0)[1] for split in ("train", "test"))
    assert not np.array_equal(train.corners, test.corners)


def test_a_video_depends_on_seed_and_index_only_and_longer_ones_begin_alike():
    late = draw_sequences(TEST, 3, 7, 2)
    alone = draw_sequences(TEST, 3, 8, 1)
    assert np.array_equal(late.frames[1], alone.frames[0])
    assert not np.array_equal(late.states[0], alone.states[0])
    assert not np.array_equal(draw_sequences(TEST, 4, 8, 1).states, alone.states)
    assert np.array_equal(draw_sequences(replace(TEST, frames=60), 3, 8, 1).frames[:, :25], alone.frames)


def test_shared_starts_part_at_the_first_wall_and_shared_paths_never():
    single = Videos(split="test", count=1, frames=40, shared="start")
    starts = draw_sequences(single, 2, 0, 40)
    first = int(starts.states[0, :, 0].argmax())
    assert starts.keyframes[:, first].all() and not starts.keyframes[:, :first].any()
    assert (starts.states[:, : first + 1] == starts.states[0, : first + 1]).all()
    assert len(np.unique(starts.states[:, first + 1, 1:], axis=0)) > 15
    assert len(np.unique(starts.frames[:, 0], axis=0)) > 30
    for count in (1, 2):
        whole = draw_sequences(replace(single, count=count, shared="path"), 2, 0, 10)
        assert (whole.states == whole.states[0]).all() and whole.keyframes.any()
        assert len(np.unique(whole.frames[:, 0], axis=0)) > 8


def test_the_test_videos_are_fixed():
    """Whoever compares figures has seen the same videos."""
    videos = draw_sequences(TEST, 0, 4998, 2)
    digest = hashlib.sha256(videos.frames.tobytes() + videos.states.tobytes()).hexdigest()
    assert digest[:16] == "f1e1f00ba3ae911c"


def test_a_rerun_fills_gaps_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    job = MovingDigits(out=tmp_path, sequences=4, seed=4, workers=1, split="test")
    [part] = MOVING_DIGITS.collect(job)
    for index in (0, 1):
        part.write(4, index)
    data = SequenceDataset(tmp_path)
    contents = [path.read_bytes() for path in data.paths]
    assert len(data) == 4 and contents[0] != contents[1]
    attributes = read_attributes(data.paths[0])
    assert (attributes["bodies"], attributes["observation"]) == ("digit-1,digit-2", 2)
    data.paths[1].unlink()
    part.write(4, 1)
    collect.collect(job)
    assert [path.read_bytes() for path in data.paths] == contents
    with pytest.raises(ValueError, match=r"split test.* not with .*split train"):
        collect.collect(replace(job, split="train"))
    with pytest.raises(ValueError, match="at least 2, got 1"):
        collect.collect(replace(job, frames=1))


def test_digits_of_srvp_keep_off_the_walls_and_fly_on_within_a_frame():
    """Between bounces they fly straight; a bounce shows in the same frame, and nothing leaves the picture."""
    room, bounced = PICTURE - MNIST_SIDE, 0
    for index in range(200):
        rng = np.random.default_rng([9, index])
        paths = draw_exact_paths(rng, rng, 2, 60)
        assert paths.corners.min() >= 0 and paths.corners.max() <= room and not paths.hits[0].any()
        steps = np.diff(paths.corners, axis=0)
        assert np.abs(steps).max() <= SPEED + 1  # rounded twice
        quiet = ~(paths.hits[2:] | paths.hits[1:-1])
        assert np.abs(np.diff(steps, axis=0)[quiet]).max() <= 2  # halves are rounded to even
        near = np.minimum(paths.corners, room - paths.corners).min(axis=-1)
        assert (np.minimum(near[1:], near[:-1])[paths.hits[1:]] <= SPEED).all()
        bounced += paths.hits.sum()
    assert 0.03 < bounced / (200 * 60 * 2) < 0.3


def test_srvp_asks_for_mnist():
    with pytest.raises(ValueError, match="by --mnist"):
        MOVING_DIGITS.collect(MovingDigits(protocol="srvp"))
    assert "protocol" not in Videos().origin()
