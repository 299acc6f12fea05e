from dataclasses import replace

import pytest
import torch

from envs.push.env import PushEnv
from envs.push.scene import Scene, Wall
from planner.episode import EpisodeConfig, run_episode
from planner.learned import PlaceController, PlaceModel
from planner.loading import PUCK_SEGMENTER
from planner.search.costs import KeypointDistance
from planner.search.servo import Servo, ServoConfig, ServoStep
from world_models.frames import to_tensor
from world_models.interface import Context
from world_models.struct_vrnn.config import StructVRNNConfig
from world_models.struct_vrnn.model import StructVRNN

TABLE = Scene((Wall((-0.8, 0.6), 1.5),), puck=(0.0, -0.3), goal=(0.1, 0.3), finger=(0.0, -0.6), steps=9)


@pytest.fixture(scope="module")
def push():
    env = PushEnv()
    yield env
    env.close()


class Still:
    def act(self, seen, subgoal, warm_start, generator):
        return ServoStep(torch.zeros(1, 2), torch.zeros(1, 3, 2), torch.zeros(1), torch.zeros(1, 3, 2))


def plans(env, config, surprise=None):
    """At which pictures plans were made, by the number of steps taken before."""
    far = to_tensor(env.reset(options={"scene": replace(TABLE, puck=(0.6, 0.6))})[0])[None]
    seen = []

    def subgoals(now, goal, generator):
        seen.append(now)
        return torch.cat([far, far])

    outcome = run_episode(env, TABLE, subgoals, Still(), PUCK_SEGMENTER, config, 0, surprise)
    return [
        place
        for place, (number, _) in enumerate(outcome.pursued)
        if not place or number > outcome.pursued[place - 1][0]
    ]


def test_surprise_calls_for_a_new_plan_and_the_expected_does_not(push):
    config = EpisodeConfig(replan="surprised", surprise=2.0, max_steps_per_subgoal=20)
    surprises = iter([1.0, 1.9, 2.1, 0.0, 5.0, 0.0, 0.0, 0.0])
    assert plans(push, config, lambda seen: next(surprises)) == [0, 3, 5]


def test_a_missed_subgoal_calls_for_a_new_plan(push):
    config = EpisodeConfig(replan="missed", max_steps_per_subgoal=4)
    assert plans(push, config) == [0, 4, 8]
    assert plans(push, config.model_copy(update={"replan": "never"})) == [0]


def test_only_a_learned_servo_is_surprised(push):
    with pytest.raises(ValueError, match="never, missed or always"):
        plans(push, EpisodeConfig(replan="surprised"))


def test_surprise_is_the_distance_from_what_was_expected():
    config = StructVRNNConfig(
        actions=2,
        widths=(0, 4, 8),
        keypoints=3,
        bodies=("puck", "finger"),
        latent=2,
        hidden=8,
        posterior_width=8,
    )
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(0).get_state())
        world = StructVRNN(config).eval().requires_grad_(False)
    model = PlaceModel(world)
    controller = PlaceController(model, Servo(model, KeypointDistance(model.locate), ServoConfig()), 4)
    frames = torch.rand(1, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    seen = Context(frames, torch.zeros(1, 2, 2))
    expected = model.imagine(model.encode(Context(frames[:, :2], seen.actions[:, :1])), seen.actions[:, 1:])
    found = model.locate(frames[:, 2])
    distances = (expected.features[0, 0] - found[0]).reshape(2, 2).norm(dim=1)
    assert controller.surprise(seen) == pytest.approx(float(distances.max()), rel=1e-4)
    assert controller.surprise(seen) > 0
