"""``planner.evaluate world``: low levels compared in any world, straight toward its goal or its reward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from envs.world import Episodes, World
from envs.worlds import WORLDS, find_world, make_world
from planner.evaluation.evaluation import Evaluation, Team, Trial, check_counts, parse_names, split_names
from planner.low_levels.low_level import RandomActions, true_servo, uniform
from planner.pursuit import Randomness, own_seeds
from planner.search.servo import ServoConfig
from world_models.jobs.cluster import RayAddress
from world_models.jobs.workers import cores

ARMS = ("simulator", "random")
"""A search in the true dynamics; uniform actions."""


SHIPPED = ServoConfig()


@dataclass(frozen=True)
class Anywhere(Evaluation):
    """Act in any world: predictively with its true dynamics, or at random."""

    verb: ClassVar[str] = "planner.evaluate world"
    labels: ClassVar[tuple[str, str]] = ("world", "arm")
    start_label: ClassVar[str] = "start"

    world: str = "push"
    """Comma-separated ids: push, push-two-walls, dmc/reacher-easy, ..."""
    arms: str = ",".join(ARMS)
    """Comma-separated: simulator, random."""
    episodes: int = 20
    """How many of the frozen episodes, from the first."""
    fresh: int | None = None
    """Draw new episodes with this seed instead of the frozen ones."""
    workers: int = cores()
    ray: RayAddress = None
    """Run on the machines of a Ray cluster: --ray alone finds one, or starts one here."""
    seed: int = 0
    """Seed of the searches; the episodes do not depend on it."""
    settings: ServoConfig = SHIPPED
    """How the simulator arm searches."""
    out: Path = Path("world.json")
    video: Path | None = None
    """Folder for one MP4 per episode."""

    def trials(self) -> list[Trial]:
        """Every world with every arm."""
        worlds = split_names(self.world)
        for name in worlds:
            find_world(name)
        if not worlds:
            raise ValueError(f"no world; choose from {', '.join(WORLDS)}")
        return [(name, arm) for name in worlds for arm in parse_names(self.arms, ARMS, "arm")]

    def place(self, trial: Trial) -> tuple[str, dict[str, Any]]:
        """The world."""
        return trial[0], {}

    def starts(self, trial: Trial) -> Episodes[Any]:
        """The world's frozen episodes, or new ones."""
        check_counts(episodes=self.episodes, workers=self.workers)
        world = make_world(trial[0])
        try:
            episodes = world.episodes(self.episodes, self.fresh)
        finally:
            world.close()
        if self.episodes > len(episodes.starts):
            raise ValueError(
                f"{episodes.name} has {len(episodes.starts)} episodes; ask for fewer, or use --fresh SEED"
            )
        return episodes

    def dependencies(self, trials: Sequence[Trial]) -> dict[Trial, dict[str, Any]]:
        """Seed and search."""
        search = {"search": self.settings.model_dump(mode="json")}
        return {trial: {"seed": self.seed} | (search if trial[1] == "simulator" else {}) for trial in trials}

    def team(self, trial: Trial, world: World[Any]) -> Team:
        """The arm's low level, straight to the goal."""
        if trial[1] == "random":
            return Team(RandomActions(world.action_size, uniform))
        return Team(true_servo(world, self.settings))

    def who(self, trial: Trial) -> str:
        """The arm."""
        return trial[1]

    def randomness(self, index: int) -> Randomness:
        """A seed for every search."""
        return own_seeds(self.seed * 1_000_003 + index)

    def content(self, settings: Mapping[Trial, dict[str, Any]]) -> dict[str, Any]:
        """Episodes and settings of every world."""
        found = {trial[0]: self.starts(trial) for trial in settings}
        return {
            "manifests": {
                name: {"name": one.name, "fingerprint": one.fingerprint, "seed": one.seed}
                for name, one in found.items()
            },
            "settings": {", ".join(trial): values for trial, values in settings.items()},
        }

    def film_path(self, trial: Trial, index: int) -> Path | None:
        """Every episode has a film."""
        if self.video is None:
            return None
        return self.video / f"{'-'.join(trial).replace('/', '-')}-{index:03d}.mp4"
