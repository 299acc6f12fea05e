"""The closed loop where reward is what counts: nothing is planned, and no goal ends it."""

import numpy as np
import pytest
import torch
from dm_control.rl.control import PhysicsError

from envs.dmc.episodes import load_starts
from envs.dmc.world import DmcWorld
from planner.episode import episode, run_episode
from planner.low_levels.low_level import LowLevel
from planner.pursuit import Actor, one_stream
from planner.search.servo import ServoStep
from world_models.frames import to_tensor

START = load_starts().starts["reacher-easy"][2]


@pytest.fixture(scope="module")
def reacher():
    world = DmcWorld("reacher-easy")
    yield world
    world.close()


class Noting(LowLevel):
    """Turns the shoulder and keeps what it was told."""

    def __init__(self) -> None:
        self.told = []

    def acting(self, request):
        yield from ()
        seen = request.seen
        self.told.append((seen.frames.clone(), seen.actions.clone(), request.subgoal, request.warm_start))
        action = torch.tensor([[0.5, 0.1 * len(self.told)]])
        return ServoStep(action, action[:, None], torch.zeros(1), action[:, None])


def run(world, low_level, goal=None, steps=4, seed=0):
    return run_episode(world, START, Actor(low_level), one_stream(seed), goal=goal, steps=steps)


def rewards(outcome):
    return [measures["reward"] for measures in outcome.measures[1:]]


def test_low_levels_are_told_pictures_and_actions(reacher):
    low_level = Noting()
    outcome = run(reacher, low_level)
    assert (len(outcome.frames), outcome.steps, outcome.stop) == (5, 4, "steps")
    assert len(outcome.measures) == 5 and len(outcome.decision_seconds) == len(outcome.step_seconds) == 4
    assert all(a <= b for a, b in zip(outcome.decision_seconds, outcome.step_seconds, strict=True))
    frames, actions, subgoal, warm_start = low_level.told[3]
    assert torch.equal(frames, to_tensor(np.stack(outcome.frames[:4]))[None])
    assert actions[0].numpy() == pytest.approx(np.array([[0.5, 0.1], [0.5, 0.2], [0.5, 0.3]]))
    assert not subgoal.any()
    assert warm_start[0, 0].tolist() == pytest.approx([0.5, 0.3])
    assert low_level.told[0][3] is None
    frame = outcome.frames[2]
    run(reacher, low_level, goal=frame, steps=1)
    assert torch.equal(low_level.told[-1][2][0], to_tensor(frame))


def test_nothing_is_planned_or_pursued(reacher):
    outcome = run(reacher, Noting())
    assert outcome.plans == outcome.strips == outcome.pursued == outcome.plan_seconds == []


def test_all_searches_of_an_episode_share_one_stream():
    randomness = one_stream(5)
    expected = torch.rand(2, generator=torch.Generator().manual_seed(5))
    drawn = [torch.rand(1, generator=randomness(step, "action")) for step in range(2)]
    assert torch.equal(torch.cat(drawn), expected)


def test_an_episode_whose_simulation_diverges_ends_there(reacher, monkeypatch):
    advance, done = reacher.env.advance, []

    def diverge(action):
        done.append(action)
        if len(done) == 3:
            raise PhysicsError
        return advance(action)

    whole = run(reacher, Noting())
    monkeypatch.setattr(reacher.env, "advance", diverge)
    outcome = run(reacher, Noting())
    assert (outcome.steps, outcome.stop, len(outcome.frames)) == (2, "diverged", 3)
    assert rewards(outcome) == rewards(whole)[:2]
    assert len(outcome.decision_seconds) == 3, "the last decision was made, and counts"


def test_an_episode_can_be_watched_and_ended_after_any_step(reacher):
    whole = run(reacher, Noting(), steps=4)
    running = episode(reacher, *reacher.begin(START), 4, Actor(Noting()), one_stream(0))
    moments = [moment for moment in (running.send(None) for _ in range(4)) if moment is not None]
    assert running.send(None) is None
    with pytest.raises(StopIteration) as end:
        running.send("cancelled")
    outcome = end.value.value
    assert outcome.stop == "cancelled" and whole.stop == "steps"
    assert rewards(outcome) == rewards(whole)[:2] == [moment.measures["reward"] for moment in moments[1:]]
    assert [moment.step for moment in moments] == [0, 1, 2] and moments[0].action is None
    assert all(moment.subgoal is None for moment in moments)
    assert all(np.array_equal(a.picture, b) for a, b in zip(moments, outcome.frames, strict=True))
    assert moments[2].action.tolist() == pytest.approx([0.5, 0.2])
