"""Videos that are drawn without a simulator, as data sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from envs.data_set import DataSet, Part, Shards
from envs.videos import agents, brownian, cannonballs, moved_agents, moving_digits
from envs.videos.digit_paths import Protocol
from envs.videos.digits import Split
from envs.videos.moving_digits import Shared
from world_models.data import Scalar, Sequences

BROWNIAN_ID, BROWNIAN_VERSION = "structured-brownian-motion", 1
AGENTS_ID, AGENTS_VERSION = "agents", 1
DIGITS_ID, DIGITS_VERSION = "moving-digits", 1
CANNONBALLS_ID, CANNONBALLS_VERSION = "cannonballs", 1


@dataclass(frozen=True)
class Brownian(Shards):
    """Structured Brownian motion: a disc that flies straight and turns after 6 to 8 frames. 35 frames."""

    out: Path = Path("data/brownian")
    sequences: int = 20_000


@dataclass(frozen=True)
class Agents(Shards):
    """Five players and a ball seen from above, who react to each other. 20 frames."""

    out: Path = Path("data/agents")
    sequences: int = 8_000


@dataclass(frozen=True)
class MovedAgents(Shards):
    """Agents, and where everybody would be had a player moved elsewhere: counterfactuals to test on."""

    out: Path = Path("data/moved-agents")
    sequences: int = 1_500
    seed: int = 1
    """Others than those of ``agents``, which models learn from."""


@dataclass(frozen=True)
class MovingDigits(Shards):
    """Stochastic Moving Digits: one or two digits that bounce off walls in random directions."""

    out: Path = Path("data/moving-digits")
    sequences: int = 20_000
    split: Split = "train"
    """Training or test digits; no digit is in both."""
    digits: Literal[1, 2] = 2
    """How many of them fly."""
    frames: int = 25
    shared: Shared = "nothing"
    """What all videos have in common: nothing; the start, up to the first wall; or the whole path."""
    mnist: Path | None = None
    """Folder with MNIST's files *-images-idx3-ubyte or *.gz; None for the digits that come along."""
    protocol: Protocol = "svg"
    """How large digits are and how they bounce: as SVG's authors have it, or as in SRVP's tables (which needs
    --mnist)."""


@dataclass(frozen=True)
class Cannonballs(Shards):
    """Balls shot from left and right, seen with noise: one folder per number of balls."""

    out: Path = Path("data/cannonballs")
    """The shards of videos with two balls go into a folder 2 in here, and so on."""
    sequences: int = 10_000
    """How many sequences of every number of balls; rounded up to whole shards of 250."""
    balls: tuple[Literal[1, 2, 3], ...] = (1, 2, 3)
    frames: int = 30
    size: int = 48
    """Height and width of the pictures."""


Drawn = tuple[Sequences, dict[str, Scalar]]


def _draw_brownian(seed: int, first: int, count: int) -> Drawn:
    return brownian.draw_sequences(seed, first, count), {}


def _draw_agents(seed: int, first: int, count: int) -> Drawn:
    return agents.draw_sequences(seed, first, count), {}


def _draw_moved(seed: int, first: int, count: int) -> Drawn:
    return moved_agents.draw_sequences(seed, first, count), {}


def _draw_digits(videos: moving_digits.Videos, seed: int, first: int, count: int) -> Drawn:
    return moving_digits.draw_sequences(videos, seed, first, count), {}


def _draw_balls(videos: cannonballs.Videos, seed: int, first: int, count: int) -> Drawn:
    return cannonballs.draw_sequences(videos, seed, first, count), {}


def _brownian(settings: Brownian) -> Sequence[Part]:
    return [Part(settings.out, {"environment": BROWNIAN_ID, "version": BROWNIAN_VERSION}, _draw_brownian)]


def _agents(settings: Agents) -> Sequence[Part]:
    origin: dict[str, Scalar] = {"environment": AGENTS_ID, "version": AGENTS_VERSION}
    return [Part(settings.out, origin | {"observation": 0, "bodies": ",".join(agents.BODIES)}, _draw_agents)]


def _moved(settings: MovedAgents) -> Sequence[Part]:
    bodies = ",".join(agents.BODIES)
    origin: dict[str, Scalar] = {"environment": AGENTS_ID, "version": AGENTS_VERSION, "policy": "moved"}
    told: dict[str, Scalar] = {
        "observation": 1 + 2 * len(agents.BODIES),
        "bodies": bodies,
        "observed": moved_agents.OBSERVED,
    }
    return [Part(settings.out, origin | told, _draw_moved)]


def _digits(settings: MovingDigits) -> Sequence[Part]:
    _check_frames(settings.frames)
    videos = moving_digits.Videos(
        settings.split, settings.digits, settings.frames, settings.shared, settings.mnist, settings.protocol
    )
    if settings.protocol == "srvp" and settings.mnist is None:
        raise ValueError("--protocol srvp is about MNIST's digits: name the folder of their files by --mnist")
    origin: dict[str, Scalar] = {"environment": DIGITS_ID, "version": DIGITS_VERSION, **videos.origin()}
    return [Part(settings.out, origin, partial(_draw_digits, videos))]


def _balls(settings: Cannonballs) -> Sequence[Part]:
    _check_frames(settings.frames)
    if settings.size <= 2 * cannonballs.RADIUS + 1:
        raise ValueError(f"--size must be greater than {2 * cannonballs.RADIUS + 1}, the width of a ball")
    parts = []
    for count in settings.balls:
        videos = cannonballs.Videos(count, settings.frames, settings.size)
        origin: dict[str, Scalar] = {"environment": CANNONBALLS_ID, "version": CANNONBALLS_VERSION}
        parts.append(Part(settings.out / str(count), origin | videos.origin(), partial(_draw_balls, videos)))
    return parts


def _check_frames(frames: int) -> None:
    if frames < 2:
        raise ValueError(f"--frames must be at least 2, got {frames}")


BROWNIAN = DataSet("brownian", Brownian, _brownian)
AGENTS = DataSet("agents", Agents, _agents)
MOVED_AGENTS = DataSet("moved-agents", MovedAgents, _moved)
MOVING_DIGITS = DataSet("moving-digits", MovingDigits, _digits)
CANNONBALLS = DataSet("cannonballs", Cannonballs, _balls)
