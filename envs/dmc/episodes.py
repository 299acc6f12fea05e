"""Frozen evaluation episodes of the DM Control tasks: where they start, and a check that they still do."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from envs.dmc.env import SEEDS, DmcEnv
from envs.dmc.tasks import TASKS

MANIFEST = Path(__file__).parents[1] / "manifests" / "dmc-20.json"
DIGITS = 4
"""Decimals of the true state that a digest looks at: starts must agree, libraries may round differently."""


@dataclass(frozen=True)
class DmcStart:
    """Where an episode starts: the seed, and a digest of the true state it gives."""

    seed: int
    digest: str

    def begin(self, env: DmcEnv) -> None:
        """Start the episode.

        Raises:
            ValueError: the seed does not give the state that was frozen.
        """
        env.start(self.seed)
        if _digest(env) != self.digest:
            raise ValueError(
                f"{env.task.name}: seed {self.seed} does not start where the frozen episode does; "
                "install the versions in constraints.txt"
            )


@dataclass(frozen=True)
class DmcEpisodes:
    """Starts by task, and the seed they were drawn with; ``fingerprint`` names them exactly."""

    name: str
    seed: int
    starts: Mapping[str, tuple[DmcStart, ...]]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of the starts."""
        text = json.dumps(self._rows(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The text of a manifest file."""
        content = {"seed": self.seed, "fingerprint": self.fingerprint, "starts": self._rows()}
        return json.dumps(content, indent=1) + "\n"

    def _rows(self) -> dict[str, list[tuple[int, str]]]:
        return {
            task: [(start.seed, start.digest) for start in starts] for task, starts in self.starts.items()
        }


def draw_starts(env: DmcEnv, seed: int, count: int) -> tuple[DmcStart, ...]:
    """Starts of the environment's task; each task has its own stream."""
    rng = np.random.default_rng([seed, crc32(env.task.name.encode()), 0xE7A1])
    starts = []
    for start in rng.integers(SEEDS, size=count):
        env.start(int(start))
        starts.append(DmcStart(int(start), _digest(env)))
    return tuple(starts)


def load_starts(path: Path = MANIFEST) -> DmcEpisodes:
    """The frozen starts of every task.

    Raises:
        ValueError: the file does not match its fingerprint.
    """
    content = json.loads(path.read_text())
    starts = {
        task: tuple(DmcStart(seed, digest) for seed, digest in content["starts"][task]) for task in TASKS
    }
    episodes = DmcEpisodes(path.stem, content["seed"], starts)
    if episodes.fingerprint != content["fingerprint"]:
        raise ValueError(f"{path.name} was altered: its starts do not match its fingerprint")
    return episodes


def _digest(env: DmcEnv) -> str:
    # Adding zero turns minus zero into zero.
    state = np.round(env.state(), DIGITS) + 0.0
    return hashlib.sha256(state.astype("<f8").tobytes()).hexdigest()[:16]
