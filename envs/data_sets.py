"""What ``python -m envs.collect`` can make, and with which settings."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from envs.videos.digits import Split
from envs.videos.moving_digits import Shared

ALL = "all"


@dataclass(frozen=True)
class Shards:
    """Data that is made here."""

    out: Path
    """Folder of the shards."""
    sequences: int
    """How many sequences; rounded up to whole shards of 250."""
    seed: int = 0
    workers: int = os.cpu_count() or 1


@dataclass(frozen=True)
class Push(Shards):
    """Demonstrations of pushing the puck round the wall, 31 frames each."""

    out: Path = Path("data/push")
    sequences: int = 50_000


@dataclass(frozen=True)
class PushPlay(Shards):
    """Pushing without a goal, at the rate of control, 20 frames each."""

    out: Path = Path("data/push-play")
    sequences: int = 20_000


@dataclass(frozen=True)
class Brownian(Shards):
    """Structured Brownian motion: a disc that flies straight and turns after 6 to 8 frames. 35 frames."""

    out: Path = Path("data/brownian")
    sequences: int = 20_000


@dataclass(frozen=True)
class Dmc(Shards):
    """DM Control tasks under random actions, with rewards: one folder per task, 20 frames a sequence."""

    out: Path = Path("data/dmc")
    """The shards of a task go into a folder of its name in here."""
    sequences: int = 6_500
    """How many sequences of every task; rounded up to whole shards of 250."""
    task: str = ALL
    """One task such as cartpole-balance, or all of them one after the other."""


@dataclass(frozen=True)
class Agents(Shards):
    """Five players and a ball seen from above, who react to each other. 20 frames."""

    out: Path = Path("data/agents")
    sequences: int = 8_000


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


@dataclass(frozen=True)
class Basketball:
    """Basketball recordings or tracks that you have, cut into windows."""

    source: Path
    """Folder of *.npz or *.npy files; those with "test" in their names come last."""
    out: Path = Path("data/basketball")
    """Folder of the shards."""
    frames: int = 20
    """Length of a window."""
    court: tuple[float, float, float] = (0.0, 0.0, 50.0)
    """The square that pictures of tracks show: x and y of its lower left corner, and its side."""


@dataclass(frozen=True)
class Human36m:
    """Human3.6M videos that you have, at 6.25 frames per second and cut into windows."""

    source: Path
    """Folder with the folders S1, S5, S6, S7, S8 and, for testing, S9, S11."""
    out: Path = Path("data/human36m")
    """Folder of the shards."""
    frames: int = 20
    """Length of a window."""


@dataclass(frozen=True)
class Kth:
    """KTH action videos that you have, shrunk to 64 x 64 grey pixels and cut into windows."""

    source: Path
    """Folder of person01_boxing_d1_uncomp.avi and so on, and 00sequences.txt if you have it."""
    out: Path = Path("data/kth")
    """Folder of the shards."""
    frames: int = 40
    """Length of a window: 10 frames seen and 30 generated."""


@dataclass(frozen=True)
class Bair:
    """BAIR robot pushing records that you have, with actions."""

    source: Path
    """The folder softmotion30_44k, with its folders train and test of *.tfrecords."""
    out: Path = Path("data/bair")
    """Folder of the shards."""
    frames: int = 30
    """Length of a window; records have 30 frames."""


Owned = Basketball | Human36m | Kth | Bair
# These have no defaults: nobody else can know where the data lies.
Choices = Push | PushPlay | Brownian | Dmc | Agents | MovingDigits | Cannonballs | Owned
