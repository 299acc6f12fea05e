import numpy as np
import pytest

from envs import collect, data_set
from envs.push.data_sets import PUSH_PLAY, PushPlay
from envs.push.env import CAMERA, PushEnv
from envs.push.play import FRAMES, draw_play, draw_sequences, smooth_noise
from envs.rendering import Projection
from world_models.data import SequenceDataset, read_attributes


@pytest.fixture(scope="module")
def push():
    env = PushEnv()
    yield env
    env.close()


@pytest.fixture(scope="module")
def plays(push):
    return [draw_play(push, 3, index) for index in range(60)]


def test_most_play_moves_the_puck(plays):
    puck = np.stack([play.states[:, :2] for play in plays])
    moved = np.linalg.norm(puck[:, -1] - puck[:, 0], axis=-1)
    assert (moved > 0.03).mean() > 0.45
    assert (moved < 0.01).any()  # what a miss looks like is to be learned too


def test_the_next_position_follows_from_the_recorded_action(plays):
    finger = np.stack([play.states[:, 2:4] for play in plays])
    actions = np.stack([play.actions for play in plays])
    moves, wanted = np.diff(finger, axis=1).ravel(), 0.1 * actions.ravel()
    assert np.corrcoef(moves, wanted)[0, 1] > 0.9
    assert np.abs(actions).max() <= 1.0


def test_positions_and_their_pixels_agree(push, plays):
    project = Projection(push.model, CAMERA, 64)
    points = plays[0].states[:, :4].reshape(FRAMES, 2, 2).astype(np.float64)
    np.testing.assert_allclose(project(points, 0.0).reshape(FRAMES, 4), plays[0].states[:, 4:], atol=1e-3)


def test_a_sequence_depends_on_seed_and_index_only(push, plays):
    again = draw_sequences(push, 3, 7, 2)
    np.testing.assert_array_equal(again.frames[1], plays[8].frames)
    np.testing.assert_array_equal(again.actions[0], plays[7].actions)
    assert not np.array_equal(draw_play(push, 4, 7).actions, plays[7].actions)


def test_noise_is_smooth():
    noise = np.stack([smooth_noise(np.random.default_rng(seed), 19) for seed in range(200)])
    assert noise.std() == pytest.approx(1.0, abs=0.05)
    next_to = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]
    assert next_to > 0.7


def test_collection_goes_on_with_the_missing_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    PUSH_PLAY.collect(PushPlay(out=tmp_path / "one"))[0].write(5, 0)
    PUSH_PLAY.collect(PushPlay(out=tmp_path / "one"))[0].write(5, 1)
    PUSH_PLAY.collect(PushPlay(out=tmp_path / "two"))[0].write(5, 1)
    collect.collect(PushPlay(out=tmp_path / "one", sequences=4, seed=5, workers=1))
    data = SequenceDataset(tmp_path / "one")
    assert data.shapes["frames"] == (FRAMES, 64, 64, 3)
    assert read_attributes(data.paths[0])["bodies"] == "puck,finger"
    np.testing.assert_array_equal(data[2:4].frames, SequenceDataset(tmp_path / "two")[0:2].frames)
    with pytest.raises(ValueError, match="seed 5"):
        collect.collect(PushPlay(out=tmp_path / "one", sequences=4, seed=6, workers=1))
