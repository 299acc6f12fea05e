"""Any world can be evaluated: one of a few lines, defined here, and those that are there."""

import json
from dataclasses import dataclass

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from gymnasium import spaces

from envs.world import Episodes, World
from envs.worlds import WORLDS
from planner.evaluation.anywhere import Anywhere
from planner.evaluation.run import evaluate
from planner.evaluation.worker import Worker
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig
from world_models.interface import Future
from world_models.segmenter import ColorSegmenter, ObjectGoal

SMALL = ServoConfig(horizon=4, cem=CemConfig(candidates=16, iterations=2, bound=1.0))
DOT = ColorSegmenter(color=(1.0, 0.0, 0.0), tolerance=0.3, min_mass=9, max_mass=9, max_radius=2.0)
EDGE = np.array([2.0, 13.0])


@dataclass(frozen=True)
class Places:
    """Where the dot is, in pixels."""

    rows: torch.Tensor


@dataclass(frozen=True)
class Trip:
    """From where to where."""

    dot: tuple[float, float]
    goal: tuple[float, float]

    @property
    def digest(self):
        return f"{self.dot} to {self.goal}"


class Table(gymnasium.Env):
    """A red dot on a black table: an action moves it by up to two pixels."""

    metadata = {"render_fps": 10}
    observation_space, action_space = spaces.Box(0, 255, (16, 16, 3), np.uint8), spaces.Box(-1, 1, (2,))

    def render(self):
        picture, (x, y) = np.zeros((16, 16, 3), np.uint8), self.dot.round().astype(int)
        picture[y - 1 : y + 2, x - 1 : x + 2, 0] = 255
        return picture

    def step(self, action):
        self.dot = np.clip(self.dot + 2 * action, *EDGE)
        return self.render(), 0.0, False, False, {}


class Dynamics:
    """Where the dot gets; it is its own effector."""

    decision_dim = 2

    def __init__(self, env):
        self._env = env

    def observe(self):
        return Places(torch.from_numpy(self._env.dot)[None])

    def imagine(self, state, decisions):
        place, path = state.rows, []
        for step in range(decisions.shape[1]):
            place = (place + 2 * decisions[:, step]).clamp(*EDGE)
            path.append(place.repeat(1, 2).float())
        return Future(torch.stack(path, 1), torch.ones(decisions.shape[:2]).cumsum(1))


class ToyWorld(World[Trip]):
    """Bring the dot to its goal."""

    id, steps = "toy", 30
    goal = ObjectGoal(segmenter=DOT, body="dot", effector="dot")

    def __init__(self):
        self.env = Table()

    def episodes(self, count, seed=None):
        places = np.random.default_rng(seed or 0).integers(2, 14, (count, 4)).tolist()
        starts = [Trip((a, b), (c, d)) for a, b, c, d in places]
        return Episodes("toy", seed or 0, str(places), starts)

    def begin(self, start):
        self.target = self.env.dot = np.array(start.goal, float)
        goal, self.env.dot = self.env.render(), np.array(start.dot, float)
        return self.env.render(), goal

    def measure(self):
        return {"reward": -float(np.linalg.norm(self.env.dot - self.target))}

    def simulator(self, pool, threads=1):
        return Dynamics(self.env)

    def record(self, start, measures, plans):
        return {"return": sum(found["reward"] for found in measures[1:]), "last": measures[-1]["reward"]}


@pytest.fixture(autouse=True)
def toy(jobs_here, monkeypatch):
    """One more world, and no processes: those would not know it."""
    monkeypatch.setattr("envs.worlds.WORLDS", {**WORLDS, "toy": (f"{__name__}:ToyWorld", {})})


def run(folder, **settings):
    chosen = {"world": "toy", "episodes": 6, "workers": 1, "settings": SMALL, "out": folder / "w.json"}
    return Anywhere(**(chosen | settings))


def test_true_dynamics_beat_chance_in_a_world_of_a_few_lines(tmp_path):
    job = run(tmp_path)
    result, records = evaluate(job)
    assert json.loads(job.out.read_text()) == result
    assert (result["made_by"], result["manifests"]["toy"]["name"]) == ("planner.evaluate world", "toy")
    searched, by_chance = (records["toy", arm] for arm in ("simulator", "random"))
    assert all(record["last"] > -1.5 and record["steps"] < 30 for record in searched)
    assert np.mean([record["last"] for record in by_chance]) < -2.5
    rows = {row["arm"]: row for row in result["rows"]}
    assert rows["simulator"]["return_mean"] > rows["random"]["return_mean"]
    assert rows["simulator"]["model_steps_mean"] == rows["simulator"]["steps_mean"] * SMALL.imagined_steps
    assert rows["random"]["model_steps_mean"] == 0
    assert result["table"].splitlines()[0] == (
        "| world | arm | n | return | steps | imagined steps | s / decision |"
    )


def test_outcomes_are_kept_and_not_run_again(tmp_path):
    job = run(tmp_path, arms="random", episodes=3)
    first, _ = evaluate(job)
    lines = (tmp_path / "w.json.episodes.jsonl").read_text().splitlines()
    assert len(lines) == 3
    again, _ = evaluate(job)
    assert again == first
    assert (tmp_path / "w.json.episodes.jsonl").read_text().splitlines() == lines
    other, _ = evaluate(run(tmp_path, arms="random", episodes=3, seed=1))
    assert other["rows"][0]["return_mean"] != first["rows"][0]["return_mean"]


def test_new_episodes_are_drawn_on_request(tmp_path):
    frozen, fresh = (
        evaluate(run(tmp_path, arms="random", fresh=seed))[0]["manifests"]["toy"] for seed in (None, 5)
    )
    assert fresh["seed"] == 5 and fresh["fingerprint"] != frozen["fingerprint"]


def test_every_episode_has_a_film_where_films_are_wanted(tmp_path):
    job = run(tmp_path, arms="random", episodes=2, video=tmp_path / "films")
    _, records = evaluate(job)
    for index, record in enumerate(records["toy", "random"]):
        path = tmp_path / "films" / f"toy-random-00{index}.mp4"
        assert imageio_ffmpeg.count_frames_and_secs(str(path))[0] == record["steps"] + 1
    assert run(tmp_path, video=tmp_path).film_path(("dmc/reacher-easy", "random"), 3) == (
        tmp_path / "dmc-reacher-easy-random-003.mp4"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"world": "toy,pull"}, "no world 'pull'; there are push"),
        ({"world": " , "}, "no world; choose from push"),
        ({"arms": "random,magic"}, "unknown arm magic; choose from simulator, random"),
        ({"episodes": 0}, "--episodes and --workers must be at least 1"),
        ({"workers": 0}, "--episodes and --workers must be at least 1"),
        ({"world": "dmc/reacher-easy", "episodes": 21}, "dmc-20 has 20 episodes; .* --fresh SEED"),
    ],
)
def test_bad_settings_name_the_valid_ones(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        evaluate(run(tmp_path, **change))
    assert not list(tmp_path.iterdir())


def test_true_dynamics_that_are_not_known_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(ToyWorld, "simulator", World.simulator)
    with pytest.raises(ValueError, match="toy has no true dynamics to search in; choose another low level"):
        Worker(run(tmp_path)).episode(("toy", "simulator"), 0)


def test_worlds_that_are_there_share_a_table(tmp_path):
    job = run(tmp_path, world="push,dmc/reacher-easy", arms="random", episodes=1)
    result, records = evaluate(job)
    assert [row["world"] for row in result["rows"]] == ["push", "dmc/reacher-easy"]
    assert all(name in result["table"] for name in ("| push | random | 1 |", "| dmc/reacher-easy | random |"))
    assert records["push", "random"][0]["distance"] > 0


def test_arms_in_one_world_are_compared(tmp_path):
    """Columns such as the return over that of the simulator look for who acts by this name."""
    job = run(tmp_path, world="dmc/cartpole-balance,dmc/walker-walk")
    assert [job.who(trial) for trial in job.trials()] == ["simulator", "random"] * 2
