"""Bodies: places read off keypoints, learned from recordings and carried by the dynamics."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from world_models.checkpoint import read_model
from world_models.data import DataError, Sequences, shard_path, write_shard
from world_models.interface import Context
from world_models.losses import color_rarity
from world_models.struct_vrnn.card import rounds
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN
from world_models.struct_vrnn.presets import DEBUG
from world_models.struct_vrnn.recipe import BodiesStage, StructVRNNRun
from world_models.struct_vrnn.run import train_struct_vrnn
from world_models.struct_vrnn.sequences import open_tasks, read_known
from world_models.struct_vrnn.training import train_bodies
from world_models.training.run import Session

KNOWN = DEBUG.model.model_copy(update={"bodies": ("puck", "finger")})


def make_model(config=KNOWN):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        return StructVRNN(config).eval().requires_grad_(False)


def write_data(folder, count=40):
    """Noise for pictures; the finger is at (x, y) as its recorded positions say, the puck beside it."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (count, 7, 16, 16, 3)).astype(np.uint8)
    finger = rng.uniform(2, 13, (count, 7, 2)).astype(np.float32)
    states = np.concatenate([finger, finger + 1.0], -1)  # named in this order: finger, puck
    actions = rng.uniform(-1, 1, (count, 6, 2)).astype(np.float32)
    sequences = Sequences(frames, actions, np.zeros((count, 7), bool), states)
    write_shard(shard_path(folder, 0), sequences, {"seed": 0, "observation": 0, "bodies": "finger,puck"})
    return finger


def test_places_are_carried_in_pixels_through_encoding_and_imagination():
    model = make_model()
    frames = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    features = model.embed(frames[:, 0])
    assert features.shape == (2, 3 * (KNOWN.keypoints + 2))
    assert model.places(features).shape == (2, 2, 2)
    assert torch.equal(features[:, : KNOWN.detected], model.vision.detect(frames[:, 0]).features)
    scales = features[:, KNOWN.detected :].unflatten(-1, (-1, 3))[..., 2]
    assert torch.equal(scales, torch.full_like(scales, KNOWN.body_scale))
    torch.testing.assert_close(model.unweigh(model.weigh(features)), features)
    future = model.imagine(model.encode(Context(frames, torch.zeros(2, 2, 2))), torch.zeros(2, 4, 2))
    assert model.places(future.features).shape == (2, 4, 2, 2)


def test_pictures_are_painted_from_keypoints_alone():
    model = make_model()
    frames = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    features, reference = model.embed(frames), model.reference(frames)
    moved = features.clone()
    moved[:, KNOWN.detected :] += 0.5
    assert torch.equal(model.decode(features, reference), model.decode(moved, reference))


def test_the_reader_learns_where_each_body_is(tmp_path):
    finger = write_data(tmp_path / "data")
    (task,) = open_tasks(tmp_path / "data", KNOWN, held_out=2)
    model = make_model()
    model.requires_grad_(True)
    told = torch.from_numpy(finger) / 8 - 1  # features that say where the finger is
    detected = torch.rand(40, 7, KNOWN.detected, generator=torch.Generator().manual_seed(2))
    detected[..., :2] = told
    session = Session(tmp_path, 0, torch.device("cpu"))
    train_bodies(model, [task], [detected], BodiesStage(steps=400, batch=64, learning_rate=1e-2), session)
    with torch.no_grad():
        places = model.places(model.describe(detected))
    errors = (places - torch.stack([torch.from_numpy(finger) + 1.0, torch.from_numpy(finger)], -2)).norm(
        dim=-1
    )
    assert errors.median(0).values.median(0).values.max() < 0.7  # puck and finger, in the model's order


def test_bodies_that_the_data_does_not_know_are_refused(tmp_path):
    write_data(tmp_path / "data", 4)
    recipe = DEBUG.model_copy(update={"model": DEBUG.model.model_copy(update={"bodies": ("puck", "ball")})})
    with pytest.raises(DataError, match="knows finger, puck, not ball"):
        train_struct_vrnn(StructVRNNRun(data=tmp_path / "data", out=tmp_path / "run", recipe=recipe), "c")


def test_a_model_with_bodies_trains_and_loads(tmp_path):
    write_data(tmp_path / "data", 6)
    recipe = DEBUG.model_copy(
        update={
            "model": KNOWN,
            "bodies": BodiesStage(steps=3, batch=8),
            "vision": DEBUG.vision.model_copy(update={"rarity": True}),
        }
    )
    folder = train_struct_vrnn(
        StructVRNNRun(data=tmp_path / "data", out=tmp_path / "run", recipe=recipe), "c"
    )
    assert StructVRNN.load(folder).config.bodies == ("puck", "finger")
    (header,) = (line for line in read_model(folder).card.splitlines() if "seen |" in line)
    assert header == "| task | body | seen | 1 ahead | 4 ahead |"  # seven frames, of which three are seen
    joint = recipe.model_copy(update={"joint": True})
    with pytest.raises(ValueError, match="leave out bodies"):
        train_struct_vrnn(StructVRNNRun(data=tmp_path / "data", out=tmp_path / "joint", recipe=joint), "c")


def test_a_vector_has_no_bodies():
    with pytest.raises(ValidationError, match="leave out bodies"):
        StructVRNNConfig(representation="vector", bodies=("puck",))


def test_no_more_sequences_are_held_in_memory_than_asked_for(tmp_path):
    write_data(tmp_path / "data", 6)
    tasks = open_tasks(tmp_path / "data", KNOWN, held_out=2)
    assert [len(read_known(tasks, most).frames[0]) for most in (3, 9)] == [3, 4]


def test_rare_colours_weigh_more():
    frames = torch.zeros(1, 3, 16, 16)
    frames[:, 0, 4, 4] = 1.0
    weights = color_rarity(frames)
    assert weights[7 * 64] > 10 * weights[0]


def test_a_card_says_who_acted_in_the_data(tmp_path):
    frames, flags = np.zeros((1, 2, 16, 16, 3), np.uint8), np.zeros((1, 2), bool)
    empty = Sequences(frames, np.zeros((1, 1, 2), np.float32), flags, np.zeros((1, 2, 1), np.float32))
    recorded = {"environment_steps": 500, "episodes": 5}
    for number, who in enumerate(("random", "random", "walker")):
        write_shard(shard_path(tmp_path, number), empty, {"seed": 0, "model": who, **recorded})
    paths = [shard_path(tmp_path, number) for number in range(3)]
    assert rounds(paths) == (
        "; random actions in 10 episodes (1000 environment steps), "
        "planning with walker in 5 episodes (500 environment steps)"
    )
    write_shard(shard_path(tmp_path / "other", 0), empty, {"seed": 0})
    assert rounds([shard_path(tmp_path / "other", 0)]) == ""
