"""The humanoid's scripted behaviours: repeatable, labelled, possible for its joints, seen in place."""

import mujoco
import numpy as np
import pytest

from envs import collect, data_set
from envs.dmc.behaviours.data_set import ACTIONS, Actions
from envs.dmc.behaviours.performer import (
    BODIES,
    FRAMES,
    STEP,
    WINDOWS,
    Performer,
    act,
    draw_sequences,
    label_of,
)
from envs.dmc.behaviours.scripts import BEHAVIOURS
from world_models.data import SequenceDataset, read_attributes


@pytest.fixture(scope="module")
def performer():
    performer = Performer()
    yield performer
    performer.close()


def test_any_process_may_draw_any_sequence(performer):
    whole = draw_sequences(performer, 3, 0, 2 * WINDOWS)
    part = draw_sequences(performer, 3, 3, 4)
    assert np.array_equal(part.frames, whole.frames[3:7]) and np.array_equal(part.states, whole.states[3:7])
    assert part.frames.shape == (4, FRAMES, 64, 64, 3) and part.actions.shape == (4, FRAMES - 1, 0)
    assert part.states[:, 0, 1].tolist() == [0, 0, 1, 1]
    other = draw_sequences(performer, 4, 0, 1)
    assert not np.array_equal(other.frames[0], whole.frames[0])
    later = draw_sequences(performer, 3, 10 * WINDOWS, 1)  # the same behaviour, performed otherwise
    assert later.states[0, 0, 0] == whole.states[0, 0, 0]
    assert not np.array_equal(later.frames[0], whole.frames[0])


def test_behaviours_take_turns():
    assert len(BEHAVIOURS) >= 8
    assert [label_of(episode) for episode in range(len(BEHAVIOURS))] == [*range(len(BEHAVIOURS))]
    assert label_of(len(BEHAVIOURS)) == 0


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_scripts_ask_for_what_joints_can_do(performer, name):
    """A few degrees more for size and trembling; and something moves."""
    _, script = BEHAVIOURS[name]
    phase = np.linspace(0, 2 * np.pi, 50)
    pose = {**script(phase, "right"), **script(phase, "left")}
    for joint, course in pose.items():
        assert course.shape == phase.shape
        if joint not in ("pitch", "yaw", "lift"):
            low, high = np.rad2deg(performer.model.joint(joint).range)
            assert low - 6 < course.min() and course.max() < high + 6, joint
    assert max(np.ptp(course) for course in pose.values()) > 2


def test_tempo_and_size_differ_from_episode_to_episode():
    poses = [act(np.random.default_rng(seed), 1, ["right_knee"])["right_knee"] for seed in range(8)]
    periods = [np.argmax(np.abs(np.fft.rfft(pose - pose.mean()))) / (STEP * len(pose)) for pose in poses]
    assert 0.7 < min(periods) < max(periods) < 1.2 and np.ptp([np.ptp(pose) for pose in poses]) > 3


def test_the_body_is_where_the_state_says_and_stands_on_the_floor(performer):
    film, places = performer.perform(0, 1)
    assert places.shape == (WINDOWS * FRAMES, len(BODIES), 2) and places.min() > 0 and places.max() < 63
    for body in ("head", "pelvis"):
        x, y = places[7, [*BODIES].index(body)].round().astype(int)
        red, _, blue = film[7, y, x].astype(int)
        assert red > blue + 30  # skin before a blue world
    head, foot = (places[:, [*BODIES].index(body), 1] for body in ("head", "left_foot"))
    assert (head < foot).all()
    performer._take({}, 0, 0.0, np.zeros(2))
    data = performer._data
    touching = [contact.geom1 for contact in data.contact] if data.ncon else [0]
    assert performer._lowest() == pytest.approx(0.0, abs=1e-9) and 0 in touching
    assert isinstance(performer.model, mujoco.MjModel)


def test_the_data_set_says_what_its_labels_mean(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2 * WINDOWS)
    assert ACTIONS in collect.DATA_SETS
    (part,) = ACTIONS.collect(Actions(out=tmp_path))
    part.write(0, 0)
    attributes = read_attributes(SequenceDataset(tmp_path).paths[0])
    assert attributes["classes"] == ",".join(BEHAVIOURS) and attributes["observation"] == 2
    data = SequenceDataset(tmp_path)
    assert data.shapes["states"] == (FRAMES, 2 + 2 * len(BODIES))
    assert data.known(3) == WINDOWS  # no episode is on both sides
