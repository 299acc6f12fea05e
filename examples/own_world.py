"""From nothing to a plan in a world of your own: a dot in a room with a wall and a door.

    python examples/own_world.py [--out runs/room]

Plays episodes, trains a small KeyIn on their pictures, serves it, asks the server for a plan from one side of
the wall to the other, and draws it: ``OUT/plan.png``. Takes a minute or two; what is there is taken over.
"""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro

from envs.collect import collect
from envs.owned.sources.data_sets import Gym
from planner.evaluation.films import strip
from server.client import Client
from server.local import running_server
from world_models.keyin.own.calibration import CalibrationStage
from world_models.keyin.own.method import OWN_KEYIN
from world_models.keyin.own.preset import OWN, OwnKeyInRun
from world_models.keyin.recipe import AutoencoderStage, PredictorStage
from world_models.training.fit import FitConfig

MIDDLE, DOOR, REACH = 32, 8, 4.0
"""Pixels: where the wall and the door are, how wide each half of the door is, the longest step."""


class Room(gymnasium.Env[np.ndarray, np.ndarray]):
    """An action moves the dot, but through the wall only at its door."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # gymnasium's own way
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    observation_space = gymnasium.spaces.Box(0, 64, (2,), np.float64)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.goal: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = self.np_random.uniform(5, 59, 2)
        return self.place, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        place = np.clip(self.place + REACH * action, 5, 59)
        if (place[0] < MIDDLE) != (self.place[0] < MIDDLE) and abs(place[1] - MIDDLE) > DOOR:
            place[0] = self.place[0]
        self.place = place
        near = self.goal is not None and bool(np.abs(place - self.goal).max() < REACH)
        return place, 0.0, False, False, {"success": near}

    def render(self) -> np.ndarray:
        picture = np.full((64, 64, 3), 40, np.uint8)
        picture[:, MIDDLE - 2 : MIDDLE + 2] = 140
        picture[MIDDLE - DOOR : MIDDLE + DOOR, MIDDLE - 2 : MIDDLE + 2] = 40
        x, y = np.arange(64), np.arange(64)[:, None]
        dot = 255 * np.exp(-((x - self.place[0]) ** 2 + (y - self.place[1]) ** 2) / 16)
        picture[..., 0] = np.maximum(picture[..., 0], dot)
        return picture


class Wander:
    """A policy: goes to places at random, by the door if they are in the other half."""

    def set_env(self, env: gymnasium.Env[Any, Any]) -> None:
        """Called at the start of every episode."""
        self.random = env.unwrapped.np_random
        self.target = self.random.uniform(5, 59, 2)

    def __call__(self, place: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        if np.abs(place - self.target).max() < REACH:
            self.target = self.random.uniform(5, 59, 2)
        aim, onward = self.target, 6 if place[0] < MIDDLE else -6
        if (aim[0] < MIDDLE) != (place[0] < MIDDLE):
            through = abs(place[1] - MIDDLE) < DOOR / 2
            aim = np.array([MIDDLE + onward if through else MIDDLE - onward, MIDDLE])
        return np.asarray(np.clip((aim - place) / REACH, -1, 1), np.float32)


def put(env: gymnasium.Env[Any, Any], state: np.ndarray, goal: np.ndarray) -> None:
    """A hook: from here on the dot is there, and is to go there."""
    room: Any = env.unwrapped
    room.place, room.goal = np.asarray(state, float), np.asarray(goal, float)


if "Room-v0" not in gymnasium.registry:  # this module is imported once more, by its name
    gymnasium.register("Room-v0", "own_world:Room", max_episode_steps=60)
wander = Wander()

SMALL = OWN.model_copy(
    update={
        "model": OWN.model.model_copy(update={"widths": (8, 16, 24), "embedding": 16, "keyframes": 4}),
        "autoencoder": AutoencoderStage(steps=500, batch=16, stills_first=0.0, stills_share=0.1),
        "interpolator": FitConfig(steps=400, batch=128),
        "coder": FitConfig(steps=300, batch=256),
        "predictor": PredictorStage(steps=500, batch=64, offset_weight=3.0),
        "calibration": CalibrationStage(time_weights=(0.1,), prior_weights=(0.1, 0.3), pairs=16),
    }
)
"""The preset for data of users, with a sixth of its steps and smaller: enough for one dot."""


def main(out: Path = Path("runs/room")) -> None:
    """Play, train, serve, plan, draw."""
    collect(
        Gym(env="own_world:Room-v0", policy="own_world:wander", episodes=100, frames=13, out=out / "data")
    )
    run = OwnKeyInRun(data=out / "data", out=out / "keyin", recipe=SMALL)
    model = OWN_KEYIN.train(run, "python examples/own_world.py")
    room, pictures = Room(), []
    for place in ((10.0, 10.0), (52.0, 16.0)):
        room.place = np.array(place)
        pictures.append(room.render())
    with running_server(f"room={model}", threads=1) as url, Client(url) as client:
        plan = client.plan(*pictures, seed=7)
    end = plan.response.ends_at
    strip([pictures[0], *plan.images[:end], pictures[1]], out / "plan.png")
    print(f"a plan of {plan.response.subgoals[end].step:.0f} steps: {out / 'plan.png'}")


if __name__ == "__main__":
    tyro.cli(main)
