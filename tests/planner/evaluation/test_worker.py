"""Single episodes of an evaluation: what acts in them, their records, goal pictures and films."""

import json
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from envs.push.variation.factors import Variation
from envs.worlds import make_world
from planner.evaluation import films
from planner.evaluation.dmc import Dmc
from planner.evaluation.push import Push
from planner.evaluation.settings import Settings
from planner.evaluation.worker import Worker
from planner.pursuit import EpisodeConfig
from planner.search.cem import CemConfig
from planner.search.servo import ServoConfig

SMALL = ServoConfig(
    horizon=6, cem=CemConfig(candidates=24, iterations=2, elite_fraction=0.15, bound=1.0, noise_exponent=2.0)
)
LEARNED, SIMULATOR = ("reacher-easy", "learned"), ("reacher-easy", "simulator")


def dmc(folder: Path, **change) -> Dmc:
    settings = {
        "objective": "goal",
        "settings": SMALL,
        "horizon": SMALL.horizon,
        "model": "struct-vrnn-dmc",
        "steps": 5,
        "out": folder / "r.json",
    }
    return Dmc(**(settings | change))


def push(folder: Path, **change) -> Push:
    return Push(episodes=2, settings=Settings(servo=SMALL), out=folder / "r.json", **change)


def test_goal_is_the_best_picture_of_the_search_in_true_dynamics(tmp_path):
    run = dmc(tmp_path)
    worker = Worker(run)
    learned = worker.episode(LEARNED, 0)
    assert (learned["task"], learned["arm"], learned["episode"]) == ("reacher-easy", "learned", 0)
    assert (learned["steps"], learned["model_steps"]) == (5, 5 * SMALL.imagined_steps)
    assert learned["simulator_steps"] == 0
    [goal] = (tmp_path / "r.json.goals").iterdir()
    assert goal == run.goal_path("reacher-easy", 0)
    kept = goal.read_bytes()
    goal.unlink()
    searched = worker.episode(SIMULATOR, 0)
    assert (searched["model_steps"], searched["simulator_steps"]) == (0, 5 * SMALL.imagined_steps)
    assert goal.read_bytes() == kept  # the arm itself leaves the same picture behind
    assert dmc(tmp_path, seed=1).goal_path("reacher-easy", 0) != goal


def test_nothing_is_kept_where_reward_is_the_objective(tmp_path):
    Worker(dmc(tmp_path, objective="reward", arms="random")).episode(("reacher-easy", "random"), 0)
    Worker(dmc(tmp_path, objective="reward")).episode(SIMULATOR, 0)
    assert not list(tmp_path.iterdir())


def test_true_dynamics_are_searched_without_a_gradient(tmp_path):
    asked = dmc(tmp_path, settings=SMALL.model_copy(update={"gradient_steps": 2}))
    assert asked.search_of("learned", "reacher-easy").gradient_steps == 2
    assert Worker(asked).episode(SIMULATOR, 0)["steps"] == 5
    assert asked.search_of("simulator", "reacher-easy") == SMALL


def test_every_task_has_its_own_horizon_unless_told_otherwise(tmp_path):
    own, told = dmc(tmp_path, horizon=None), dmc(tmp_path, horizon=5)
    tasks = ("cartpole-balance", "reacher-easy")
    assert [own.search_of("learned", task).horizon for task in tasks] == [30, 12]
    assert [told.search_of("learned", task).horizon for task in tasks] == [5, 5]


def test_steps_end_with_the_episode(tmp_path):
    def length(steps: int | None, task: str) -> int:
        world = make_world(f"dmc/{task}")
        start = world.episodes(1).starts[0]
        world.close()
        return dmc(tmp_path, steps=steps).length(world, start)

    assert length(None, "walker-walk") == 500
    assert length(300, "cheetah-run") == 250
    assert length(300, "walker-walk") == 300


def test_films_of_the_learned_arm_show_its_goal(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        films, "video", lambda frames, strips, path, fps, _: shown.append((strips, path, fps))
    )
    run = dmc(tmp_path, video=tmp_path / "films")
    worker = Worker(run)
    worker.episode(LEARNED, 0)
    worker.episode(LEARNED, 1)  # only the first episode has a film
    [(strips, path, fps)] = shown
    with Image.open(run.goal_path("reacher-easy", 0)) as picture:
        goal = np.asarray(picture.convert("RGB"))
    assert path == tmp_path / "films" / "reacher-easy-learned-goal.mp4"
    assert len(strips) == 6 and all(strip.framed == 0 for strip in strips)
    assert all(np.array_equal(strip.pictures[0], goal) for strip in strips)
    world = make_world("dmc/reacher-easy")
    assert fps == world.env.metadata["render_fps"]
    world.close()


def test_records_of_pushing_say_what_happened(tmp_path):
    worker, trial = Worker(push(tmp_path)), ("random", "none")
    record = worker.episode(trial, 1)
    scene = worker._run.starts(trial).starts[1]
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record | {"goal": list(scene.goal)}))
    assert (record["planner"], record["servo"], record["episode"]) == ("random", "none", 1)
    assert record["initial_distance"] > 0 and record["steps"] == len(record["step_seconds"]) == scene.steps
    assert (record["keyframes"], record["planned"], record["planned_whole"]) == (None, 0, 0)
    assert (record["model_steps"], record["simulator_steps"]) == (0, 0)
    assert record["plan_crosses_wall"] is False or record["planned"] == 0
    assert len(record["plan_seconds"]) == 1 and len(record["final_puck"]) == 2
    again = worker.episode(trial, 1)
    assert again["final_puck"] == record["final_puck"]


def untimed(record):
    return {name: value for name, value in record.items() if not name.endswith("seconds")}


def test_episodes_side_by_side_are_those_of_each_alone(tmp_path):
    run = dmc(tmp_path, objective="reward", steps=3, video=tmp_path / "films")
    trial = ("cartpole-balance", "learned")
    together = Worker(run).episodes(trial, [0, 2, 1], ["a", "b", "c"])
    worker = Worker(run)
    alone = [worker.episode(trial, index) for index in (0, 2, 1)]
    assert list(map(untimed, together)) == list(map(untimed, alone))
    assert len({record["return"] for record in alone}) == 3
    assert all(len(record["decision_seconds"]) == 3 for record in together)
    assert (tmp_path / "films" / "cartpole-balance-learned-reward.mp4").exists()


def test_true_dynamics_are_those_of_one_world_and_take_turns(tmp_path, monkeypatch):
    monkeypatch.setattr("planner.evaluation.worker.run_together", None)
    run = dmc(tmp_path, objective="reward", steps=2)
    found = Worker(run).episodes(SIMULATOR, [0, 1], ["", ""])
    assert [record["episode"] for record in found] == [0, 1] and found[0] != found[1]


def test_what_is_imagined_is_counted(tmp_path):
    search = SMALL.model_copy(update={"cem": SMALL.cem.model_copy(update={"candidates": 4, "iterations": 1})})
    settings = Settings(servo=search, episode=EpisodeConfig(max_steps_per_subgoal=2))
    run = Push(episodes=1, settings=settings, out=tmp_path / "r.json")
    record = Worker(run).episode(("oracle", "simulator"), 0)
    assert record["simulator_steps"] == record["steps"] * 4 * 6 > 0 and record["model_steps"] == 0
    assert record["planned"] == record["planned_whole"] > 0
    flat = Worker(run).episode(("flat-deep", "simulator"), 0)
    assert flat["simulator_steps"] == flat["steps"] * 8 * 12


def test_an_episode_with_an_unseen_goal_is_filmed_beside_it(tmp_path):
    red = Variation(puck_color=(0.9, 0.1, 0.1))
    run = push(tmp_path, variation=red, eye=False, video=tmp_path / "films")
    record = Worker(run).episode(("flat", "simulator"), 0)
    assert (record["steps"], record["planned"], record["plan_seconds"]) == (0, 0, [])
    assert record["distance"] == record["initial_distance"]
    film = tmp_path / "films" / "flat-simulator-000.mp4"
    assert imageio_ffmpeg.count_frames_and_secs(str(film))[0] == 1
    meta = next(imageio_ffmpeg.read_frames(str(film)))
    assert meta["size"] == (4 * 64 + 16 + 2 * 64 + 16, 4 * 64), "the goal stands beside"
    assert film.with_suffix(".png").exists(), "the strip shows start and goal"


@pytest.mark.parametrize("planner", ["flat", "random"])
def test_films_of_pushing_have_the_goal_beside_every_frame(tmp_path, planner):
    search = SMALL.model_copy(update={"cem": SMALL.cem.model_copy(update={"candidates": 4, "iterations": 1})})
    run = Push(episodes=1, settings=Settings(servo=search), out=tmp_path / "r.json", video=tmp_path)
    trial = (planner, "none" if planner == "random" else "simulator")
    record = Worker(run).episode(trial, 0)
    film = run.film_path(trial, 0)
    assert film is not None
    assert imageio_ffmpeg.count_frames_and_secs(str(film))[0] == record["steps"] + 1
    with Image.open(film.with_suffix(".png")) as strip:
        assert strip.size == (2 * 4 * 64 + films.GAP, 4 * 64)
