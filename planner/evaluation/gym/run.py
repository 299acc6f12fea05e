"""``planner.evaluate gym``: planners in any gymnasium environment, with goals from its data or its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from envs.gym.recording import Recording, find_recording
from envs.gym.starts import GymStart, fresh_pairs, own_goals, recorded_pairs
from envs.gym.world import GymWorld
from envs.world import Episodes, World
from envs.worlds import GYM, make_world
from planner.evaluation.evaluation import Evaluation, Team, Trial, check_counts, parse_names, split_names
from planner.evaluation.gym.team import PLANNERS, make_team
from planner.evaluation.settings import FOLLOWING, Settings
from planner.pursuit import Randomness, own_seeds
from world_models.checkpoint import read_model
from world_models.jobs.cluster import RayAddress
from world_models.jobs.outputs import check_device
from world_models.jobs.workers import cores
from world_models.shipped import find_folder


@dataclass(frozen=True)
class Gym(Evaluation):
    """Act in any gymnasium environment: from a start of its data to a goal some steps later, or to its own
    goals.
    """

    verb: ClassVar[str] = "planner.evaluate gym"
    labels: ClassVar[tuple[str, str]] = ("planner", "offset")
    start_label: ClassVar[str] = "start"

    env: str
    """Name of the environment; MODULE:NAME imports the module that registers it first."""
    model: str
    """Model folder of a KeyIn that learned from pictures of this environment."""
    world: str
    """Model folder of a Struct-VRNN that learned from pictures and actions of this environment."""
    planners: str = "keyin,flat,random"
    """Comma-separated: keyin, flat, expert, random."""
    episodes: int = 50
    offset: str = "25"
    """Steps of the environment from start to goal in the data, comma-separated: 25,50,75,100."""
    budget: float = 2.0
    """How many times these steps an episode may take."""
    data: Path | None = None
    """Folder that ``python -m envs.collect gym`` made: pairs of start and goal are taken from its episodes
    for testing, and it says how pictures were brought in. Without it the run behind ``--world`` says that."""
    fresh: int | None = None
    """Play new episodes with this seed, as the recorded ones were, and take the pairs from them."""
    hook: str | None = None
    """MODULE:CALLABLE, which gets (environment, state, goal) and puts the environment there; not needed for
    environments of stable-worldmodel. Without one the environment's own goals are used, if its infos hold a
    picture named goal."""
    workers: int = cores()
    ray: RayAddress = None
    """Run on the machines of a Ray cluster: --ray alone finds one, or starts one here."""
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    device: str = "cpu"
    settings: Settings = FOLLOWING
    """How both levels search, and how plans are followed."""
    out: Path = Path("gym.json")
    video: Path | None = None
    """Folder for one MP4 per episode."""

    def trials(self) -> list[Trial]:
        """Every offset with every planner."""
        names = parse_names(self.planners, list(PLANNERS), "planner")
        offsets = split_names(self.offset)
        if not offsets or not all(text.isascii() and text.isdigit() and int(text) > 0 for text in offsets):
            raise ValueError(f"--offset must be numbers of steps such as 25,50, got {self.offset!r}")
        if self.own_goals:
            if "expert" in names:
                raise ValueError(
                    "nobody has shown the way to goals of the environment's own; leave out expert"
                )
            offsets = ["-"]
        return [(name, offset) for offset in offsets for name in names]

    @property
    def recording(self) -> Recording:
        """How pictures and actions of the models' data came in."""
        return find_recording(self.data, find_folder(self.world))

    @property
    def own_goals(self) -> bool:
        """Whether the environment sets the goals. Raises ValueError if nobody does."""
        return has_own_goals(self.env, self.recording, self.hook)

    def place(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        """The environment, seen and acted in as its data were."""
        known = self.recording
        view = {"size": known.size, "fit": known.fit, "skip": known.skip}
        most = None if trial[1] == "-" else round(self.budget * int(trial[1]))
        return f"{GYM}{self.env}", {**view, "most_steps": most, "hook": self.hook}

    def starts(self, trial: Trial) -> Episodes[GymStart]:
        """Pairs from the data or from new episodes, or seeds for the environment's own goals."""
        check_counts(episodes=self.episodes, workers=self.workers)
        if self.budget <= 0:
            raise ValueError(f"--budget must be above 0, got {self.budget:g}")
        seed = self.fresh or 0
        if trial[1] == "-":
            return own_goals(self.episodes, seed)
        if self.fresh is not None:
            return fresh_pairs(self.env, self.recording, int(trial[1]), self.episodes, seed)
        if self.data is None:
            raise ValueError(
                "pairs of start and goal come from --data FOLDER, or from new episodes: --fresh SEED"
            )
        return recorded_pairs(self.data, self.recording, int(trial[1]), self.episodes, seed)

    def dependencies(self, trials: Sequence[Trial]) -> dict[Trial, dict[str, Any]]:
        """Seed, view, search, models with their goals."""
        check_device(self.device)
        found: dict[Trial, dict[str, Any]] = {}
        for trial in trials:
            _, view = self.place(trial)
            settings: dict[str, Any] = {"env": self.env, "seed": self.seed, "view": view}
            if trial[0] in ("keyin", "flat"):
                settings |= {"search": self.settings.to_json(), "world_sha256": self.digest("world")}
            if trial[0] == "keyin":
                settings["model_sha256"] = self.digest("model")
            found[trial] = settings
        return found

    def digest(self, role: Literal["model", "world"]) -> str:
        """Names all files of one of the two models, its goal among them."""
        return read_model(find_folder(self.model if role == "model" else self.world)).digest

    def team(self, trial: Trial, world: World[Any]) -> Team:
        """The planner's own."""
        assert isinstance(world, GymWorld)
        return make_team(trial[0], world, self.model, self.world, self.settings, self.device)

    def randomness(self, index: int) -> Randomness:
        """A seed for every search."""
        return own_seeds(self.seed * 1_000_003 + index)

    def content(self, settings: Mapping[Trial, dict[str, Any]]) -> dict[str, Any]:
        """Environment, episodes and settings."""
        episodes = {trial[1]: self.starts(trial) for trial in settings}
        return {
            "env": self.env,
            "manifests": {
                offset: {"name": one.name, "fingerprint": one.fingerprint, "seed": one.seed}
                for offset, one in episodes.items()
            },
            "settings": {", ".join(trial): values for trial, values in settings.items()},
        }

    def who(self, trial: Trial) -> str:
        """The planner."""
        return trial[0]

    def film_path(self, trial: Trial, index: int) -> Path | None:
        """Every episode has a film."""
        return None if self.video is None else self.video / f"{'-'.join(trial)}-{index:03d}.mp4"


@lru_cache
def has_own_goals(env: str, recording: Recording, hook: str | None) -> bool:
    """Whether goals are those that the environment shows: it cannot be set to a state.

    Raises:
        ValueError: it shows none either.
    """
    made = make_world(f"{GYM}{env}", size=recording.size, fit=recording.fit, skip=recording.skip, hook=hook)
    try:
        assert isinstance(made, GymWorld)
        if made.can_be_placed:
            return False
        if not made.shows_goals():
            raise ValueError(
                f"--env {env} cannot be set to a recorded state, and shows no goal of its own: give a hook "
                "as --hook MODULE:CALLABLE, or put a picture named goal into the infos of reset"
            )
        if not made.steps:
            raise ValueError(f"--env {env} has no limit on the steps of an episode; register it with one")
        return True
    finally:
        made.close()
