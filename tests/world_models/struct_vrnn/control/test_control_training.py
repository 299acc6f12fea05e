"""Training a control model: windows, rounds, resuming, and a point that has to be driven to a place."""

import json

import numpy as np
import pytest
import torch

from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.data import DataError, SequenceDataset, Sequences, shard_path, write_shard
from world_models.shipped import PRETRAINED, weights_digest
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.control import data as stored
from world_models.struct_vrnn.control import training
from world_models.struct_vrnn.control.config import ControlConfig, ControlSizes
from world_models.struct_vrnn.control.data import Buffer, Episode, read_episodes
from world_models.struct_vrnn.control.detector.stored import find_detector, load_detector
from world_models.struct_vrnn.control.model import Control
from world_models.struct_vrnn.control.recipe import ControlRecipe, ControlRun
from world_models.struct_vrnn.control.run import train_control
from world_models.struct_vrnn.control.training import begin, learn, measure_rewards
from world_models.struct_vrnn.model import StructVRNN
from world_models.training.run import Session

CPU = torch.device("cpu")
SIZES = ControlSizes(width=64, latent=32, discount=0.9)
POINT = ControlConfig(**dict(SIZES), task="point", detector="", actions=2, measured=2)
QUICK = ControlRecipe(sizes=SIZES, steps=6, batch=8, save_every=2)
EYE = StructVRNNConfig(
    image_size=16, widths=(0, 4, 8), keypoints=3, bodies=("cart", "tip"), latent=2, hidden=8, actions=2
)
STEP = 0.2
"""How far an action moves the point."""


def pays(place):
    """1 in the middle, nothing in the corners."""
    return (1 - place.norm(dim=-1)).clamp(min=0)


def play(count, length, act, seed):
    """Episodes of a point in a square that it cannot leave, and their mean rewards."""
    rng = torch.Generator().manual_seed(seed)
    place = 2 * torch.rand(count, 2, generator=rng) - 1
    places, actions = [place], []
    for _ in range(length):
        actions.append(act(places, actions, rng))
        places.append((places[-1] + STEP * actions[-1]).clamp(-1, 1))
    seen, done = torch.stack(places, 1), torch.stack(actions, 1)
    rewards = pays(seen[:, 1:])
    return [Episode(*parts) for parts in zip(seen, done, rewards, strict=True)], float(rewards.mean())


def wander(places, actions, rng):
    return 2 * torch.rand(places[0].shape, generator=rng) - 1


def session(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return Session(folder, 0, CPU)


def weights(learner):
    return {name: value.clone() for name, value in learner.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_windows_are_parts_of_episodes():
    episodes, _ = play(3, 9, wander, 0)
    part = Episode(*vars(episodes[2]).values())
    episodes[2] = Episode(part.measured, part.actions, part.rewards, whole=False)
    buffer = Buffer(episodes, POINT, 4)
    # Ten pictures leave room for six windows; of a part the first two pictures came about nobody knows how.
    assert len(buffer) == 6 + 6 + 4 and len(buffer.inputs) == 30
    for row, (episode, first) in enumerate([(e, k) for e in range(2) for k in range(6)] + [(2, 2)]):
        found = buffer.windows(torch.tensor([row]))
        true = episodes[episode]
        torch.testing.assert_close(found.inputs[:, 0, :2], true.measured[first : first + 5])
        torch.testing.assert_close(found.actions[:, 0], true.actions[first : first + 4])
        torch.testing.assert_close(found.rewards[:, 0], true.rewards[first : first + 4])
    doubled = Buffer(episodes, POINT.model_copy(update={"most_reward": 2.0}), 4)
    rows = torch.arange(16)
    torch.testing.assert_close(2 * doubled.windows(rows).rewards, buffer.windows(rows).rewards)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rewards": torch.full((9,), -0.1)}, r"a reward is -0\.1, the model takes 0 to 1"),
        ({"rewards": torch.full((9,), 1.5)}, r"a reward is 1\.5, the model takes 0 to 1"),
        ({"actions": torch.zeros(9, 3)}, "2 numbers per picture and 3 per action, the model reads 2 and 2"),
    ],
)
def test_episodes_have_to_fit_the_model(change, words):
    (episode,), _ = play(1, 9, wander, 0)
    with pytest.raises(DataError, match=words):
        Buffer([Episode(**{**vars(episode), **change})], POINT, 4)


def test_too_short_episodes_are_refused():
    episodes, _ = play(2, 3, wander, 0)
    with pytest.raises(DataError, match="takes 5 pictures or more"):
        Buffer(episodes, POINT, 4)


def test_a_point_is_driven_to_its_place(tmp_path):
    episodes, chance = play(60, 20, wander, 1)
    # A higher rate and quicker targets than for pictures: it is a matter of seconds.
    recipe = ControlRecipe(
        sizes=SIZES, steps=300, batch=64, save_every=1000, learning_rate=3e-3, following=0.05
    )
    buffer = Buffer(episodes, POINT, recipe.window)
    learner = begin(POINT, session(tmp_path))
    before = measure_rewards(learner.model, buffer)
    learn(learner, buffer, recipe, session(tmp_path))
    after, model = measure_rewards(learner.model, buffer), learner.model

    @torch.no_grad()
    def act(places, actions, rng):
        seen, none = torch.stack(places, 1), torch.zeros(len(places[0]), 0, 2)
        done = torch.stack(actions, 1) if actions else none
        return model.act(model.encode(stored.stack(seen, done, 3)[:, -1]))

    _, reached = play(60, 20, act, 2)
    assert after[0] < 0.4 * before[0] and len(after) == 4
    assert chance < 0.3 and reached > 0.55


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4, 5])
def test_rounds_that_were_killed_end_with_the_same_weights(tmp_path, monkeypatch, at):
    first, later = (play(4, 12, wander, seed)[0] for seed in (1, 2))
    rounds = [(first, range(3), True), (first + later, range(3, 6), True)]

    def run(folder):
        learner = begin(POINT, session(folder))
        for episodes, steps, rescale in rounds:
            learn(learner, Buffer(episodes, POINT, 4), QUICK, session(folder), steps, rescale)
        return weights(learner)

    whole = run(tmp_path / "whole")
    counted, loss = [], training.control_loss

    def dying(*arguments):
        counted.append(1)
        if len(counted) == at + 1:
            raise Killed
        return loss(*arguments)

    monkeypatch.setattr(training, "control_loss", dying)
    with pytest.raises(Killed):
        run(tmp_path / "killed")
    assert same(run(tmp_path / "killed"), whole)
    done = len(counted)
    assert same(run(tmp_path / "killed"), whole) and len(counted) == done  # nothing is left to do
    rounds[1] = (first + later, range(3, 6), False)
    assert not same(run(tmp_path / "unscaled"), whole)


def write_eye(folder):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        write_model(folder, EYE, StructVRNN(EYE), "")
    return folder


def write_data(folder, number=0, **attributes):
    rng = np.random.default_rng(number)
    sequences = Sequences(
        rng.integers(0, 255, (3, 8, 16, 16, 3), dtype=np.uint8),
        rng.uniform(-1, 1, (3, 7, 2)).astype(np.float32),
        np.zeros((3, 8), bool),
        np.zeros((3, 8, 1), np.float32),
        rng.uniform(0, 2, (3, 8)).astype(np.float32),
    )
    write_shard(shard_path(folder, number), sequences, {"action_repeat": 2, **attributes})
    return folder


def test_recorded_episodes_are_looked_at_once_by_every_detector(tmp_path, monkeypatch):
    detector = load_detector(write_eye(tmp_path / "eye"))
    data = SequenceDataset(write_data(tmp_path / "data", episode_length=9))
    looks, detect = [], stored.detect
    monkeypatch.setattr(stored, "detect", lambda *given: looks.append(1) or detect(*given))

    def read(detector=detector):
        return read_episodes(SequenceDataset(tmp_path / "data"), detector, ("bodies",), tmp_path / "cache")

    episodes = read()
    assert len(episodes) == 3 and len(looks) == 1 and all(episode.whole for episode in episodes)
    recorded = data[0:3]
    assert torch.equal(episodes[1].rewards, torch.from_numpy(recorded.rewards[1, 1:]))
    assert torch.equal(episodes[1].actions, torch.from_numpy(recorded.actions[1]))
    assert episodes[1].measured.shape == (8, 4)
    again = read()
    assert len(looks) == 1 and torch.equal(again[2].measured, episodes[2].measured)
    write_data(tmp_path / "data", 1, episode_length=20)
    assert [episode.whole for episode in read()] == [True] * 3 + [False] * 3 and len(looks) == 2
    read(stored.Detector(detector.world, "another"))
    assert len(looks) == 4


def test_a_run_ends_in_a_model_that_names_its_detector_and_is_not_done_twice(tmp_path, monkeypatch):
    eye, data = write_eye(tmp_path / "eye"), write_data(tmp_path / "data")
    recipe = QUICK.model_copy(update={"steps": 3})
    run = ControlRun(task="cart", data=data, detector=str(eye), out=tmp_path / "run", recipe=recipe)
    folder = train_control(run, "the command")
    model, found = Control.load(folder), read_model(folder)
    assert (
        model.config.detector
        == read_model(eye).weights_digest
        == read_model(tmp_path / "run/detector").weights_digest
    )
    assert (model.config.task, model.config.actions, model.config.measured) == ("cart", 2, 4 + 9)
    assert model.config.most_reward == 2.0
    assert all(
        text in found.card for text in ("`the command` (seed 0)", model.config.detector, "3 sequences")
    )
    monkeypatch.setattr(training, "control_loss", lambda *_: 1 / 0)
    assert read_model(train_control(run, "the command")).digest == found.digest
    with pytest.raises(ValueError, match="a run with other recipe"):
        train_control(run.model_copy(update={"recipe": QUICK}), "the command")
    assert json.loads((folder / "config.json").read_text())["kind"] == "control"


def test_the_detector_is_found_beside_the_model_or_among_those_that_ship(tmp_path):
    eye = write_eye(tmp_path / "detector")
    assert find_detector(tmp_path / "model", read_model(eye).weights_digest) == eye
    shipped = weights_digest("struct-vrnn-cartpole")
    assert find_detector(tmp_path / "model", shipped) == PRETRAINED / "struct-vrnn-cartpole"
    with pytest.raises(CheckpointError, match=r"weights 'feed'.*struct-vrnn-walker"):
        find_detector(tmp_path / "model", "feed")


def test_data_that_does_not_fit_is_refused(tmp_path):
    detector = load_detector(write_eye(tmp_path / "eye"))
    large = StructVRNN(EYE.model_copy(update={"image_size": 32}))
    data = SequenceDataset(write_data(tmp_path / "data"))
    with pytest.raises(DataError, match="the detector needs 32 x 32 x 3"):
        read_episodes(data, stored.Detector(large, ""), ("bodies",), tmp_path)
    sequences = data[0:3]
    plain = Sequences(sequences.frames, sequences.actions, sequences.keyframes, sequences.states)
    write_shard(shard_path(tmp_path / "plain", 0), plain, {})
    with pytest.raises(DataError, match="has no rewards"):
        read_episodes(SequenceDataset(tmp_path / "plain"), detector, ("bodies",), tmp_path)
