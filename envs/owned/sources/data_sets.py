"""Whatever users bring, as data sets: one command line per source, one way in for all."""

from dataclasses import dataclass
from pathlib import Path

from envs.data_set import DataSet
from envs.owned.intake.options import Options


@dataclass(frozen=True, kw_only=True)
class Films(Options):
    """Films (MP4, AVI, GIF, WebM, MOV) and folders of PNG or JPEG that you have, an episode each."""

    source: Path
    """Folder of films and of folders of pictures; an episode is named by its path in here."""
    out: Path = Path("data/films")


@dataclass(frozen=True, kw_only=True)
class Hdf5(Options):
    """Episodes in HDF5 that you have: groups such as robomimic's data/demo_0, files, or rows of long arrays.

    An action leads from the picture in its row to the next one; the reward in that row is for it.
    """

    source: Path
    """A file, or a folder of *.h5 and *.hdf5."""
    camera: str | None = None
    """Data set of pictures in an episode, such as obs/agentview_image; needed where there are several."""
    actions: str | None = None
    """Data set of actions in an episode; else actions or action, if there is one."""
    rewards: str | None = None
    """Data set of rewards in an episode; else rewards or reward, if there is one."""
    states: str | None = None
    """Data set of true states in an episode; else states or state, if there is one."""
    episode_ends: str | None = None
    """Data set of the file that says where each episode ends; else episode_ends, if there is one."""
    out: Path = Path("data/hdf5")


@dataclass(frozen=True, kw_only=True)
class LeRobot(Options):
    """A data set of LeRobot, version 2 or 3, that you have; needs pip install 'waymark[formats]'."""

    source: Path
    """Its folder, with the folders meta, data and, for films, videos."""
    camera: str | None = None
    """Which camera, such as observation.images.top or top; needed where there are several."""
    out: Path = Path("data/lerobot")


@dataclass(frozen=True, kw_only=True)
class Minari(Options):
    """A data set of Minari that you have, whose observations are pictures or hold some.

    Actions are stored as those of gym are. Its formats arrow and parquet need pip install 'waymark[formats]'.
    """

    source: Path
    """Its folder, with the folder data."""
    camera: str | None = None
    """Which part of the observation, such as pixels; needed where several are pictures."""
    out: Path = Path("data/minari")


@dataclass(frozen=True, kw_only=True)
class Gym(Options):
    """Any gymnasium environment that draws itself (render mode rgb_array), under a policy.

    Actions of boxes with limits are stored from -1 to 1, discrete ones as one-hot vectors; an observation
    that is a vector is stored as the state, or else a vector named state among the infos.
    """

    env: str
    """Name of the environment; MODULE:NAME imports the module that registers it first."""
    policy: str = "random"
    """random, or MODULE:CALLABLE, which gets (observation, info) and answers an action; `python -m` finds
    modules of the current folder."""
    episodes: int
    """How many episodes; each has a seed of its own."""
    max_steps: int | None = None
    """Most steps of an episode; needed where the environment has no limit of its own."""
    seed: int = 0
    out: Path = Path("data/gym")


def _films(settings: Films) -> None:
    from envs.owned.intake.importer import bring
    from envs.owned.sources.films import list_episodes

    bring("films", list_episodes(_existing(settings.source)), settings)


def _hdf5(settings: Hdf5) -> None:
    from envs.owned.intake.importer import bring
    from envs.owned.sources.hdf5 import Names, list_episodes

    names = Names(settings.camera, settings.actions, settings.rewards, settings.states, settings.episode_ends)
    bring("hdf5", list_episodes(_existing(settings.source), names), settings)


def _lerobot(settings: LeRobot) -> None:
    from envs.owned.intake.importer import bring
    from envs.owned.sources.lerobot import list_episodes

    bring("lerobot", list_episodes(_existing(settings.source), settings.camera), settings)


def _minari(settings: Minari) -> None:
    from envs.owned.intake.importer import bring
    from envs.owned.sources.minari import list_episodes

    bring("minari", list_episodes(_existing(settings.source), settings.camera), settings)


def _gym(settings: Gym) -> None:
    from envs.owned.intake.importer import bring
    from envs.owned.sources.gym import open_player

    with open_player(settings.env, settings.policy, settings.max_steps, settings.seed) as player:
        bring("gym", player.list_episodes(settings.episodes), settings)


def _existing(source: Path) -> Path:
    if not source.exists():
        raise ValueError(f"--source {source} does not exist; choose a folder or file that does")
    return source


FILMS = DataSet("films", Films, _films)
HDF5 = DataSet("hdf5", Hdf5, _hdf5)
LEROBOT = DataSet("lerobot", LeRobot, _lerobot)
MINARI = DataSet("minari", Minari, _minari)
GYM = DataSet("gym", Gym, _gym)
