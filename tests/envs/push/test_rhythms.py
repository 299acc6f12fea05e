import numpy as np
import pytest

from envs import collect, data_set
from envs.push.data_sets import PUSH, Push
from envs.push.demonstrations import draw_demonstration, keeps_rhythm, render_sequences
from envs.push.demonstrator import Pusher, PushPlan
from envs.push.rhythms import FRAMES, PUSHES, RHYTHMS, find_rhythm
from envs.push.scene import blocked, path_length
from envs.push.world import PushWorld
from world_models.data import SequenceDataset

OTHERS = ("irregular", "pauses")


@pytest.mark.parametrize("name", RHYTHMS)
def test_a_tempo_fills_its_time_and_leaves_room_for_the_approach(name):
    rhythm, rng = RHYTHMS[name], np.random.default_rng(0)
    drawn = [(approach, rhythm.draw(rng, approach, rhythm.steps)) for approach in (2, 9, 12) * 40]
    tempi = [(approach, tempo) for approach, tempo in drawn if tempo is not None]
    assert len(tempi) > 30  # some draws do not fit, and are drawn again
    for approach, tempo in tempi:
        assert tempo.durations.shape == tempo.rests.shape == (PUSHES,)
        assert tempo.durations[0] >= approach + 3
        total = tempo.durations.sum() + tempo.rests.sum()
        assert total <= rhythm.steps - 2
        if name != "regular":
            assert total >= rhythm.steps - 2 - PUSHES  # whole steps lose less than one per push


def test_rests_are_few_and_long_and_only_where_there_are_pauses():
    rng = np.random.default_rng(1)
    drawn = [RHYTHMS["pauses"].draw(rng, 5, 90) for _ in range(120)]
    rests = [tempo.rests for tempo in drawn if tempo is not None]
    counts = {int((rest > 0).sum()) for rest in rests}
    assert counts == {1, 2, 3}
    lengths = np.concatenate([rest[rest > 0] for rest in rests])
    assert lengths.min() == 9 and 24 <= lengths.max() <= 30
    assert not RHYTHMS["irregular"].draw(rng, 5, 90).rests.any()


def test_irregular_pushes_differ_more_in_length(push):
    spread = {}
    for name in ("regular", "irregular"):
        found = [draw_demonstration(push, 3, index, RHYTHMS[name]) for index in range(8)]
        lengths = [np.diff(np.flatnonzero(one.keyframes), prepend=0)[1:] for one in found]
        spread[name] = np.concatenate(lengths).std()
    assert spread["irregular"] > 2 * spread["regular"]


def test_while_the_demonstrator_rests_nothing_moves():
    rests = np.array([0, 5, 0, 0, 0, 0])
    subgoals = np.linspace([0.2, 0.0], [0.9, 0.0], PUSHES)
    pusher = Pusher(PushPlan(subgoals, np.full(PUSHES, 8), rests), np.zeros(2))
    puck, finger = np.zeros(2), np.array([-0.17, 0.0])
    assert np.linalg.norm(pusher.act(puck, finger)[0]) > 0
    puck, finger = puck + np.array([0.2, 0.0]), finger + np.array([0.2, 0.0])
    actions = [pusher.act(puck, finger) for _ in range(6)]
    assert [reached for _, reached in actions] == [True] + [False] * 5
    assert [bool(action.any()) for action, _ in actions] == [False] * 5 + [True]


@pytest.mark.parametrize("name", OTHERS)
def test_demonstrations_of_every_rhythm_end_at_the_goal_in_31_frames(push, name):
    rhythm = find_rhythm(name)
    found = draw_demonstration(push, seed=0, index=1, rhythm=rhythm)
    assert keeps_rhythm(found, rhythm) and found.states.shape[0] == FRAMES
    track = render_sequences(push, [found]).states[0]
    assert np.linalg.norm(track[-1, :2] - track[-1, 4:6]) < 0.1
    moved = np.linalg.norm(np.diff(track[:, 2:4], axis=0), axis=1)
    assert moved.max() <= 3 * 0.1 + 1e-6  # three control steps from frame to frame


@pytest.mark.parametrize("name", OTHERS)
def test_data_of_a_rhythm_have_the_same_bytes_again_and_say_which_it_is(tmp_path, monkeypatch, name):
    monkeypatch.setattr(data_set, "SIZE", 1)
    for folder in ("one", "two"):
        PUSH.collect(Push(out=tmp_path / folder, rhythm=name))[0].write(4, 0)
    one, two = (SequenceDataset(tmp_path / folder) for folder in ("one", "two"))
    assert one.paths[0].read_bytes() == two.paths[0].read_bytes()
    with pytest.raises(ValueError, match=f"rhythm {name}"):
        collect.collect(Push(out=tmp_path / "one", sequences=1, seed=4, workers=1))


def test_an_unknown_rhythm_names_the_known_ones():
    with pytest.raises(ValueError, match="irregular"):
        PushWorld(rhythm="waltz")


def test_the_finger_begins_anywhere_in_the_share_asked_for(push):
    irregular = find_rhythm("irregular")
    starts = {
        share: np.array(
            [draw_demonstration(push, 2, index, irregular, share).scene.finger for index in range(10)]
        )
        for share in (0.0, 0.5, 1.0)
    }
    middle = {share: (np.hypot(*found.T) < 0.21).sum() for share, found in starts.items()}
    assert middle[0.0] == 10 and middle[1.0] < 3 and middle[1.0] < middle[0.5] < 10
    for found in starts.values():
        assert np.abs(found).max() <= 1.15


def test_half_of_those_begin_with_the_puck_anywhere_on_its_way(push):
    irregular = find_rhythm("irregular")
    for share, near in ((0.0, False), (1.0, True)):
        scenes = [draw_demonstration(push, 2, index, irregular, share).scene for index in range(16)]
        lengths = [path_length(scene, np.array(scene.puck)) for scene in scenes]
        straight = [not blocked(scene, np.array(scene.puck), np.array(scene.goal)) for scene in scenes]
        assert (min(lengths) < 0.9) == near
        assert any(straight) == near  # no wall is left between them


def test_a_share_is_from_0_to_1(tmp_path):
    with pytest.raises(ValueError, match="--anywhere must be a share"):
        PUSH.collect(Push(out=tmp_path, anywhere=1.5))
