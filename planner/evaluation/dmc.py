"""``planner.evaluate dmc``: DM Control tasks controlled from pictures, beside true dynamics and chance."""

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from envs.dmc.episodes import DmcStart, load_starts
from envs.dmc.tasks import TASKS, find_task
from envs.dmc.variation import STANDARD, DmcVariation
from envs.world import Episodes, Picture, World, canonical
from envs.worlds import make_world
from planner.episode import Outcome
from planner.evaluation.control_models import describe_control, find_control, shipped_control
from planner.evaluation.evaluation import Evaluation, Run, Team, Trial, check_counts, parse_names, split_names
from planner.loading import load_world_model
from planner.low_levels.learned import (
    DMC_SERVO,
    VALUE_HORIZON,
    control_by_goal,
    control_by_reward,
    control_by_value,
    find_head,
    horizon_of,
    model_for,
)
from planner.low_levels.low_level import RandomActions, true_servo, uniform
from planner.pursuit import Randomness, one_stream
from planner.search.servo import ServoConfig
from world_models.files import write_bytes
from world_models.jobs.cluster import RayAddress
from world_models.jobs.identity import fingerprint
from world_models.jobs.outputs import check_device
from world_models.jobs.workers import cores

ARMS = {
    "simulator": "the search in the true dynamics, for true reward",
    "simulator-10x": "the same with ten times as many candidates",
    "learned": "the best of the models: with a value after the horizon, where there is a control model",
    "rewards": "the search for the reward that a Struct-VRNN's head predicts",
    "random": "uniform actions",
}
"""In the order in which they are run: the simulator's episodes leave goal pictures behind."""
SHIPPED = "struct-vrnn-{domain}"
SIMULATED = {"simulator": 1, "simulator-10x": 10}
"""Arms that search in the true dynamics, and how many times the candidates."""
GOAL_TASKS = ("acrobot-swingup", "cartpole-balance", "reacher-easy", "walker-stand")
"""Tasks whose aim a picture can show; speed cannot be seen in one."""
Objective = Literal["reward", "goal"]


@dataclass(frozen=True)
class Dmc(Evaluation):
    """Control DM Control tasks: predictively with a learned model or the true dynamics, or at random."""

    verb: ClassVar[str] = "planner.evaluate dmc"
    labels: ClassVar[tuple[str, str]] = ("task", "arm")
    start_label: ClassVar[str] = "start"

    task: str = "all"
    """Comma-separated tasks, or all (that have a goal picture, with --objective goal)."""
    arms: str = "learned,simulator,random"
    """Comma-separated: learned, rewards, simulator, simulator-10x, random."""
    objective: Objective = "reward"
    """What the learned arm is after: predicted reward, or a goal picture: the one of the highest reward in
    the simulator arm's episode from the same start. The other arms always search for reward."""
    variation: DmcVariation = STANDARD
    """How the worlds look otherwise than in training."""
    episodes: int = 20
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    steps: int | None = None
    """Steps of the environment per episode; None runs whole episodes."""
    workers: int = cores()
    together: int = 1
    """Episodes of a learned arm that a process runs side by side."""
    ray: RayAddress = None
    """Run on the machines of a Ray cluster: --ray alone finds one, or starts one here."""
    seed: int = 0
    """Seed of the searches; the starts do not depend on it."""
    model: str = SHIPPED
    """Shipped model or model folder of the arm rewards; {domain} stands for acrobot, cartpole, ..."""
    control: str | None = None
    """Shipped control model or model folder of the learned arm, {task} stands for the task; unless given, the
    one that ships for the task. Without one, with --model, and for goal pictures, the arm searches as rewards
    does."""
    device: str = "cpu"
    horizon: int | None = None
    """Steps looked ahead; unless given, 30 with the acrobot and the cart-pole, 12 with the others, and 3 with
    a control model."""
    settings: ServoConfig = DMC_SERVO
    """The search, the same for all arms that search: an equal budget. Steps along the gradient are those of
    the arms that learned."""
    out: Path = Path("dmc.json")
    video: Path | None = None
    """Folder for one MP4 per task and arm, of the first episode."""

    def tasks(self) -> list[str]:
        """The tasks asked for; an error names the valid ones."""
        valid = GOAL_TASKS if self.objective == "goal" else tuple(TASKS)
        if self.task == "all":
            return list(valid)
        names = split_names(self.task)
        for name in names:
            find_task(name)
        without = [name for name in names if name not in valid]
        if without:
            raise ValueError(
                f"no picture shows the aim of {', '.join(without)}; choose from {', '.join(valid)}"
            )
        if not names:
            raise ValueError(f"no task; choose from all, {', '.join(valid)}")
        return names

    def trials(self) -> list[Trial]:
        """Every task with every arm."""
        arms = parse_names(self.arms, list(ARMS), "arm")
        return [(task, arm) for task in self.tasks() for arm in arms]

    def order(self, trials: Sequence[Trial]) -> list[Trial]:
        """The slowest come first: the last to finish should be short."""
        arms = list(ARMS)
        return sorted(trials, key=lambda trial: (arms.index(trial[1]), -find_task(trial[0]).steps))

    def place(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        """The task, varied as asked."""
        return f"dmc/{trial[0]}", {} if self.variation == STANDARD else {"variation": self.variation}

    def starts(self, trial: Trial) -> Episodes[DmcStart]:
        """The task's frozen starts, or new ones."""
        check_counts(episodes=self.episodes, workers=self.workers, together=self.together, steps=self.steps)
        if self.fresh is not None:
            return fresh_starts(trial[0], self.fresh, self.episodes)
        frozen = load_starts()
        starts = frozen.starts[trial[0]]
        if self.episodes > len(starts):
            raise ValueError(
                f"{frozen.name} has {len(starts)} episodes of every task; ask for fewer, or use --fresh SEED"
            )
        return Episodes(frozen.name, frozen.seed, frozen.fingerprint, starts)

    def who(self, trial: Trial) -> str:
        """The arm."""
        return trial[1]

    def dependencies(self, trials: Sequence[Trial]) -> dict[Trial, dict[str, Any]]:
        """Seed, steps, search, objective and weights."""
        check_device(self.device)
        if self.settings.horizon != DMC_SERVO.horizon or (self.horizon is not None and self.horizon < 1):
            raise ValueError("say with --horizon, at least 1, how far the search looks ahead")
        return {trial: self._settings(*trial) for trial in trials}

    def _settings(self, task: str, arm: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"seed": self.seed, "steps": self._steps(task), **self._varied()}
        if arm != "random":
            settings["search"] = self.search_of(arm, task).model_dump(mode="json")
        if (control := self._control(task, arm)) is not None:
            settings |= describe_control(find_control(control, task, "cpu"))
        elif arm in ("learned", "rewards"):
            model = load_world_model(model_for(self.model, task), "cpu")
            settings |= {
                "objective": "goal" if self.pursues((task, arm)) else "reward",
                "weights_sha256": model.weights_sha256,
                "head_sha256": find_head(model, task).sha256,
            }
            if model.eye.digest is not None:
                settings["eye_sha256"] = model.eye.digest
        return settings

    def _control(self, task: str, arm: str) -> str | None:
        """The name of the control model that an arm uses in a task, if it uses one."""
        if arm != "learned" or self.objective != "reward":
            return None
        if self.control is None and self.model == SHIPPED:
            return shipped_control(task)
        return self.control

    def _varied(self) -> dict[str, Any]:
        """How the worlds differ; nothing if they do not, as in results of before they could."""
        changed = self.variation.model_dump(mode="json", exclude_defaults=True)
        return {"variation": changed} if changed else {}

    def search_of(self, arm: str, task: str) -> ServoConfig:
        """The search of an arm: true dynamics have no gradient to refine its answers by."""
        steps = 0 if arm in SIMULATED else self.settings.gradient_steps
        horizon = self.horizon
        if horizon is None:
            horizon = horizon_of(task) if self._control(task, arm) is None else VALUE_HORIZON
        cem = self.settings.cem
        if arm in SIMULATED:
            cem = cem.model_copy(update={"candidates": SIMULATED[arm] * cem.candidates})
        return self.settings.model_copy(update={"gradient_steps": steps, "horizon": horizon, "cem": cem})

    def team(self, trial: Trial, world: World[Any]) -> Team:
        """The arm's low level; nobody proposes subgoals."""
        task, arm = trial
        if arm == "random":
            return Team(RandomActions(world.action_size, uniform))
        if arm in SIMULATED:
            return Team(true_servo(world, self.search_of(arm, task)))
        if (control := self._control(task, arm)) is not None:
            ready = find_control(control, task, self.device)
            servo = control_by_value(ready.world, ready.control, self.search_of(arm, task))
            return Team(servo, device=self.device, eye=ready.eye)
        sought = control_by_goal if self.pursues(trial) else control_by_reward
        model = load_world_model(model_for(self.model, task), self.device)
        return Team(sought(model, task, self.search_of(arm, task)), device=self.device, eye=model.eye)

    def randomness(self, index: int) -> Randomness:
        """One stream for the whole episode."""
        return one_stream(self.seed * 1_000_003 + index)

    def length(self, world: World[Any], start: DmcStart) -> int:
        """As asked, a whole episode at most."""
        return self._steps(world.id.removeprefix("dmc/"))

    def _steps(self, task: str) -> int:
        whole = find_task(task).steps
        return whole if self.steps is None else min(self.steps, whole)

    def goal_picture(self, trial: Trial, index: int, run: Run) -> Picture | None:
        """The picture of the highest reward that the simulator arm sees in the same episode."""
        task, _ = trial
        if self.objective != "goal":
            return None
        path = self.goal_path(task, index)
        if not path.exists():
            run((task, "simulator"), index)
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))

    def pursues(self, trial: Trial) -> bool:
        """The learned arm, if the goal is a picture: the others are after reward, or nothing."""
        return self.objective == "goal" and trial[1] == "learned"

    def keep(self, trial: Trial, index: int, outcome: Outcome) -> None:
        """The simulator arm leaves goal pictures behind."""
        task, arm = trial
        if self.objective == "goal" and arm == "simulator":
            content = io.BytesIO()
            Image.fromarray(best_frame(outcome)).save(content, format="PNG")
            write_bytes(self.goal_path(task, index), content.getvalue())

    def goal_path(self, task: str, index: int) -> Path:
        """Where the goal picture of an episode is kept: named after all it depends on."""
        start = self.starts((task, "simulator")).starts[index]
        search = self.search_of("simulator", task).model_dump(mode="json")
        source = {"search": search, "seed": self.seed, "steps": self._steps(task), "start": start.digest}
        name = f"{task}-{index:03d}-{fingerprint(source | self._varied())[:12]}.png"
        return self.out.with_name(self.out.name + ".goals") / name

    def film_path(self, trial: Trial, index: int) -> Path | None:
        """The first episode has a film."""
        if self.video is None or index > 0:
            return None
        return self.video / f"{'-'.join(trial)}-{self.objective}.mp4"

    def content(self, settings: Mapping[Trial, dict[str, Any]]) -> dict[str, Any]:
        """Objective, episodes and settings."""
        named: dict[str, dict[str, Any]] = {}
        for (task, arm), values in settings.items():
            named.setdefault(task, {})[arm] = values
        return {"objective": self.objective, "manifest": self._manifest(settings), "settings": named}

    def _manifest(self, trials: Iterable[Trial]) -> dict[str, Any]:
        """What the episodes are: the frozen ones are of all tasks, new ones of those that are run."""
        if self.fresh is None:
            frozen = load_starts()
            return {"name": frozen.name, "fingerprint": frozen.fingerprint, "seed": frozen.seed}
        drawn = {trial[0]: self.starts(trial).fingerprint for trial in trials}
        content = hashlib.sha256(canonical(drawn)).hexdigest()
        return {"name": f"dmc-fresh-{self.fresh}", "fingerprint": content, "seed": self.fresh}


@lru_cache
def fresh_starts(task: str, seed: int, count: int) -> Episodes[DmcStart]:
    """New starts of a task."""
    world = make_world(f"dmc/{task}")
    try:
        return world.episodes(count, seed)
    finally:
        world.close()


def best_frame(outcome: Outcome) -> Picture:
    """The picture of the highest reward, the last of them if it was paid more than once; of the start if the
    first step diverged.
    """
    rewards = [measures["reward"] for measures in outcome.measures[1:]]
    _, step = max(((reward, step) for step, reward in enumerate(rewards, 1)), default=(0.0, 0))
    return outcome.frames[step]
