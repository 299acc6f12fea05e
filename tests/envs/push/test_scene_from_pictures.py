"""Scenes read off pictures: how far off, and what is said of pictures that show none."""

import numpy as np
import pytest

from envs.push.env import CAMERA, PushEnv
from envs.push.scene import Scene
from envs.push.scene_from_pictures import read_scene
from envs.push.tasks import TASKS
from envs.rendering import Projection


def errors(found: Scene, true: Scene) -> dict[str, float]:
    """Distances in table units, and the largest turn of a wall in radians."""
    off = {
        name: np.subtract(getattr(found, name), getattr(true, name)) for name in ("puck", "goal", "finger")
    }
    walls = [*zip(found.walls, true.walls, strict=True)]
    turns = [(one.angle - other.angle + np.pi / 2) % np.pi - np.pi / 2 for one, other in walls]
    return {
        **{name: float(np.linalg.norm(vector)) for name, vector in off.items()},
        "middle": max(float(np.linalg.norm(np.subtract(one.middle, other.middle))) for one, other in walls),
        "half_length": max(abs(one.half_length - other.half_length) for one, other in walls),
        "turn": max(map(abs, turns)),
    }


@pytest.mark.parametrize("task", ["push", "push-long", "push-two-walls"])
def test_scenes_are_read_to_a_fraction_of_a_pixel(push: PushEnv, task: str) -> None:
    found = []
    for seed in range(3):
        scene = TASKS[task].draw(np.random.default_rng(seed))
        start, info = push.reset(options={"scene": scene})
        found.append(errors(read_scene(push, start, info["goal"]), scene))
    worst = {name: max(row[name] for row in found) for name in found[0]}
    assert max(worst["puck"], worst["goal"], worst["finger"]) < 0.01, worst
    assert max(worst["middle"], worst["half_length"]) < 0.06, worst
    assert worst["turn"] < 0.03, worst


def test_any_moment_is_a_start(push: PushEnv) -> None:
    rng = np.random.default_rng(0)
    _, info = push.reset(seed=5)
    scene = push.scene
    for _ in range(15):
        picture, *_ = push.step(rng.uniform(-1, 1, 2))
    now = push.positions()
    found = read_scene(push, picture, info["goal"])
    assert np.allclose(found.puck, now["puck"], atol=0.01)
    assert np.allclose(found.finger, now["finger"], atol=0.01)
    assert np.allclose(found.goal, scene.goal, atol=0.01)


@pytest.mark.parametrize(
    ("geoms", "what"),
    [(["puck_visual"], "puck"), (["wall"], "wall"), (["upper", "fore", "finger"], "arm")],
)
def test_what_is_missing_is_named(push: PushEnv, geoms: list[str], what: str) -> None:
    start, info = push.reset(seed=5)
    for name in geoms:
        push.model.geom(name).rgba[3] = 0.0
    lacking = push.render()
    for name in geoms:
        push.model.geom(name).rgba[3] = 1.0
    with pytest.raises(ValueError, match=f"start picture shows no {what}"):
        read_scene(push, lacking, info["goal"])
    if what == "puck":
        with pytest.raises(ValueError, match="goal picture shows no puck"):
            read_scene(push, start, lacking)
    with pytest.raises(ValueError, match="start picture shows no puck"):
        read_scene(push, np.zeros_like(start), info["goal"])


def test_a_picture_that_no_scene_explains_is_refused(push: PushEnv) -> None:
    start, info = push.reset(seed=5)
    darker = start // 4 * 3
    darker[:, ::3] = start[:, ::3] // 2
    with pytest.raises(ValueError, match="looks like no scene"):
        read_scene(push, darker, info["goal"])


def test_pixels_are_traced_back_to_the_table(push: PushEnv) -> None:
    project = Projection(push.model, CAMERA, 64)
    points = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    assert np.allclose(project.plane(project(points, -0.05), -0.05), points)
