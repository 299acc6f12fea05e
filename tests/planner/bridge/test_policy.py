"""Our closed loop as a policy of stable-worldmodel: an episode for every environment, actions held."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from planner.bridge.policy import PlannerPolicy
from planner.low_levels.low_level import LowLevel
from planner.pursuit import Actor
from planner.search.servo import ServoStep

LOW = np.array([0.0, -2.0], np.float32)
HIGH = np.array([4.0, 2.0], np.float32)


@dataclass(frozen=True)
class Counted(LowLevel):
    """Counts: the k-th action of an episode is k tenths."""

    seen: list = field(default_factory=list)

    def acting(self, request):
        yield from ()
        self.seen.append(request.seen)
        action = torch.full((1, 2), request.seen.actions.shape[1] / 10)
        return ServoStep(action, action[:, None], torch.zeros(1), action[:, None])


def policy(low_level, **settings):
    made = PlannerPolicy(Actor(low_level), **{"size": 8, "steps": 5, **settings})
    made.set_env(SimpleNamespace(num_envs=2, single_action_space=Box(LOW, HIGH)))
    return made


def infos(shade=0, **more):
    pictures = np.full((2, 1, 16, 16, 3), shade, np.uint8)
    return {"pixels": pictures, "goal": pictures[:, 0], **more}


def scaled(share):
    return (LOW + HIGH) / 2 + share * (HIGH - LOW) / 2


def test_actions_are_held_and_pictures_are_seen_in_between():
    low_level = Counted()
    made = policy(low_level, skip=2)
    actions = [made.get_action(infos(shade)) for shade in (10, 20, 30, 40)]
    for given, share in zip(actions, (0.0, 0.0, 0.1, 0.1), strict=True):
        np.testing.assert_allclose(given, np.stack([scaled(share)] * 2), rtol=1e-6)
    last = low_level.seen[-1]
    assert last.frames.shape == (1, 2, 3, 8, 8)
    np.testing.assert_allclose(last.frames[0, :, 0, 0, 0] * 255, [10, 30], atol=0.5)
    assert last.actions.shape == (1, 1, 2)


def test_an_environment_that_was_flushed_begins_anew_and_others_go_on():
    low_level = Counted()
    made = policy(low_level)
    made.get_action(infos())
    made.get_action(infos())
    given = made.get_action(infos(_needs_flush=np.array([True, False])))
    np.testing.assert_allclose(given, np.stack([scaled(0.0), scaled(0.2)]), rtol=1e-6)


def test_after_the_last_step_it_holds_still():
    made = policy(Counted(), steps=2)
    for _ in range(3):
        given = made.get_action(infos())
    np.testing.assert_allclose(given, np.stack([scaled(0.0)] * 2), rtol=1e-6)
    assert len(made._episodes[0].frames) == 3


@pytest.mark.parametrize("missing", ["pixels", "goal"])
def test_missing_pictures_are_named(missing):
    given = infos()
    del given[missing]
    with pytest.raises(ValueError, match=f"infos lack '{missing}'"):
        policy(Counted()).get_action(given)
