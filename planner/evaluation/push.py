"""``planner.evaluate push``: planners compared on the pushing tasks, with one low level for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from envs.push.episodes import Scenes, draw_episodes, load_manifest
from envs.push.ids import MANIFESTS, PUSH_IDS
from envs.push.rhythms import RHYTHMS
from envs.push.tasks import find_task
from envs.push.variation.factors import Variation
from envs.world import World
from planner.evaluation.evaluation import Evaluation, Proposer, Team, Trial, check_counts, parse_names
from planner.evaluation.figures.plans import draw_plans
from planner.evaluation.proposers import make_proposer
from planner.evaluation.run import evaluate
from planner.evaluation.settings import Settings
from planner.loading import load_eye, load_world_model
from planner.low_levels.learned import control_by_place
from planner.low_levels.low_level import LowLevel, RandomActions, clipped_normal, true_servo
from planner.pursuit import Randomness, own_seeds
from planner.search.servo import ServoConfig
from planner.subgoals import PLANNERS
from world_models.eye import Eye
from world_models.jobs.cluster import RayAddress
from world_models.jobs.outputs import check_device
from world_models.jobs.workers import cores
from world_models.shipped import reader_digest, weights_digest

SIMULATOR, LEARNED, NO_SERVO = "simulator", "learned", "none"
"""Low levels: a search in the true dynamics, one in a learned model from pictures alone, random actions."""
MOST_KEYFRAMES = 30
"""Frames of a demonstration after its first: no plan has more of them."""
SHIPPED = Settings()
STANDARD = Variation()


@dataclass(frozen=True)
class Push(Evaluation):
    """Push the puck round the wall."""

    verb: ClassVar[str] = "planner.evaluate push"
    labels: ClassVar[tuple[str, str]] = ("planner", "servo")
    start_label: ClassVar[str] = "scene"

    planners: str = "keyin,flat,random,oracle"
    """Comma-separated: keyin, jumpy, surprise, random-times, tap, flat, flat-deep, random, oracle,
    oracle-bends, oracle-even, oracle-constant, oracle-random."""
    task: str = "push"
    """push, as published (push-published), or harder: push-long, push-two-walls, push-tight, push-corner,
    push-two-pucks."""
    rhythm: Literal["regular", "irregular", "pauses"] | None = None
    """Rhythm of the demonstrations that models learned from, and that oracles show: models of that rhythm
    that plan up to six keyframes, unless others are named."""
    keyframes: int | Literal["auto"] | None = None
    """Keyframes of a plan, the goal among them; auto: as many as the model finds necessary. Their number is
    the model's own unless this, or a rhythm, is given."""
    constant: int = 5
    """Frames between the keyframes of oracle-constant."""
    servo: Literal["simulator", "learned"] = "simulator"
    """Low level: a search in the true dynamics, or in a learned model from pictures alone."""
    compare: bool = True
    """With the learned servo: also flat with it, and the planners with the true dynamics."""
    variation: Variation = STANDARD
    """How the world differs from what the models were trained on."""
    disturbance: float = 0.0
    """Move the puck by so many table units after a third of the steps, to where the way is longest."""
    episodes: int = 400
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    manifest: str | None = None
    """Other frozen episodes than the task's own, by name: push-two-walls-m3-200, ..."""
    workers: int = cores()
    together: int = 1
    """Episodes that a process runs side by side with the learned servo, in common batches."""
    ray: RayAddress = None
    """Run on the machines of a Ray cluster: --ray alone finds one, or starts one here."""
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    model: str | None = None
    """Shipped model or model folder of the keyin planner; tap works on its pictures. keyin-push, or that of
    the rhythm."""
    jumpy: str | None = None
    """The same for the jumpy planner, ..."""
    surprise: str | None = None
    random_times: str | None = None
    tap: str = "tap-push"
    learned: str = "struct-vrnn-push"
    """The same for the learned servo."""
    device: str = "cpu"
    server: str | None = None
    """Not here: ``python -m server.evaluate push --server URL`` has a server plan and act."""
    settings: Settings = SHIPPED
    """How both levels search, and when subgoals are switched."""
    eye: bool = True
    """Correct pictures of changed worlds before anybody looks at them, as the keyin planner's model does."""
    out: Path = Path("results.json")
    video: Path | None = None
    """Folder for one MP4 and one plan strip per episode."""
    drawn: int | None = None
    """Draw the plans of all planners for this episode, and the paths taken, beside the results."""

    def names(self) -> list[str]:
        """The planners asked for; an error names the valid ones."""
        return parse_names(self.planners, list(PLANNERS), "planner")

    def trials(self) -> list[Trial]:
        """Planners and their low levels, in the order of the table."""
        names = self.names()
        found = [(name, NO_SERVO if name == "random" else self.servo) for name in names]
        if self.servo == LEARNED and self.compare:
            found.append(("flat", LEARNED))
            found += [(name, SIMULATOR) for name in names if name != "random"]
        if self.settings.episode.replan == "surprised" and any(servo == NO_SERVO for _, servo in found):
            raise ValueError("random actions surprise nobody; leave out random, or replan otherwise")
        return list(dict.fromkeys(found))

    def place(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        """The task, varied as asked."""
        more: dict[str, Any] = {"rhythm": self.rhythm} if self.rhythm else {}
        if self.disturbance:
            more["disturbance"] = self.disturbance
        return self.task, {"variation": self.variation, **more}

    def starts(self, trial: Trial) -> Scenes:
        """The frozen scenes, or new ones."""
        check_counts(episodes=self.episodes, workers=self.workers, together=self.together)
        if self.drawn is not None and not 0 <= self.drawn < self.episodes:
            raise ValueError(f"--drawn must be an episode, from 0 to {self.episodes - 1}")
        if self.disturbance < 0 or self.constant < 1:
            raise ValueError("--disturbance must be at least 0, --constant at least 1")
        if isinstance(self.keyframes, int) and not 1 <= self.keyframes <= MOST_KEYFRAMES:
            raise ValueError(f"--keyframes must be auto, or a number from 1 to {MOST_KEYFRAMES}")
        find_task(self.task)
        if self.fresh is not None:
            if self.manifest is not None:
                raise ValueError("give --manifest or --fresh, not both")
            return draw_episodes(self.fresh, self.episodes, self.task)
        frozen = load_manifest(self.manifest or MANIFESTS[self.task])
        if frozen.task != self.task:
            raise ValueError(f"{frozen.name} has episodes of {frozen.task}; add --task {frozen.task}")
        if self.episodes > len(frozen.starts):
            raise ValueError(
                f"{frozen.name} has {len(frozen.starts)} episodes; ask for fewer, or use --fresh SEED"
            )
        return frozen

    def weights(self) -> dict[str, str]:
        """Model names by learned planner, of those asked for, and under ``learned`` that of the servo."""
        given = {
            "keyin": self.model,
            "jumpy": self.jumpy,
            "surprise": self.surprise,
            "random-times": self.random_times,
        }
        models = {name: model or self._shipped(name) for name, model in given.items()} | {"tap": self.tap}
        wanted = set(self.names())
        if "tap" in wanted:
            wanted.add("keyin")
        found = {name: models[name] for name in models if name in wanted}
        return found | ({LEARNED: self.learned} if self.servo == LEARNED else {})

    def _shipped(self, planner: str) -> str:
        timed = self.rhythm is not None or self.keyframes is not None
        return f"{planner}-push-{self.rhythm or 'regular'}" if timed else f"{planner}-push"

    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights by learned planner."""
        return {name: weights_digest(model) for name, model in self.weights().items()}

    def dependencies(self, trials: Sequence[Trial]) -> dict[Trial, dict[str, Any]]:
        """Seed, searches, variation and weights."""
        check_device(self.device)
        if self.server is not None and self.verb == Push.verb:
            raise ValueError(f"ask servers with python -m server.evaluate push --server {self.server}")
        digests = self.digests()
        return {trial: self._settings(digests, *trial) for trial in trials}

    def _settings(self, digests: Mapping[str, str], planner: str, servo: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"seed": self.seed, "search": self.settings.to_json()}
        settings["variation"] = self.variation.model_dump(mode="json", exclude_defaults=True)
        if planner in digests:
            settings["weights_sha256"] = digests[planner]
        if self.keyframes is not None:
            settings["keyframes"] = self.keyframes
        if self.rhythm is not None:
            settings["rhythm"] = self.rhythm
        if (seen_with := self.seen_through().digest) is not None:
            settings["eye_sha256"] = seen_with
        if self.disturbance:
            settings["disturbance"] = self.disturbance
        if planner == "oracle-constant":
            settings["constant"] = self.constant
        if planner == "tap":
            settings["pictures_sha256"] = digests["keyin"]
        if planner in digests and (reader := reader_digest(self.weights()[planner])) is not None:
            settings["reader_sha256"] = reader
        if servo == LEARNED:
            settings["servo_sha256"] = digests[LEARNED]
        return settings

    def team(self, trial: Trial, world: World[Any]) -> Team:
        """The planner's subgoals, and the low level with the planner's search."""
        planner, servo = trial
        low_level = self.low_level(servo, self.settings.search(planner), world)
        return Team(low_level, self.proposer(planner), self.settings.episode, eye=self.seen_through())

    def seen_through(self) -> Eye:
        """That of the keyin planner's model, for all planners alike; of keyin-push where there is none."""
        used = self.weights().get("keyin") or self.model or "keyin-push"
        return load_eye(used) if self.eye else Eye()

    def low_level(self, servo: str, search: ServoConfig, world: World[Any]) -> LowLevel:
        """The low level of that name; learned ones are not given the world."""
        if servo == NO_SERVO:
            return RandomActions(world.action_size, clipped_normal)
        if servo == LEARNED:
            return control_by_place(load_world_model(self.learned, self.device), search)
        return true_servo(world, search)

    def proposer(self, planner: str) -> Proposer:
        """Where a planner's subgoals come from."""
        search = (self.settings.hierarchy, self.keyframes, self.constant)
        follow = RHYTHMS[self.rhythm or "regular"].stride if self.settings.episode.follow else None
        return make_proposer(planner, self.weights(), *search, self.device, follow)

    def randomness(self, index: int) -> Randomness:
        """A seed for every search."""
        return own_seeds(self.seed * 1_000_003 + index)

    def content(self, settings: Mapping[Trial, dict[str, Any]]) -> dict[str, Any]:
        """Environment, episodes and settings."""
        episodes = self.starts(next(iter(settings)))
        return {
            "env": PUSH_IDS[self.task],
            "manifest": {
                "name": episodes.name,
                "fingerprint": episodes.fingerprint,
                "seed": episodes.seed,
            },
            "settings": {", ".join(trial): values for trial, values in settings.items()},
        }

    def figure_path(self) -> Path:
        """Where the pucks ended, as a picture."""
        return self.out.with_suffix(".png")

    def outputs(self) -> list[Path]:
        """Results, journal and figure."""
        drawn = [] if self.drawn is None else [self.drawing_path()]
        return [*super().outputs(), self.figure_path(), *drawn]

    def drawing_path(self) -> Path:
        """The plans for one episode, as a picture."""
        return self.out.with_suffix(".plans.png")

    def film_path(self, trial: Trial, index: int) -> Path | None:
        """Every episode has a film."""
        return None if self.video is None else self.video / f"{'-'.join(trial)}-{index:03d}.mp4"


def evaluate_push(run: Push) -> dict[str, Any]:
    """Evaluate, and draw where the pucks ended beside the results; answers the JSON content."""
    # Imported first: what cannot draw should not run for hours.
    from planner.evaluation.figures.positions import final_positions

    result, found = evaluate(run)
    titles = {", ".join(trial): records for trial, records in found.items()}
    final_positions(titles, run.figure_path())
    if run.drawn is not None:
        draw_plans(run, run.drawn, run.drawing_path())
    return result
