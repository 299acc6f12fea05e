from dataclasses import replace

import numpy as np
import pytest

from envs import collect, data_set
from envs.videos.cannonballs import (
    GRAVITY,
    NOISE,
    PERIOD,
    RADIUS,
    Videos,
    bounds,
    draw_flights,
    draw_pictures,
    draw_sequences,
    to_pixels,
    widest_way,
)
from envs.videos.data_sets import CANNONBALLS, Cannonballs
from world_models.data import SequenceDataset, read_attributes

THREE = Videos(balls=3)


@pytest.fixture(scope="module")
def flights():
    return [draw_flights(THREE, 5, index) for index in range(1500)]


def stacked(flights, name):
    return np.stack([getattr(f, name) for f in flights])


def test_motion_is_the_state_space_model_of_the_paper(flights):
    state = np.concatenate([stacked(flights, "positions"), stacked(flights, "velocities")], axis=-1)
    a = np.block([[np.eye(2), PERIOD * np.eye(2)], [np.zeros((2, 2)), np.eye(2)]])
    u = -GRAVITY * np.array([0.0, 0.5 * PERIOD**2, 0.0, PERIOD])
    np.testing.assert_allclose(state[:, 1:], state[:, :-1] @ a.T + u, atol=1e-12)


def test_seen_positions_have_the_noise_of_the_paper(flights):
    noise = (stacked(flights, "seen") - stacked(flights, "positions")).reshape(-1, 2)
    assert np.cov(noise.T) == pytest.approx(NOISE * np.eye(2), abs=3e-5)
    assert noise.mean(0) == pytest.approx((0.0, 0.0), abs=5e-4)


def test_balls_are_shot_as_in_the_paper(flights):
    start = stacked(flights, "positions")[:, 0].reshape(-1, 2)
    velocity = stacked(flights, "velocities")[:, 0].reshape(-1, 2)
    right = velocity[:, 0] < 0
    assert right.mean() == pytest.approx(0.5, abs=0.03)
    x = start[:, 0] - right * 0.9 * widest_way(30)
    angle = np.degrees(np.arctan2(velocity[:, 1], np.abs(velocity[:, 0])))
    speed = np.linalg.norm(velocity, axis=-1)
    for values, low, high in ((x, -0.5, -0.1), (start[:, 1], -0.5, 0.5), (angle, 40, 60), (speed, 2, 3)):
        share = (values - low) / (high - low)
        assert share.min() >= -1e-9 and share.max() <= 1 + 1e-9
        np.testing.assert_allclose(np.histogram(share, 10, (0, 1))[0], len(share) / 10, rtol=0.2)
    together = np.corrcoef(stacked(flights, "velocities")[:, 0, :, 0].T)
    assert np.abs(together - np.eye(3)).max() < 0.1
    assert widest_way(30) == pytest.approx(29 * 0.015 * 3 * np.cos(np.radians(40)))


@pytest.mark.parametrize(("frames", "size"), [(30, 48), (50, 32)])
def test_all_balls_are_whole_and_use_the_picture(frames, size):
    videos = Videos(balls=3, frames=frames, size=size)
    seen = np.stack([draw_flights(videos, 5, index).seen for index in range(1500)])
    places = to_pixels(seen, videos)
    last = size - 1 - RADIUS
    assert places.min() >= RADIUS and places.max() <= last
    assert places.min((0, 1, 2)).max() < RADIUS + 3 and places.max((0, 1, 2)).min() > last - 3
    area = bounds(frames)
    np.testing.assert_allclose(
        to_pixels(np.array([area.low, area.high]), videos), [[RADIUS, last], [last, RADIUS]]
    )


def test_pictures_show_white_discs_at_whole_pixels():
    picture = draw_pictures(np.array([[10.4, 20.6], [45.0, 2.0]]), 48)[..., 0]
    rows, columns = np.nonzero(picture)
    assert set(np.unique(picture)) == {0, 255} and len(rows) == 2 * 21
    near = columns < 20
    assert (columns[near].mean(), rows[near].mean()) == (10, 21)
    assert (columns[~near].min(), columns[~near].max(), rows[~near].min(), rows[~near].max()) == (
        43,
        47,
        0,
        4,
    )
    outside = draw_pictures(np.array([[-9.0, 80.0]]), 48)
    assert outside[43:, :5].sum() == outside.sum() == 21 * 255


def test_states_are_velocities_true_and_seen_positions_in_pixels():
    videos = replace(THREE, balls=1)
    sequences = draw_sequences(videos, 5, 0, 40)
    assert sequences.frames.shape == (40, 30, 48, 48, 1) and sequences.actions.shape == (40, 29, 0)
    velocity, position, seen = np.split(sequences.states, 3, axis=-1)
    steps = np.diff(position, axis=1)
    np.testing.assert_allclose(steps, (velocity[:, 1:] + velocity[:, :-1]) / 2, atol=1e-4)
    pull = np.diff(velocity, axis=1)
    assert np.abs(pull[..., 0]).max() < 1e-4 and pull[..., 1].min() > 0 and np.ptp(pull[..., 1]) < 1e-4
    white = sequences.frames[..., 0] > 0
    rows, columns = np.mgrid[:48, :48]
    found = np.stack(
        [(white * axis).sum((-2, -1)) / white.sum((-2, -1)) for axis in (columns, rows)], axis=-1
    )
    assert np.abs(found - seen).max() <= 0.5001
    scale = np.abs(to_pixels(np.ones(2), videos) - to_pixels(np.zeros(2), videos))
    np.testing.assert_allclose((seen - position).std((0, 1)), scale * np.sqrt(NOISE), rtol=0.1)


def test_a_video_depends_on_seed_number_of_balls_and_index_only():
    late, alone = draw_sequences(THREE, 3, 7, 2), draw_sequences(THREE, 3, 8, 1)
    assert np.array_equal(late.frames[1], alone.frames[0])
    assert not np.array_equal(late.states[0], alone.states[0])
    assert not np.array_equal(draw_sequences(THREE, 4, 8, 1).states, alone.states)
    two = draw_flights(replace(THREE, balls=2), 3, 8).seen
    assert not np.isin(two[0], draw_flights(THREE, 3, 8).seen[0]).any()


def test_a_rerun_fills_gaps_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    job = Cannonballs(out=tmp_path, sequences=4, seed=4, workers=1, balls=(2, 3))
    parts = CANNONBALLS.collect(job)
    for part in parts:
        for index in (0, 1):
            part.write(4, index)
    data = [SequenceDataset(tmp_path / str(count)) for count in (2, 3)]
    contents = [path.read_bytes() for each in data for path in each.paths]
    assert [each.shapes["states"] for each in data] == [(30, 12), (30, 18)] and len(set(contents)) == 4
    attributes = read_attributes(data[0].paths[1])
    assert (attributes["bodies"], attributes["observation"]) == ("ball-1,ball-2", 8)
    data[1].paths[0].unlink()
    parts[1].write(4, 0)
    collect.collect(job)
    assert [path.read_bytes() for each in data for path in each.paths] == contents
    for setting, message in (
        ({"size": 32}, "size 48"),
        ({"frames": 50}, "frames 30"),
        ({"size": 5}, "width"),
    ):
        with pytest.raises(ValueError, match=message):
            collect.collect(replace(job, **setting))
