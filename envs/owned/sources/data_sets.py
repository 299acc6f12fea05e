"""Whatever users bring, as data sets: one command line per source, one way in for all."""

from dataclasses import dataclass
from pathlib import Path

from envs.data_set import DataSet
from envs.owned.sources.options import Options


@dataclass(frozen=True, kw_only=True)
class Films(Options):
    """Films (MP4, AVI, GIF, WebM, MOV) and folders of PNG or JPEG that you have, an episode each."""

    source: Path
    """Folder of films and of folders of pictures; an episode is named by its path in here."""
    out: Path = Path("data/films")


@dataclass(frozen=True, kw_only=True)
class Gym(Options):
    """Any gymnasium environment that draws itself (render mode rgb_array), under a policy.

    Actions of boxes with limits are stored from -1 to 1, discrete ones as one-hot vectors; an observation
    that is a vector is stored as the state.
    """

    env: str
    """Name of the environment; MODULE:NAME imports the module that registers it first."""
    policy: str = "random"
    """random, or MODULE:CALLABLE, which gets (observation, info) and answers an action."""
    episodes: int
    """How many episodes; each has a seed of its own."""
    max_steps: int | None = None
    """Most steps of an episode; needed where the environment has no limit of its own."""
    seed: int = 0
    out: Path = Path("data/gym")


def _films(settings: Films) -> None:
    from envs.owned.sources.films import list_episodes
    from envs.owned.sources.importer import bring

    bring("films", list_episodes(_existing(settings.source)), settings)


def _gym(settings: Gym) -> None:
    from envs.owned.sources.gym import open_player
    from envs.owned.sources.importer import bring

    with open_player(settings.env, settings.policy, settings.max_steps, settings.seed) as player:
        bring("gym", player.list_episodes(settings.episodes), settings)


def _existing(source: Path) -> Path:
    if not source.exists():
        raise ValueError(f"--source {source} does not exist; choose a folder or file that does")
    return source


FILMS = DataSet("films", Films, _films)
GYM = DataSet("gym", Gym, _gym)
