"""One model for any number of keyframes, from any moment on."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from world_models.checkpoint import read_model
from world_models.data import Sequences, shard_path, write_shard
from world_models.interface import Context
from world_models.keyin import KeyIn
from world_models.keyin.config import KeyInConfig, Segmentation
from world_models.keyin.discovery.segmentation import follow, onward_offsets
from world_models.keyin.presets import KEYIN_DEBUG
from world_models.keyin.recipe import KeyInRecipe, KeyInRun, TeacherStage
from world_models.keyin.run import train_keyin
from world_models.segmenter import PUCK_GOAL, TWO_PUCKS_GOAL

BY_CHORDS = Segmentation(interpolation=0.0, object=1.0, coding=0.0, timing=0.0)
CONFIG = KEYIN_DEBUG.model.model_copy(
    update={"max_offset": 6, "longest_segment": 6, "countdown": True, "segmentation": BY_CHORDS}
)
PUCK = tuple(round(255 * share) for share in PUCK_GOAL.segmenter.color)


def recipe(method="segmentation", steps=2):
    config = CONFIG if method == "segmentation" else CONFIG.model_copy(update={"segmentation": None})
    predictor = KEYIN_DEBUG.predictor.model_copy(update={"cut": 0.5, "steps": steps})
    update = {"model": config, "teacher": TeacherStage(method=method, constant=1), "predictor": predictor}
    soft = KEYIN_DEBUG.soft.model_copy(update={"steps": 0})
    return KeyInRecipe.model_validate(KEYIN_DEBUG.model_copy(update={**update, "soft": soft}).model_dump())


def write_pushes(folder):
    """A square of the puck's colour that goes right, and then down."""
    frames = np.zeros((6, 7, 16, 16, 3), np.uint8)
    for sequence in range(6):
        for time in range(7):
            x, y = 2 + 2 * min(time, 3 + sequence % 2), 2 + 3 * max(0, time - 3 - sequence % 2)
            frames[sequence, time, y : y + 4, x : x + 4] = PUCK
    keyframes, states = np.zeros((6, 7), bool), np.zeros((6, 7, 4), np.float32)
    write_shard(
        shard_path(folder, 0), Sequences(frames, np.zeros((6, 6, 2), np.float32), keyframes, states), {}
    )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pushes(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train_keyin(KeyInRun(data=data, out=out, recipe=recipe()), "command")
    return out


def model(seed=0):
    keyin = KeyIn(CONFIG)
    rng = torch.Generator().manual_seed(seed)
    for parameter in keyin.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=rng)
    return keyin.eval().requires_grad_(False)


def start(keyin):
    frames = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return keyin.encode(Context(frames, torch.zeros(2, 0, 2)))


def test_keyframes_depend_on_how_many_are_left():
    keyin = model()
    noise = torch.randn(2, 3, CONFIG.latent, generator=torch.Generator().manual_seed(1))
    plans = [keyin.imagine(start(keyin), noise[:, :count]).features for count in (1, 2, 3)]
    assert [plan.shape[1] for plan in plans] == [1, 2, 3]
    for one, two in ((0, 1), (1, 2)):
        assert not torch.allclose(plans[one][:, 0], plans[two][:, 0])
    with pytest.raises(ValueError, match="up to 3 keyframes, not 4"):
        keyin.imagine(start(keyin), torch.zeros(2, 4, CONFIG.latent))


def test_the_number_needed_grows_with_the_confidence_and_is_at_most_m():
    keyin = model()
    place = torch.tensor([[3.0, 4.0], [12.0, 2.0]])
    needed = [keyin.needed(start(keyin), place, share).tolist() for share in (0.01, 0.5, 0.999)]
    assert all(1 <= count <= 3 for counts in needed for count in counts)
    assert all(a <= b <= c for a, b, c in zip(*needed, strict=True))
    assert needed[0] == [1, 1] and max(needed[2]) == 3
    fixed = KeyIn(KEYIN_DEBUG.model)
    with pytest.raises(ValueError, match="does not say how many"):
        fixed.needed(start(fixed), place, 0.9)


def test_posterior_is_told_how_many_keyframes_of_each_sequence_are_left():
    keyin = model()
    frames = torch.randn(2, 7, CONFIG.embedding, generator=torch.Generator().manual_seed(2))
    noise = torch.zeros(2, 3, CONFIG.latent)
    two = keyin.predictor.infer(frames, torch.tensor([[2, 4, 0]] * 2), noise).embeddings
    three = keyin.predictor.infer(frames, torch.tensor([[2, 4, 0], [2, 3, 1]]), noise).embeddings
    torch.testing.assert_close(two[0], three[0])
    assert not torch.allclose(two[1, 0], three[1, 0])


def test_known_keyframes_are_where_the_object_turns():
    keyin = model()
    turning = torch.tensor([[0.0, 0], [4, 0], [8, 0], [8, 4], [8, 8], [8, 12], [8, 12]])
    keyin.places = lambda frames: turning.expand(len(frames), -1, -1)  # type: ignore[method-assign]
    offsets = keyin.segment(torch.zeros(1, 7, CONFIG.embedding))[0].cumsum(-1).tolist()
    assert 2 in offsets and offsets[-1] == 6


def test_training_finds_the_turn_and_counts(finished):
    table = torch.from_numpy(np.load(finished / "teacher.npy"))
    assert table.shape == (4, 3, 6)
    places = np.load(finished / "places.npy")
    assert places.shape == (4, 7, 2)
    keyin = KeyIn.load(finished / "model")
    assert hasattr(keyin.predictor, "needs") and not hasattr(keyin, "coder")


@pytest.mark.parametrize("method", ["constant", "even", "random", "surprise"])
def test_every_teacher_has_a_way_on_from_every_frame(data, finished, tmp_path, method):
    run = KeyInRun(data=data, out=tmp_path / "run", base=finished, recipe=recipe(method))
    train_keyin(run, "command")
    table = np.load(run.out / "teacher.npy")
    assert table.shape == (4, 3, 6)
    for count in range(1, 4):
        for time in range(6):
            first = table[:, count - 1, time]
            if 6 - time < count:
                assert not first.any()
                continue
            later = 0 if count == 1 else [table[row, count - 2, time + first[row]] for row in range(4)]
            assert (first > 0).all()
            assert np.all(later) if count > 1 else (first == 6 - time).all()
    if method == "even":
        assert table[0, :, 0].tolist() == [6, 3, 2]
    if method == "constant":
        assert table[0, :, 0].tolist() == [6, 1, 1]
    # The base's pictures and places are used, not made anew.
    assert (run.out / "places.npy").read_bytes() == (finished / "places.npy").read_bytes()
    assert not (run.out / "embeddings").exists()


def test_another_goal_finds_other_places(data, finished, tmp_path):
    goal = PUCK_GOAL.model_copy(update={"effector": "hand"})
    other = recipe().model_copy(update={"model": CONFIG.model_copy(update={"goal": goal})})
    run = KeyInRun(data=data, out=finished, recipe=other)
    with pytest.raises(ValueError, match=r"delete places\.npy, teacher\.npy, predictor\.safetensors"):
        train_keyin(run, "command")


def test_an_autoencoder_is_taken_from_a_finished_model(data, finished, tmp_path):
    given = str(finished / "model")
    run = KeyInRun(data=data, out=tmp_path / "run", seed=3, autoencoder=given, recipe=recipe())
    train_keyin(run, "command")
    mine, theirs = (read_model(out / "model").weights for out in (run.out, finished))
    same = [torch.equal(mine[name], theirs[name]) for name in mine if name.startswith("autoencoder.")]
    assert same and all(same)
    assert not torch.equal(mine["predictor.change.0.weight"], theirs["predictor.change.0.weight"])
    settings = json.loads((run.out / "run.json").read_text())
    assert settings["data"]["autoencoder"] == read_model(finished / "model").weights_digest
    with pytest.raises(ValueError, match=r"other data\.autoencoder"):
        train_keyin(run.model_copy(update={"autoencoder": None}), "command")


def test_the_card_says_what_taught_the_model_and_whose_pictures_it_has(data, finished, tmp_path):
    run = KeyInRun(data=data, out=tmp_path / "a", autoencoder=str(finished / "model"), recipe=recipe())
    train_keyin(run, "command")
    card = read_model(run.out / "model").card
    assert "distances from the straight line" in card and "33%, 33%, 33% of the batches" in card
    assert (
        f"The autoencoder is that of `run` (weights `{read_model(finished / 'model').weights_digest[:12]}`)"
        in card
    )
    assert "- coder:" not in card and "- autoencoder:" not in card
    even = KeyInRun(data=data, out=tmp_path / "b", base=finished, recipe=recipe("even"))
    train_keyin(even, "command")
    assert "equal shares of the time" in read_model(even.out / "model").card


def test_an_autoencoder_of_other_sizes_is_refused(data, finished, tmp_path):
    wide = recipe().model_copy(update={"model": CONFIG.model_copy(update={"dense": 24})})
    run = KeyInRun(data=data, out=tmp_path, autoencoder=str(finished / "model"), recipe=wide)
    with pytest.raises(ValueError, match="has other dense"):
        train_keyin(run, "command")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_offset": 3}, "max_offset must be 6"),
        ({"segmentation": BY_CHORDS.model_copy(update={"object": 0.0})}, "weight of interpolation"),
        ({"segmentation": BY_CHORDS.model_copy(update={"timing": 0.5})}, "no timing"),
        ({"goal": None}, "needs a goal"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        KeyInConfig.model_validate(CONFIG.model_copy(update=change).model_dump())


def test_two_objects_turn_at_one_time_or_another():
    goal = TWO_PUCKS_GOAL
    keyin = KeyIn(CONFIG.model_copy(update={"goal": goal}))
    one = torch.tensor([[0.0, 0], [5, 0], [10, 0], [10, 0], [10, 0], [10, 0], [10, 0]])
    other = torch.tensor([[0.0, 9], [0, 9], [0, 9], [0, 9], [0, 5], [0, 2], [0, 0]])
    both = torch.cat([one, other], dim=1)
    keyin.places = lambda frames: both.expand(len(frames), -1, -1)  # type: ignore[method-assign]
    costs, _ = keyin.keyframe_costs(torch.zeros(1, 7, CONFIG.embedding))
    onward = onward_offsets(costs, 3)
    turn = follow(onward, torch.tensor([0]), torch.tensor([2]))[0, 0].item()
    assert turn in (2, 3)  # when the first one has arrived, and the second one stands still
    state = start(keyin)
    assert keyin.needed(state, torch.zeros(2, 4), 0.9).shape == (2,)


def test_teachers_of_any_number_of_keyframes_need_a_model_of_them():
    fixed = KEYIN_DEBUG.model.model_copy(update={"segmentation": None})
    values = KEYIN_DEBUG.model_copy(update={"model": fixed, "teacher": TeacherStage(method="even")})
    with pytest.raises(ValidationError, match=r"need model\.countdown"):
        KeyInRecipe.model_validate(values.model_dump())
