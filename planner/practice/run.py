"""``python -m world_models.train dmc-control``: rounds of recording and learning, from nothing.

Random episodes come first; a detector learns to see from their pictures. Then the control model learns from
all episodes so far and records some more, round after round. Everything lies in the run's folder:
``episodes/<task>`` (pictures too, so that a detector that went on learning can look at them anew),
``stage-<n>`` (a detector, and the models that recorded with it), ``returns.png``, and at the end ``detector``
and ``model``, which :func:`planner.loading.load_control` reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from envs.dmc.tasks import find_task
from planner.collect import EPISODES, RANDOM, Dmc, place, write
from planner.low_levels.learned import VALUE_SERVO
from planner.practice.curve import draw_curve, read_points
from planner.practice.recipe import Practice
from planner.search.servo import ServoConfig
from world_models.checkpoint import MANIFEST, write_model
from world_models.data import SequenceDataset
from world_models.struct_vrnn.control.data import Buffer, read_episodes
from world_models.struct_vrnn.control.detector.stored import keep_detector, load_detector
from world_models.struct_vrnn.control.detector.training import train_detector
from world_models.struct_vrnn.control.learner import Learner
from world_models.struct_vrnn.control.recipe import ControlRecipe
from world_models.struct_vrnn.control.run import FEATURES, configure, export_control, most_reward
from world_models.struct_vrnn.control.training import begin, learn
from world_models.training.run import Session, claim

FOLDER = "episodes"
CURVE = "returns.png"
RESCALED = (0, 2, 5)
"""Rounds that take means and spreads of the model's inputs anew: episodes of a model that has learned
something look otherwise. Rounds before which the detector has changed do so, too."""
SEEDS = 10_000
"""Rounds have seeds of their own; this many belong to a run's."""


def practise(run: Practice, command: str) -> Path:
    """Go through all rounds and export the model; answers the model folder. A run that was killed goes on.

    Args:
        run: what to train.
        command: how the run was started; goes into the model card.

    Raises:
        ValueError: there is no such task, or ``run.out`` holds another run.
        DataError: what was recorded is not what this run records.
    """
    recipe = run.control()
    chosen = {"task": run.task, "rounds": run.rounds, "control": recipe.model_dump(mode="json")}
    rounds = _Rounds(run, recipe, claim(run, {"practice": chosen}), command)
    rounds.record(RANDOM, run.recipe.first, 0, 0.0)
    with tqdm(total=run.rounds, desc=f"{run.task:>12}", unit="round") as bar:
        for number in range(run.rounds - 1):
            model = rounds.learn(number)
            noise = run.recipe.disturbance * recipe.noise(rounds.after(number))
            noise = max(noise, run.recipe.least_disturbance)
            rounds.record(str(model), run.recipe.episodes, 1 + number, noise)
            points = read_points(rounds.episodes)
            draw_curve(points, run.task, run.out / CURVE)
            bar.set_postfix({"steps": points[-1].steps, "return": round(points[-1].mean_return)})
            bar.update()
        model = rounds.finish()
        bar.update()
    return model


@dataclass
class _Rounds:
    """The folder of a run, and what is in memory of it."""

    run: Practice
    recipe: ControlRecipe
    session: Session
    command: str
    learner: Learner | None = None
    """None until a round has to be done."""

    @property
    def episodes(self) -> Path:
        return self.run.out / FOLDER / self.run.task

    @cached_property
    def updates(self) -> list[int]:
        return self.run.updates()

    def after(self, number: int) -> int:
        """Updates that are done at the end of a round."""
        return sum(self.updates[: number + 1])

    def record(self, model: str, episodes: int, number: int, noise: float) -> None:
        """Record episodes with a model folder, or random ones, where they are not there yet."""
        shards = episodes // EPISODES
        job = Dmc(
            out=self.episodes,
            task=self.run.task,
            model=model,
            episodes=episodes,
            frames=find_task(self.run.task).steps,
            noise=noise,
            servo=_search(self.run.recipe.candidates),
            seed=self.run.seed * SEEDS + number,
            device=self.run.device,
        )
        origin = job.origin()
        first, done = place(job, origin, shards)
        # A process of its own for every shard would cost more than it saves: there are few in a round.
        for group in range(shards):
            if group not in done:
                write(job, origin, first + group, group)

    def learn(self, number: int) -> Path:
        """Do a round's updates and answer the folder of the model after them, unless it is there."""
        folder = self._stage(number) / f"round-{number:02d}"
        if not (folder / MANIFEST).exists():
            learner, _ = self._learn(number)
            write_model(folder, learner.model.config, learner.model, "")
        return folder

    def finish(self) -> Path:
        """Do the last round's updates and export the model with its detector."""
        number = self.run.rounds - 1
        learner, buffer = self._learn(number)
        keep_detector(str(self._detector(number)), self.run.out)
        return export_control(learner, buffer, self.recipe, self.session, self._origin(), self.command)

    def _learn(self, number: int) -> tuple[Learner, Buffer]:
        detector = load_detector(self._detector(number), self.run.device)
        data = SequenceDataset(self.episodes)
        episodes = read_episodes(
            data, detector, self.recipe.sizes.reads, self.run.out / FEATURES, self.run.device
        )
        config = configure(self.run.task, detector, self.recipe, episodes, most_reward(data))
        if self.learner is None:
            self.learner = begin(config, self.session)
        learner = self.learner
        learner.model.config = config  # which names the detector
        buffer = Buffer(episodes, config, self.recipe.window)
        steps = range(self.after(number) - self.updates[number], self.after(number))
        rescale = number in RESCALED or number in self.run.recipe.adapted
        learn(learner, buffer, self.recipe, self.session, steps, rescale)
        return learner, buffer

    def _stage(self, number: int) -> Path:
        changes = sum(change <= number for change in self.run.recipe.adapted)
        return self.run.out / f"stage-{changes}"

    def _detector(self, number: int) -> Path:
        """The detector of a round; it learns right before the first round that it is needed in."""
        folder, before = self._stage(number), None
        if folder != self._stage(0):
            earlier = max(change for change in self.run.recipe.adapted if change <= number) - 1
            before = self._detector(earlier)
        session = Session(folder, self.run.seed, self.session.device)
        return train_detector(
            self.run.out / FOLDER,
            self.run.vision(),
            self.run.recipe.detector,
            session,
            before,
            self.command,
        )

    def _origin(self) -> Sequence[str]:
        points = read_points(self.episodes)
        recipe = self.run.recipe
        return (
            f"{points[-1].steps} steps of the environment, all in all: {recipe.first} episodes of random "
            f"actions, then {recipe.episodes} of the model's own after each of {self.run.rounds - 1} rounds;",
            f"the detector learned from the same, at first and before rounds {list(recipe.adapted)}",
        )


def _search(candidates: int) -> ServoConfig:
    cem = VALUE_SERVO.cem.model_copy(update={"candidates": candidates})
    return VALUE_SERVO.model_copy(update={"cem": cem})
