"""What every world promises to the closed loop, asked of all of them."""

import json
from itertools import islice

import numpy as np
import pytest
import torch

from envs.world import World
from envs.worlds import WORLDS, find_world, make_world
from world_models.frames import to_tensor

STEPS = 4


@pytest.fixture(scope="module", params=WORLDS)
def world(request):
    """Each of the worlds, made once for all tests: making a GL context is the slow part."""
    made = make_world(request.param)
    yield made
    made.close()


def actions(world: World, count: int = STEPS) -> np.ndarray:
    drawn = np.random.default_rng(5).uniform(-1, 1, (count, world.action_size))
    return drawn.astype(np.float32)


def played(world: World, start) -> tuple[list[np.ndarray], list]:
    """Pictures and measures of an episode of random actions."""
    picture, goal = world.begin(start)
    pictures, measures = [picture] if goal is None else [goal, picture], [world.measure()]
    for action in actions(world):
        pictures.append(world.step(action))
        measures.append(world.measure())
    return pictures, measures


def find_objects(goal, picture) -> torch.Tensor:
    """The centres of all objects of a goal, two numbers each."""
    frames = to_tensor(picture)[None]
    return torch.cat([one.segmenter.blob(frames).centre[0] for one in goal.objects])


def equal(one, other) -> bool:
    """Whether measures are the same; some of them are arrays."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_a_world_knows_its_name(world):
    assert world.id in WORLDS and isinstance(world, find_world(world.id))
    assert world.image_size == 64 and world.steps > 0
    assert world.env.action_space.shape == (world.action_size,)
    assert np.all(world.env.action_space.low == -1) and np.all(world.env.action_space.high == 1)
    assert world.env.metadata["render_fps"] > 0


def test_frozen_episodes_stay_what_they_are(world):
    first, again = world.episodes(3), world.episodes(3)
    assert len(first.starts) >= 3 and first.name and len(first.fingerprint) == 64
    assert (first.name, first.fingerprint) == (again.name, again.fingerprint)
    assert [start.digest for start in first.starts] == [start.digest for start in again.starts]
    assert len({start.digest for start in first.starts}) == len(first.starts)
    assert all(0 < world.length(start) <= world.steps for start in islice(first.starts, 3))


def test_new_episodes_are_as_many_as_asked_and_those_of_their_seed(world):
    first, longer, other = world.episodes(2, 7), world.episodes(3, 7), world.episodes(2, 8)
    assert len(first.starts) == 2 and first.seed == 7
    assert list(first.starts) == list(longer.starts[:2])
    assert not {start.digest for start in first.starts} & {start.digest for start in other.starts}
    assert len({first.fingerprint, longer.fingerprint, other.fingerprint}) == 3
    assert first.fingerprint == world.episodes(2, 7).fingerprint
    assert first.name != world.episodes(2).name
    world.begin(first.starts[1])


def test_pictures_are_what_the_world_says(world):
    pictures, measures = played(world, world.episodes(1).starts[0])
    _, goal = world.begin(world.episodes(1).starts[0])
    assert (goal is None) == (world.goal is None), "a goal is asked for where pictures can show one"
    for picture in pictures:
        assert picture.dtype == np.uint8 and picture.shape == (world.image_size, world.image_size, 3)
        assert world.env.observation_space.contains(picture)
    assert any(not np.array_equal(pictures[-1], other) for other in pictures[:-1])
    assert {frozenset(found) for found in measures} == {frozenset(measures[0])}


def test_the_same_start_and_actions_lead_to_the_same(world):
    start, other = world.episodes(2).starts[:2]
    pictures, measures = played(world, start)
    elsewhere, _ = played(world, other)
    again, measured = played(world, start)
    assert all(np.array_equal(one, two) for one, two in zip(pictures, again, strict=True))
    assert all(equal(one, two) for one, two in zip(measures, measured, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(pictures, elsewhere, strict=True))


def test_the_simulator_foresees_what_then_happens(world):
    simulator = world.simulator(2)
    world.begin(world.episodes(1).starts[0])
    assert simulator is not None and simulator.decision_dim == world.action_size
    ahead = torch.from_numpy(actions(world))[None]
    future = simulator.imagine(simulator.observe(), ahead)
    assert future.times.tolist() == [[1, 2, 3, 4]] and future.features.shape[:2] == (1, STEPS)
    for step, action in enumerate(actions(world)):
        picture, foreseen = world.step(action), future.features[0, step]
        if world.goal is None:
            assert float(foreseen[0]) == pytest.approx(world.measure()["reward"], abs=1e-5)
        else:
            seen = find_objects(world.goal, picture)
            assert torch.allclose(foreseen[:-2], seen, atol=1.5), "where pictures show the objects"
    with pytest.raises(ValueError, match="pool of 2"):
        simulator.imagine(simulator.observe(), ahead.expand(3, -1, -1))


def test_records_are_json_and_of_what_was_measured(world):
    start = world.episodes(1).starts[0]
    _, measures = played(world, start)
    record = world.record(start, measures, [])
    assert json.loads(json.dumps(record)).keys() == record.keys()
    if world.goal is None:
        assert record == {"return": pytest.approx(sum(found["reward"] for found in measures[1:]))}


def test_a_world_that_nobody_knows_is_refused_with_those_there_are():
    for ask in (make_world, find_world):
        with pytest.raises(
            ValueError, match=r"no world 'pull'; there are push, push-long, .*dmc/walker-walk"
        ):
            ask("pull")


def test_settings_go_to_the_class_of_the_world():
    with pytest.raises(TypeError, match="gravity"):
        make_world("push", gravity=1.6)
