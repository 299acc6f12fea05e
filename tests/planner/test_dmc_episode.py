from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dm_control.rl.control import PhysicsError

from envs.dmc.env import DmcEnv
from envs.dmc.episodes import DmcEpisodes, draw_starts, load_starts
from envs.dmc.tasks import TASKS
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig, ServoStep
from planner.suite_episode import (
    SuiteOutcome,
    SuiteSimulatorController,
    UniformController,
    run_suite_episode,
    suite_episode,
)
from planner.suite_learned import SUITE_SERVO
from planner.suite_worker import SuiteTrial, SuiteWorker
from world_models.frames import to_tensor
from world_models.interface import Context

SMALL = ServoConfig(
    horizon=6, cem=CemConfig(candidates=24, iterations=2, elite_fraction=0.15, bound=1.0, noise_exponent=2.0)
)


@pytest.fixture(scope="module")
def reacher():
    env = DmcEnv("reacher-easy")
    yield env
    env.close()


class Noting:
    """A controller that turns the shoulder and keeps what it was told."""

    def __init__(self) -> None:
        self.told = []

    def act(self, seen, subgoal, warm_start, generator):
        self.told.append((seen.frames.clone(), seen.actions.clone(), subgoal, warm_start))
        action = torch.tensor([[0.5, 0.1 * len(self.told)]])
        return ServoStep(action, action[:, None], torch.zeros(1), action[:, None])


def run(env, controller, goal=None, steps=4, seed=0):
    start = load_starts().starts[env.task.name][2]
    return run_suite_episode(env, start, controller, goal, steps, torch.Generator().manual_seed(seed))


def test_controllers_are_told_pictures_and_actions(reacher):
    controller = Noting()
    outcome = run(reacher, controller)
    assert (len(outcome.frames), len(outcome.rewards), len(outcome.seconds)) == (5, 4, 4)
    frames, actions, subgoal, warm_start = controller.told[3]
    assert torch.equal(frames, to_tensor(np.stack(outcome.frames[:4]))[None])
    assert actions[0].numpy() == pytest.approx(np.array([[0.5, 0.1], [0.5, 0.2], [0.5, 0.3]]))
    assert not subgoal.any()
    assert warm_start[0, 0].tolist() == pytest.approx([0.5, 0.3])
    assert controller.told[0][3] is None
    frame = outcome.frames[2]
    run(reacher, controller, goal=frame, steps=1)
    assert torch.equal(controller.told[-1][2][0], to_tensor(frame))


def test_true_dynamics_reach_a_target_that_chance_does_not(reacher):
    searched = run(reacher, SuiteSimulatorController(reacher, SMALL), steps=25)
    again = run(reacher, SuiteSimulatorController(reacher, SMALL), steps=25)
    by_chance = run(reacher, UniformController(2), steps=25)
    assert searched.rewards == again.rewards
    assert sum(searched.rewards) > 30 > sum(by_chance.rewards)


def test_uniform_actions_fill_the_box():
    generator = torch.Generator().manual_seed(0)
    controller = UniformController(6)
    nothing = Context(torch.zeros(1, 1, 3, 2, 2), torch.zeros(1, 0, 6))
    actions = torch.cat(
        [controller.act(nothing, nothing.frames[:, 0], None, generator).action for _ in range(500)]
    )
    assert actions.std() == pytest.approx(3**-0.5, abs=0.02)
    assert -1 <= actions.min() < -0.99 and 0.99 < actions.max() <= 1


def test_best_frame_follows_the_highest_reward():
    frames = [np.full((2, 2, 3), k, dtype=np.uint8) for k in range(5)]
    assert SuiteOutcome([1.0, 4.0, 4.0, 2.0], frames=frames).best_frame[0, 0, 0] == 3


def test_best_frame_is_the_start_if_the_first_step_diverges(reacher, monkeypatch):
    def diverge(action):
        raise PhysicsError

    monkeypatch.setattr(reacher, "advance", diverge)
    outcome = run(reacher, Noting())
    assert outcome.rewards == [] and outcome.best_frame is outcome.frames[0]


@pytest.mark.parametrize("task", TASKS)
def test_frozen_starts_are_reproducible(task):
    frozen, env = load_starts(), DmcEnv(task)
    assert len(frozen.starts[task]) == 20
    assert draw_starts(env, frozen.seed, 3) == frozen.starts[task][:3]
    with pytest.raises(ValueError, match="does not start where"):
        replace(frozen.starts[task][0], seed=1).begin(env)
    env.close()


def test_altered_starts_are_refused(tmp_path):
    frozen = load_starts()
    path = tmp_path / "dmc-20.json"
    path.write_text(DmcEpisodes("dmc-20", frozen.seed, frozen.starts).to_json())
    assert load_starts(path) == frozen
    path.write_text(path.read_text().replace(str(frozen.starts["cheetah-run"][0].seed), "17"))
    with pytest.raises(ValueError, match="fingerprint"):
        load_starts(path)


def trial(folder: Path, **change) -> SuiteTrial:
    settings = {
        "objective": "goal",
        "search": SMALL,
        "horizon": SMALL.horizon,
        "model": "struct-vrnn-dmc",
        "seed": 0,
        "steps": 5,
        "device": "cpu",
        "goals": folder / "goals",
        "video": None,
    }
    return SuiteTrial(**(settings | change))


def test_goal_is_the_best_picture_of_the_search_in_true_dynamics(tmp_path):
    worker = SuiteWorker(trial(tmp_path))
    learned = worker.episode("reacher-easy", "learned", 0)
    assert (learned["steps"], learned["model_steps"]) == (5, 5 * SMALL.imagined_steps)
    [goal] = (tmp_path / "goals").iterdir()
    kept = goal.read_bytes()
    goal.unlink()
    worker.episode("reacher-easy", "simulator", 0)
    assert goal.read_bytes() == kept  # the arm itself leaves the same picture behind
    other = trial(tmp_path, seed=1).goal_path("reacher-easy", 0, load_starts().starts["reacher-easy"][0])
    assert other != goal


def test_true_dynamics_are_searched_without_a_gradient(tmp_path):
    asked = trial(tmp_path, search=SMALL.model_copy(update={"gradient_steps": 2}))
    assert asked.search_of("learned", "reacher-easy").gradient_steps == 2
    assert SuiteWorker(asked).episode("reacher-easy", "simulator", 0)["steps"] == 5
    assert asked.search_of("simulator", "reacher-easy") == SMALL


def test_every_task_has_its_own_horizon_unless_told_otherwise(tmp_path):
    own, told = trial(tmp_path, horizon=None), trial(tmp_path, horizon=5)
    tasks = ("cartpole-balance", "reacher-easy")
    assert [own.search_of("learned", task).horizon for task in tasks] == [30, 12]
    assert [told.search_of("learned", task).horizon for task in tasks] == [5, 5]


def test_steps_end_with_the_episode(tmp_path):
    assert trial(tmp_path, steps=None, search=SUITE_SERVO).length("walker-walk") == 500
    assert trial(tmp_path, steps=300).length("cheetah-run") == 250


def test_an_episode_can_be_watched_and_ended_after_any_step(reacher):
    whole = run(reacher, Noting(), steps=4)
    load_starts().starts["reacher-easy"][2].begin(reacher)
    running = suite_episode(reacher, Noting(), None, 4, torch.Generator())
    moments = [moment for moment in (running.send(None) for _ in range(4)) if moment is not None]
    assert running.send(None) is None
    with pytest.raises(StopIteration) as end:
        running.send("cancelled")
    outcome = end.value.value
    assert outcome.interrupted == "cancelled" and whole.interrupted is None
    assert outcome.rewards == whole.rewards[:2] == [moment.reward for moment in moments[1:]]
    assert [moment.step for moment in moments] == [0, 1, 2] and moments[0].action is moments[0].reward is None
    assert all(np.array_equal(a.picture, b) for a, b in zip(moments, outcome.frames, strict=True))
    assert moments[2].action.tolist() == pytest.approx([0.5, 0.2])
