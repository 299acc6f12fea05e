"""One process of an evaluation on DM Control: environments and controllers, ready to run any episode."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from envs.dmc.env import DmcEnv
from envs.dmc.episodes import DmcStart, load_starts
from envs.dmc.tasks import find_task
from planner.control import Controller
from planner.evaluation import films
from planner.search.servo import ServoConfig
from planner.suite_episode import (
    Picture,
    SuiteOutcome,
    SuiteSimulatorController,
    UniformController,
    run_suite_episode,
)
from planner.suite_learned import goal_controller, horizon_of, model_for, reward_controller
from world_models.files import write_bytes

Objective = Literal["reward", "goal"]


@dataclass(frozen=True)
class SuiteTrial:
    """What all episodes of an evaluation share.

    ``horizon`` is how far the search looks ahead, None for each task's own; ``steps`` is the most steps of an
    episode; ``goals`` is a folder that goal pictures are kept in, ``video`` one for an MP4 of the first
    episode of every task and arm.
    """

    objective: Objective
    search: ServoConfig
    horizon: int | None
    model: str
    seed: int
    steps: int | None
    device: str
    goals: Path
    video: Path | None

    def search_of(self, arm: str, task: str) -> ServoConfig:
        """The search of an arm: true dynamics have no gradient to refine its answers by."""
        steps = 0 if arm == "simulator" else self.search.gradient_steps
        horizon = horizon_of(task) if self.horizon is None else self.horizon
        return self.search.model_copy(update={"gradient_steps": steps, "horizon": horizon})

    def length(self, task: str) -> int:
        """Steps of an episode of this task."""
        whole = find_task(task).steps
        return whole if self.steps is None else min(self.steps, whole)

    def goal_path(self, task: str, index: int, start: DmcStart) -> Path:
        """Where the goal picture of an episode is kept: named after all it depends on."""
        search = self.search_of("simulator", task).model_dump(mode="json")
        source = json.dumps([search, self.seed, self.length(task), start.digest])
        return self.goals / f"{task}-{index:03d}-{hashlib.sha256(source.encode()).hexdigest()[:12]}.png"

    def film_path(self, task: str, arm: str) -> Path | None:
        """Where the video of a task and an arm goes, if videos are wanted."""
        return None if self.video is None else self.video / f"{task}-{arm}-{self.objective}.mp4"


class SuiteWorker:
    """Runs single episodes of any task and arm."""

    def __init__(self, trial: SuiteTrial) -> None:
        torch.set_num_threads(1)
        self._trial = trial
        self._starts = load_starts().starts
        self._envs: dict[str, DmcEnv] = {}
        self._controllers: dict[tuple[str, str], Controller] = {}

    def episode(self, task: str, arm: str, index: int) -> dict[str, Any]:
        """Run one episode and return its JSON record; ``model_steps`` counts steps imagined."""
        trial = self._trial
        goal = self._goal(task, index) if trial.objective == "goal" and arm == "learned" else None
        outcome = self._run(task, arm, index, goal)
        film = trial.film_path(task, arm)
        if film is not None and index == 0:
            shown = [self._goal(task, index)] if trial.objective == "goal" else []
            strip = films.Strip(shown, 0 if arm == "learned" else None)
            strips = [strip] * len(outcome.frames)
            films.video(outcome.frames, strips, film, fps=self._env(task).metadata["render_fps"])
        imagined = 0 if arm == "random" else trial.search_of(arm, task).imagined_steps
        return {
            "task": task,
            "arm": arm,
            "episode": index,
            "return": sum(outcome.rewards),
            "steps": len(outcome.rewards),
            "model_steps": imagined * len(outcome.seconds),
            "step_seconds": [round(seconds, 5) for seconds in outcome.seconds],
        }

    def _run(self, task: str, arm: str, index: int, goal: Picture | None) -> SuiteOutcome:
        trial = self._trial
        outcome = run_suite_episode(
            self._env(task),
            self._starts[task][index],
            self._controller(task, arm),
            goal,
            trial.length(task),
            torch.Generator().manual_seed(trial.seed * 1_000_003 + index),
            trial.device if arm == "learned" else "cpu",
        )
        if arm == "simulator" and trial.objective == "goal":
            self._keep_goal(task, index, outcome.best_frame)
        return outcome

    def _goal(self, task: str, index: int) -> Picture:
        """The picture of the highest reward that the simulator arm sees in the same episode."""
        path = self._trial.goal_path(task, index, self._starts[task][index])
        if not path.exists():
            self._run(task, "simulator", index, None)
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))

    def _keep_goal(self, task: str, index: int, goal: Picture) -> None:
        content = io.BytesIO()
        Image.fromarray(goal).save(content, format="PNG")
        write_bytes(self._trial.goal_path(task, index, self._starts[task][index]), content.getvalue())

    def _env(self, task: str) -> DmcEnv:
        if task not in self._envs:
            self._envs[task] = DmcEnv(task)
        return self._envs[task]

    def _controller(self, task: str, arm: str) -> Controller:
        if (task, arm) not in self._controllers:
            self._controllers[task, arm] = self._make(task, arm)
        return self._controllers[task, arm]

    def _make(self, task: str, arm: str) -> Controller:
        trial = self._trial
        if arm == "random":
            return UniformController(self._env(task).action_size)
        if arm == "simulator":
            return SuiteSimulatorController(self._env(task), trial.search_of(arm, task))
        make = reward_controller if trial.objective == "reward" else goal_controller
        return make(model_for(trial.model, task), task, trial.search_of(arm, task), trial.device)
