"""Recorded pushing: demonstrations, and play without a goal."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from envs.data_set import DataSet, Part, Shards
from envs.push.ids import PUSH_ID, PUSH_IDS
from world_models.data import Scalar, Sequences

PUSH_VERSION = 2
PLAY_VERSION = 1
LOOKS_VERSION = 1


@dataclass(frozen=True)
class Push(Shards):
    """Demonstrations of pushing the puck round the wall, 31 frames each."""

    out: Path = Path("data/push")
    sequences: int = 50_000
    rhythm: Literal["regular", "irregular", "pauses"] = "regular"
    """Pushes of nearly equal length, of very different length, or with rests between them."""
    anywhere: float = 0.0
    """Share of the demonstrations that begin as if in mid-episode, where plans are made, too: the finger is
    not in the middle of the table, and in half of them the puck is anywhere on its way."""


@dataclass(frozen=True)
class PushPublished(Push):
    """Demonstrations of the KeyIn paper's own task: a wall of one length, in any direction."""

    out: Path = Path("data/push-published")


@dataclass(frozen=True)
class PushLooks(Shards):
    """Moments of pushing as they usually look and as they look in a changed world, 6 of each."""

    out: Path = Path("data/push-looks")
    sequences: int = 1_750


@dataclass(frozen=True)
class PushPlay(Shards):
    """Pushing without a goal, at the rate of control, 20 frames each."""

    out: Path = Path("data/push-play")
    sequences: int = 20_000


def _draw_push(
    seed: int, first: int, count: int, *, rhythm: str, anywhere: float, published: bool
) -> tuple[Sequences, dict[str, Scalar]]:
    # A simulator is imported by the process that needs one.
    from envs.push.demonstrations import draw_demonstration, render_sequences
    from envs.push.env import PushEnv
    from envs.push.rhythms import find_rhythm
    from envs.push.tasks import draw_sampler, sample_published

    env, timed = PushEnv(), find_rhythm(rhythm)
    draw = (lambda rng: sample_published) if published else draw_sampler
    try:
        demonstrations = [
            draw_demonstration(env, seed, first + k, timed, anywhere, draw) for k in range(count)
        ]
        return render_sequences(env, demonstrations), {}
    finally:
        env.close()


def _draw_play(seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    from envs.push.env import PushEnv
    from envs.push.play import BODIES, draw_sequences

    env = PushEnv()
    try:
        bodies: dict[str, Scalar] = {"observation": 2 * len(BODIES), "bodies": ",".join(BODIES)}
        return draw_sequences(env, seed, first, count), bodies
    finally:
        env.close()


def _push(settings: Push) -> Sequence[Part]:
    if not 0 <= settings.anywhere <= 1:
        raise ValueError("--anywhere must be a share, from 0 to 1")
    published = isinstance(settings, PushPublished)
    environment = PUSH_IDS["push-published"] if published else PUSH_ID
    origin: dict[str, Scalar] = {"environment": environment, "version": PUSH_VERSION}
    if settings.rhythm != "regular":  # what was recorded before there were others says nothing of it
        origin["rhythm"] = settings.rhythm
    if settings.anywhere:
        origin |= {"anywhere": settings.anywhere, "puck_anywhere": settings.anywhere / 2}
    draw = partial(_draw_push, rhythm=settings.rhythm, anywhere=settings.anywhere, published=published)
    return [Part(settings.out, origin, draw)]


def _play(settings: PushPlay) -> Sequence[Part]:
    origin: dict[str, Scalar] = {"environment": PUSH_ID, "version": PLAY_VERSION, "policy": "play"}
    return [Part(settings.out, origin, _draw_play)]


def _draw_looks(seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    from envs.push.play import BODIES
    from envs.push.variation.looks import FIELD_OF_VIEW, draw_looks

    more: dict[str, Scalar] = {"observation": 2 * len(BODIES), "bodies": ",".join(BODIES)}
    return draw_looks(seed, first, count), more | {"field_of_view": FIELD_OF_VIEW}


def _looks(settings: PushLooks) -> Sequence[Part]:
    origin: dict[str, Scalar] = {"environment": PUSH_ID, "version": LOOKS_VERSION, "policy": "looks"}
    return [Part(settings.out, origin, _draw_looks)]


PUSH = DataSet("push", Push, _push)
PUSH_PUBLISHED = DataSet("push-published", PushPublished, _push)
PUSH_PLAY = DataSet("push-play", PushPlay, _play)
PUSH_LOOKS = DataSet("push-looks", PushLooks, _looks)
