"""Low levels on loaded world models: for reward, for what a picture shows, and for the place of an object."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.push.env import PushEnv
from envs.push.scene import Scene, Wall
from envs.push.world import PushWorld
from planner.episode import run_episode
from planner.goals import make_goal
from planner.loading import load_world_model
from planner.low_levels.dynamics import PlaceModel
from planner.low_levels.learned import (
    PLACE_MEMORY,
    REWARD_MEMORY,
    PlaceServo,
    control_by_goal,
    control_by_place,
    control_by_reward,
    find_head,
    moves_object,
)
from planner.low_levels.low_level import Request, true_servo
from planner.pursuit import Actor, own_seeds
from planner.search.cem import CemConfig
from planner.search.costs import KeypointDistance
from planner.search.servo import Servo, ServoConfig
from world_models.checkpoint import write_model
from world_models.interface import Context
from world_models.segmenter import PUCK_GOAL, TWO_PUCKS_GOAL
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN

SCENE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.3), finger=(0.0, -0.6), steps=5)
SMALL = ServoConfig(horizon=4, cem=CemConfig(candidates=12, iterations=2, elite_fraction=0.2, bound=1.0))
TINY = StructVRNNConfig(
    actions=2,
    widths=(0, 4, 8),
    keypoints=3,
    bodies=("puck", "finger"),
    goal=PUCK_GOAL,
    latent=2,
    hidden=8,
    posterior_width=8,
)


class Recorded(PushEnv):
    """Notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[np.ndarray] = []

    def step(self, action):
        self.done.append(np.array(action))
        return super().step(action)


class Lying(Recorded):
    """Pictures are right; whatever else the simulator says of its state is not."""

    def get_state(self):
        state = super().get_state()
        state[1:5] += 0.3  # after the time: where puck and joints are
        return state

    def positions(self):
        return {name: place + 0.5 for name, place in super().positions().items()}

    def step(self, action):
        picture, *_ = super().step(action)
        return picture, 7.0, False, False, {"state": np.full(4, 9.0), "distance": 9.0, "success": True}


def untrained(**changes):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        return StructVRNN(TINY.model_copy(update=changes)).eval().requires_grad_(False)


def loaded(folder, **changes):
    model = untrained(**changes)
    write_model(folder, model.config, model, "")
    return load_world_model(str(folder))


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    return loaded(tmp_path_factory.mktemp("push") / "model")


def world_of(env):
    """A world of pushing in which that environment is acted in."""
    world = PushWorld()
    world.env.close()
    world.env = env
    return world


def actions(env, make):
    world = world_of(env)
    run_episode(world, SCENE, Actor(make(world), goal=make_goal(world.goal)), own_seeds(3))
    world.close()
    return np.stack(env.done)


def act(low_level, seen, goal, seed=1):
    return low_level.act(Request(seen, goal, None, torch.Generator().manual_seed(seed)))


def random_context(frames, actuators=2):
    rng = torch.Generator().manual_seed(0)
    pictures = torch.rand(1, frames, 3, 64, 64, generator=rng)
    return Context(pictures, torch.rand(1, frames - 1, actuators, generator=rng))


def goal_picture(push):
    picture, _ = push.begin(replace(SCENE, puck=SCENE.goal))
    return torch.from_numpy(np.moveaxis(picture, -1, 0).astype(np.float32) / 255)[None]


def test_no_simulator_state_reaches_the_learned_servo(ready):
    honest, lying = (actions(env, lambda _: control_by_place(ready, SMALL)) for env in (Recorded(), Lying()))
    np.testing.assert_array_equal(honest, lying)
    assert np.abs(honest).max() > 0.05


def test_the_search_in_true_dynamics_notices_a_lie():
    """The test above could fail: a low level with simulator state acts otherwise under false state."""
    honest, lying = (actions(env, lambda world: true_servo(world, SMALL)) for env in (Recorded(), Lying()))
    assert not np.array_equal(honest, lying)


def test_only_the_last_frames_are_looked_at(ready, push):
    servo, goal, seen = control_by_place(ready, SMALL), goal_picture(push), random_context(7)
    assert servo.memory == PLACE_MEMORY == 4
    long = act(servo, seen, goal)
    short = act(servo, Context(seen.frames[:, 3:], seen.actions[:, 3:]), goal)
    assert torch.equal(long.action, short.action)
    assert not torch.equal(long.cost, act(servo, Context(seen.frames[:, 4:], seen.actions[:, 4:]), goal).cost)


def test_a_model_without_an_object_to_move_is_refused(tmp_path, ready):
    assert moves_object(ready)
    for name, changes in (("cart", {"bodies": ("cart", "finger")}), ("nothing", {"bodies": ()})):
        other = loaded(tmp_path / name, goal=None, **changes)
        assert not moves_object(other)
        with pytest.raises(ValueError, match=f"{name} knows no object to move; .* has a goal in its config"):
            control_by_place(other, SMALL)


def test_a_model_of_several_objects_moves_them_all(tmp_path):
    bodies = ("finger", "puck", "second_puck")
    ready, context = loaded(tmp_path / "both", goal=TWO_PUCKS_GOAL, bodies=bodies), random_context(3)
    servo = control_by_place(ready, SMALL)
    future = servo.model.imagine(servo.model.encode(context), torch.zeros(1, 2, 2))
    assert future.features.shape == (1, 2, 6)
    env = PushEnv(task="push-two-pucks")
    _, info = env.reset(seed=1)
    env.close()
    goal = torch.from_numpy(info["goal"]).permute(2, 0, 1)[None] / 255
    assert torch.isfinite(act(servo, context, goal).cost).all()
    with pytest.raises(ValueError, match="the goal is about puck and second_puck and finger; bodies are"):
        loaded(tmp_path / "one", goal=TWO_PUCKS_GOAL, bodies=bodies[:2])


def test_surprise_is_the_distance_from_what_was_expected():
    model = PlaceModel(untrained(), ("puck", "finger"))
    servo = PlaceServo(model, Servo(model, KeypointDistance(model.locate), ServoConfig()), 4)
    frames = torch.rand(1, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    seen = Context(frames, torch.zeros(1, 2, 2))
    expected = model.imagine(model.encode(Context(frames[:, :2], seen.actions[:, :1])), seen.actions[:, 1:])
    found = model.locate(frames[:, 2])
    distances = (expected.features[0, 0] - found[0]).reshape(2, 2).norm(dim=1)
    assert servo.can_be_surprised
    assert servo.surprise(seen) == pytest.approx(float(distances.max()), rel=1e-4)
    assert servo.surprise(seen) > 0


@pytest.mark.parametrize("build", [control_by_reward, control_by_goal])
def test_low_levels_of_the_shipped_model_act_alike_twice(build):
    search = ServoConfig(horizon=3, cem=CemConfig(candidates=4, iterations=2, bound=1.0))
    low_level = build(load_world_model("struct-vrnn-dmc"), "reacher-easy", search)
    seen = random_context(4)
    first, again = (act(low_level, seen, seen.frames[:, 0], 3) for _ in range(2))
    assert first.action.shape == (1, 2) and bool((first.action.abs() <= 1).all())
    assert torch.equal(first.decisions, again.decisions) and torch.equal(first.cost, again.cost)
    assert (low_level.memory, low_level.imagined_steps) == (REWARD_MEMORY, 3 * 4 * 2)
    assert not low_level.true_dynamics and not low_level.can_be_surprised


def test_a_task_without_a_head_is_refused_by_name():
    ready = load_world_model("struct-vrnn-dmc")
    refused = r"no reward head for 'hopper-hop'; it has some for acrobot-swingup, "
    for ask in (control_by_reward, control_by_goal, find_head):
        with pytest.raises(ValueError, match=refused):
            ask(ready, "hopper-hop")
