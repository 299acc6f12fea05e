import numpy as np
import pytest
from counting import STEPS, CountingWorld

from planner.episode import episode
from planner.low_levels.low_level import LowLevel
from planner.practice.recording import (
    Disturbed,
    cut,
    disturbed_policy,
    random_policy,
    record_episode,
)
from planner.pursuit import Actor, one_stream
from planner.search.rollout import drive
from planner.search.servo import ServoStep
from world_models.interface import Context


class Echo(LowLevel):
    """Answers the mean of the newest picture, in steps, and tells what it was shown."""

    def __init__(self):
        self.seen: list[Context] = []
        self.warm_starts = []

    def acting(self, request):
        yield from ()
        self.seen.append(request.seen)
        self.warm_starts.append(request.warm_start)
        action = (255 / 100 * request.seen.frames[:, -1].mean())[None, None]
        return ServoStep(action, action[None] + 1, action[0], action[None])


def test_rewards_belong_to_the_action_that_led_to_the_frame():
    episode = record_episode(CountingWorld(), random_policy, seed=0, index=0)
    assert episode.states[:, 0].tolist() == [*range(1, STEPS + 1)]
    assert np.array_equal(episode.frames[:, 0, 0, 0], episode.states[:, 0])
    assert np.array_equal(episode.rewards[1:], episode.actions[:, 0])
    assert len(record_episode(CountingWorld(), random_policy, 0, 0, steps=4).frames) == 4


def test_an_episode_depends_on_seed_and_index_and_is_drawn_again_if_it_diverges():
    first, other, again = (record_episode(CountingWorld(), random_policy, 0, k) for k in (0, 1, 0))
    assert np.array_equal(first.actions, again.actions) and (first.actions != other.actions).any()
    late = record_episode(CountingWorld(diverging=2), random_policy, 0, 0)
    assert len(late.frames) == STEPS and (late.actions != first.actions).any()
    with pytest.raises(ValueError, match="episode 7 of seed 0 diverged 10 times; choose another --seed"):
        record_episode(CountingWorld(diverging=99), random_policy, 0, 7)


@pytest.mark.parametrize(("frames", "starts"), [(5, [1, 6]), (4, [1, 5, 7]), (10, [1])])
def test_no_frame_of_an_episode_is_lost(frames, starts):
    parts = cut(record_episode(CountingWorld(), random_policy, 0, 0), frames)
    assert [part.states[0, 0] for part in parts] == starts
    for part in parts:
        assert np.array_equal(np.diff(part.states[:, 0]), np.ones(frames - 1))
        assert np.array_equal(part.rewards[1:], part.actions[:, 0])


def test_the_low_level_sees_all_pictures_and_what_was_really_done():
    world, echo = CountingWorld(), Echo()
    noise = np.array([[0.0], [0.25], [9.0], [-9.0], [0.0]], np.float32)
    world.env.start(0)
    actor = Actor(Disturbed(echo, noise))
    outcome = drive(episode(world, world.env.render(), None, 5, actor, one_stream(0)))
    done = [float(action[0]) for action in outcome.actions]
    assert done == pytest.approx([0.0, 0.26, 1.0, -1.0, 0.04], abs=1e-6)
    last = echo.seen[-1]
    assert (255 * last.frames[0, :, 0, 0, 0]).round().tolist() == [0, 1, 2, 3, 4]
    assert last.actions.flatten().tolist() == done[:4]
    assert echo.seen[0].actions.shape == (1, 0, 1)
    assert echo.warm_starts[0] is None and float(echo.warm_starts[4]) == pytest.approx(1.03)


def test_a_low_level_is_disturbed_anew_in_every_episode_and_not_without_noise():
    clean, loud = (disturbed_policy(Echo(), noise) for noise in (0.0, 0.3))
    echoed = record_episode(CountingWorld(), clean, 0, 0)
    assert echoed.actions[:, 0] == pytest.approx(np.arange(1, STEPS) / 100, abs=1e-6)
    first, again, other = (record_episode(CountingWorld(), loud, 0, index) for index in (0, 0, 1))
    assert np.array_equal(first.actions, again.actions)
    assert 0.1 < np.abs(first.actions - echoed.actions).mean() < 0.6
    assert not np.array_equal(first.actions, other.actions)
