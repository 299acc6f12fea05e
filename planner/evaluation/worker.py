"""One process of a closed-loop evaluation: environment, planners and servo, ready to run any episode."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from envs.push.env import CAMERA, PushEnv
from envs.push.episodes import Episodes
from envs.push.scene import Scene, Variation
from envs.rendering import Projection
from planner.control import Controller
from planner.episode import Outcome, Positions, Subgoals, run_episode
from planner.evaluation import films
from planner.learned import PlaceController
from planner.loading import (
    PUCK_SEGMENTER,
    learned_servo,
    load_keyin,
    load_planner,
    load_tap,
    simulator_servo,
)
from planner.search.servo import ServoConfig
from planner.service import Service
from planner.settings import Settings
from planner.subgoals import (
    TAP_DRAWS,
    RandomController,
    SimulatorController,
    keyin_subgoals,
    no_subgoals,
    oracle_subgoals,
    tap_subgoals,
)
from server.remote import RemoteController, find_model, remote_subgoals

SIMULATOR, LEARNED, NO_SERVO = "simulator", "learned", "none"
"""Low levels: a search in the true dynamics, one in a learned model from pictures alone, random actions."""


class Worker:
    """Runs single episodes of any planner.

    ``weights`` names a shipped model or a model folder for each learned planner that is used (``tap`` also
    needs ``keyin``, whose pictures it works on) and, under ``learned``, for the learned servo; ``video`` is a
    folder for an MP4 and a plan strip of every episode. With a ``service`` the learned models are those of a
    server, and their names are its names.
    """

    def __init__(
        self,
        episodes: Episodes,
        weights: dict[str, str],
        settings: Settings,
        variation: Variation,
        seed: int,
        device: str,
        video: Path | None,
        service: Service | None = None,
    ) -> None:
        torch.set_num_threads(1)
        self._episodes, self._settings, self._seed, self._video = episodes, settings, seed, video
        self._env = PushEnv(variation, task=episodes.task)
        self._project = Projection(self._env.model, CAMERA, 64)
        self._weights, self._device, self._service = weights, device, service
        self._controllers: dict[tuple[str, ServoConfig], Controller] = {}
        self._learned: dict[str, Subgoals] = {}
        self._imagined: dict[str, int] = {}
        self._keyframes: dict[str, int] = {}
        for name, model in weights.items():
            if name == LEARNED:
                continue
            if service is not None:
                search = settings.hierarchy.cem
                self._learned[name] = remote_subgoals(service, model, search)
                self._keyframes[name] = find_model(service, model, "planner").keyframes
                self._imagined[name] = search.candidates * search.iterations * self._keyframes[name]
            elif name == "tap":
                pictures = load_keyin(weights["keyin"], device)
                count = pictures.config.keyframes - 1
                tap = load_tap(model, device)
                self._learned[name] = tap_subgoals(tap, pictures, count, PUCK_SEGMENTER.whole)
                self._imagined[name], self._keyframes[name] = TAP_DRAWS * count, count + 1
            else:
                planner = load_planner(model, device, settings.hierarchy).planner
                self._learned[name] = keyin_subgoals(planner)
                search = planner.config.cem
                self._keyframes[name] = planner.config.keyframes
                self._imagined[name] = search.candidates * search.iterations * planner.config.keyframes

    def episode(self, planner: str, servo: str, index: int) -> dict[str, Any]:
        """Run one episode and return its JSON record.

        ``keyframes`` is the size of the planner's plans, the goal included; ``model_steps`` counts what
        learned models imagine, keyframes and control steps, ``simulator_steps`` control steps imagined in the
        true dynamics.
        """
        scene = self._episodes.scenes[index]
        subgoals: Subgoals = no_subgoals
        if planner in self._learned:
            subgoals = self._learned[planner]
        elif planner == "oracle":
            subgoals = oracle_subgoals(self._env, scene)
        search = self._settings.search(planner)
        controller = self._controller(servo, search)
        outcome = run_episode(
            self._env,
            scene,
            subgoals,
            controller,
            PUCK_SEGMENTER,
            self._settings.episode,
            self._seed * 1_000_003 + index,
            surprise=controller.surprise if isinstance(controller, PlaceController) else None,
        )
        if self._video is not None:
            self._film(scene, outcome, film_stem(self._video, planner, servo, index))
        # To be surprised, the servo has to imagine one more step than to act.
        watched = int(self._settings.episode.replan == "surprised")
        imagined = (search.imagined_steps + watched) * outcome.steps
        return {
            "planner": planner,
            "servo": servo,
            "episode": index,
            "scene": scene.digest,
            "initial_distance": outcome.initial_distance,
            "distance": outcome.distance,
            "steps": outcome.steps,
            "final_puck": outcome.final_puck,
            "goal": scene.goal,
            "keyframes": self._keyframes.get(planner),
            "planned": sum(len(whole) for whole in outcome.whole),
            "planned_whole": sum(sum(whole) for whole in outcome.whole),
            "plan_crosses_wall": bool(outcome.plans) and self._crosses(scene, outcome.plans[0]),
            "model_steps": self._imagined.get(planner, 0) * len(outcome.plans)
            + (imagined if servo == LEARNED else 0),
            "simulator_steps": imagined if servo == SIMULATOR else 0,
            "plan_seconds": outcome.plan_seconds,
            "step_seconds": outcome.step_seconds,
        }

    def _controller(self, servo: str, search: ServoConfig) -> Controller:
        """The low level of that name; learned ones are not given the environment."""
        if (servo, search) not in self._controllers:
            controller: Controller
            if servo == NO_SERVO:
                controller = RandomController()
            elif servo == LEARNED and self._service is not None:
                controller = RemoteController(self._service, self._weights[LEARNED], search)
            elif servo == LEARNED:
                controller = learned_servo(self._weights[LEARNED], search, self._device)
            else:
                controller = SimulatorController(simulator_servo(self._env, search), self._env)
            self._controllers[servo, search] = controller
        return self._controllers[servo, search]

    def _crosses(self, scene: Scene, centres: Positions) -> bool:
        """Whether straight lines from start over the planned puck positions to the goal cut a wall."""
        start, goal = self._project(np.array([scene.puck, scene.goal]), 0.0)
        seen = [np.array(centre) for centre in centres if np.isfinite(centre).all()]
        route = [start, *seen, goal]
        walls = [self._project(wall.end_points(margin=0.0), 0.0) for wall in scene.walls]
        return any(_cut(a, b, *wall) for a, b in pairwise(route) for wall in walls)

    def _film(self, scene: Scene, outcome: Outcome, stem: Path) -> None:
        _, info = self._env.reset(options={"scene": scene})
        goal = info["goal"]
        planned = outcome.strips[0] if outcome.strips else [goal]
        films.strip([outcome.frames[0], *planned], stem.with_suffix(".png"))
        # Last: an episode with a film is not run again.
        films.film(outcome, goal, stem.with_suffix(".mp4"))


def film_stem(folder: Path, planner: str, servo: str, index: int) -> Path:
    """Path of an episode's video and strip, without their suffixes."""
    return folder / f"{planner}-{servo}-{index:03d}"


def _cut(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether the segments a-b and c-d cross."""

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
