from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.push.env import PushEnv
from envs.push.scene import Scene, Wall
from planner.episode import EpisodeConfig, run_episode
from planner.loading import PUCK_SEGMENTER, learned_servo, simulator_servo
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig
from planner.subgoals import SimulatorController, no_subgoals
from world_models.checkpoint import write_model
from world_models.interface import Context
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN

SCENE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.3), finger=(0.0, -0.6), steps=5)
SMALL = ServoConfig(horizon=4, cem=CemConfig(candidates=12, iterations=2, elite_fraction=0.2, bound=1.0))
TINY = StructVRNNConfig(
    actions=2, widths=(0, 4, 8), keypoints=3, bodies=("puck", "finger"), latent=2, hidden=8, posterior_width=8
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


def make_model(folder, **changes):
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        model = StructVRNN(TINY.model_copy(update=changes))
    write_model(folder, model.config, model, "")
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("push") / "model")


def actions(env, controller):
    run_episode(env, SCENE, no_subgoals, controller, PUCK_SEGMENTER, EpisodeConfig(), 3)
    env.close()
    return np.stack(env.done)


def test_no_simulator_state_reaches_the_learned_servo(model):
    honest, lying = (actions(env, learned_servo(model, SMALL)) for env in (Recorded(), Lying()))
    np.testing.assert_array_equal(honest, lying)
    assert np.abs(honest).max() > 0.05


def test_the_search_in_true_dynamics_notices_a_lie():
    """The test above could fail: a low level with simulator state acts otherwise under false state."""

    def with_state(env):
        return actions(env, SimulatorController(simulator_servo(env, SMALL), env))

    assert not np.array_equal(with_state(Recorded()), with_state(Lying()))


def test_only_the_last_frames_are_looked_at(model):
    controller = learned_servo(model, SMALL)
    rng = torch.Generator().manual_seed(0)
    frames, past = torch.rand(1, 7, 3, 64, 64, generator=rng), torch.rand(1, 6, 2, generator=rng)
    goal = torch.from_numpy(goal_picture())[None]
    act = lambda seen: controller.act(seen, goal, None, torch.Generator().manual_seed(1))  # noqa: E731
    long, short = act(Context(frames, past)), act(Context(frames[:, 3:], past[:, 3:]))
    assert torch.equal(long.action, short.action)
    assert not torch.equal(long.cost, act(Context(frames[:, 4:], past[:, 4:])).cost)


def goal_picture():
    env = PushEnv()
    picture, _ = env.reset(options={"scene": replace(SCENE, puck=SCENE.goal)})
    env.close()
    return np.moveaxis(picture, -1, 0).astype(np.float32) / 255


def test_a_model_that_does_not_know_the_puck_is_refused(tmp_path):
    folder = make_model(tmp_path / "model", bodies=("cart", "finger"))
    with pytest.raises(ValueError, match=r"knows cart, finger; .* puck, finger"):
        learned_servo(folder, SMALL)
    with pytest.raises(ValueError, match="no bodies"):
        learned_servo(make_model(tmp_path / "other", bodies=()), SMALL)
