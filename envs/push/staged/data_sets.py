"""Recorded demonstrations with stages: one data set per task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from envs.data_set import DataSet, Part, Shards
from envs.push.ids import PUSH_IDS
from world_models.data import Scalar, Sequences

VERSION = 1


@dataclass(frozen=True)
class PushCorner(Shards):
    """Demonstrations of pushing the puck out of an L and round its arm, 31 frames each."""

    out: Path = Path("data/push-corner")
    sequences: int = 10_000


@dataclass(frozen=True)
class PushTwoPucks(Shards):
    """Demonstrations of drawing one puck out of the gap and pushing the other through, 31 frames each."""

    out: Path = Path("data/push-two-pucks")
    sequences: int = 10_000


def _draw(task: str, seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    # A simulator is imported by the process that needs one.
    from envs.push.demonstrations import render_sequences
    from envs.push.env import PushEnv
    from envs.push.staged.demonstrations import draw_stages

    env = PushEnv(task=task)
    try:
        return render_sequences(env, [draw_stages(env, seed, first + k) for k in range(count)]), {}
    finally:
        env.close()


def _parts(task: str) -> Callable[[Shards], Sequence[Part]]:
    origin: dict[str, Scalar] = {"environment": PUSH_IDS[task], "version": VERSION}
    return lambda settings: [Part(settings.out, origin, partial(_draw, task))]


PUSH_CORNER = DataSet("push-corner", PushCorner, _parts("push-corner"))
PUSH_TWO_PUCKS = DataSet("push-two-pucks", PushTwoPucks, _parts("push-two-pucks"))
