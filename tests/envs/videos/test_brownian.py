import numpy as np
import pytest
import torch

from envs import collect, data_set
from envs.push.data_sets import Push
from envs.videos.brownian import (
    CONTEXT,
    FRAMES,
    HIGH,
    LOW,
    PREDICTED,
    RADIUS,
    SEGMENT_FRAMES,
    SPEED,
    draw_flight,
    draw_pictures,
    draw_sequences,
)
from envs.videos.data_sets import BROWNIAN, Brownian
from world_models.data import SequenceDataset
from world_models.keyin.keyframes.scores import pattern_times, random_times, score


@pytest.fixture(scope="module")
def sequences():
    return draw_sequences(seed=3, first=0, count=200)


def test_flags_stand_on_the_frames_where_the_direction_changes(sequences):
    velocity = np.diff(sequences.states, axis=1)
    turns = np.linalg.norm(np.diff(velocity, axis=1), axis=-1) > 1e-3  # at frames 1..T-2
    # A turn by almost nothing cannot be told from none; nothing else may be flagged.
    assert not (turns & ~sequences.keyframes[:, 1:-1]).any()
    assert (turns | ~sequences.keyframes[:, 1:-1]).mean() > 0.999


def test_segments_last_six_to_eight_frames_from_the_first_on(sequences):
    for flags in sequences.keyframes:
        times = np.flatnonzero(flags)
        lengths = np.diff(times, prepend=0)
        assert set(lengths.tolist()) <= set(range(SEGMENT_FRAMES[0], SEGMENT_FRAMES[1] + 1))
        assert FRAMES - 1 - times[-1] < SEGMENT_FRAMES[1]


def test_the_disc_keeps_its_speed_and_stays_inside(sequences):
    speed = np.linalg.norm(np.diff(sequences.states, axis=1), axis=-1)
    np.testing.assert_allclose(speed, SPEED, atol=1e-4)
    assert sequences.states.min() >= LOW - 1e-4 and sequences.states.max() <= HIGH + 1e-4


def test_pictures_are_binary_discs_at_the_centres(sequences):
    frames = sequences.frames
    assert frames.shape == (200, CONTEXT + PREDICTED, 32, 32, 3)
    assert set(np.unique(frames)) == {0, 255} and (frames == frames[..., :1]).all()
    disc = frames[..., 0] > 0
    mass = disc.sum((-2, -1))
    assert np.abs(mass - np.pi * RADIUS**2).max() <= 5
    rows, columns = np.mgrid[:32, :32]
    found = np.stack([(disc * columns).sum((-2, -1)), (disc * rows).sum((-2, -1))], axis=-1) / mass[..., None]
    assert np.abs(found - sequences.states).max() < 0.5
    corner = draw_pictures(np.array([5.0, 20.0]))[..., 0] > 0
    assert corner[20, 8] and corner[23, 5] and not corner[23, 6] and not corner[5, 20]


def test_a_sequence_depends_on_seed_and_index_only():
    late = draw_sequences(seed=3, first=7, count=2)
    assert np.array_equal(late.frames[1], draw_sequences(seed=3, first=8, count=1).frames[0])
    assert not np.array_equal(draw_flight(3, 8).centers, draw_flight(3, 7).centers)
    assert not np.array_equal(draw_flight(4, 8).centers, draw_flight(3, 8).centers)


def test_a_rerun_fills_gaps_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    for index in (0, 1):
        BROWNIAN.collect(Brownian(out=tmp_path))[0].write(4, index)
    data = SequenceDataset(tmp_path)
    contents = [path.read_bytes() for path in data.paths]
    assert len(data) == 4 and contents[0] != contents[1]
    data.paths[1].unlink()
    BROWNIAN.collect(Brownian(out=tmp_path))[0].write(4, 1)
    assert [path.read_bytes() for path in data.paths] == contents
    collect.collect(Brownian(out=tmp_path, sequences=4, seed=4, workers=1))
    assert [path.read_bytes() for path in data.paths] == contents


def test_shards_of_another_data_set_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 1)
    BROWNIAN.collect(Brownian(out=tmp_path))[0].write(4, 0)
    with pytest.raises(ValueError, match="environment structured-brownian-motion"):
        collect.collect(Push(out=tmp_path, sequences=1, seed=4, workers=1))
    with pytest.raises(ValueError, match="seed 4"):
        collect.collect(Brownian(out=tmp_path, sequences=1, seed=5, workers=1))


def test_trivial_predictors_score_as_in_the_paper():
    """Random, Constant and Static of Table 1, with the settings of the authors' script."""
    flags = torch.from_numpy(np.stack([draw_flight(0, index).keyframes for index in range(2000)]))
    flags = flags[:, CONTEXT - 1 :]
    offsets = {0.17: (8,) * 6, 0.21: (4, 6, 5, 5, 4, 8)}
    for published, pattern in offsets.items():
        assert score(pattern_times(2000, pattern), flags).f1.mean() == pytest.approx(published, abs=0.02)
    times = random_times(2000, 6, (7, 8, 9), torch.Generator().manual_seed(0))
    assert score(times, flags).f1.mean() == pytest.approx(0.15, abs=0.02)
