"""One episode read: pictures of one size, every K-th of them, with what happened between them."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, UInt8

from envs.owned.intake.options import Options
from envs.owned.sources.episode import Episode
from envs.owned.sources.pictures import fit_picture, to_rgb
from world_models.data import DataError

EPISODES_IN = "episodes_in"
"""Attribute of a shard, as JSON: name, width, height, pictures and sequences of every episode in it."""
EPISODES_OUT = "episodes_out"
"""Attribute of a shard, as JSON: name of every episode that was left out, and why."""

Kind = tuple[int, bool, int]
"""How many numbers an action has, whether there are rewards, how many numbers a state has."""


@dataclass(frozen=True)
class Recording:
    """An episode of T pictures of side S.

    Attributes:
        actions: mean of what was done between two pictures; 0 numbers where nobody acts.
        rewards: received since the picture before; None where nothing is rewarded.
        states: of X numbers, 0 where nothing is known.
        width, height: of the first picture as it was, in pixels.
    """

    frames: UInt8[np.ndarray, "T S S 3"]
    actions: Float32[np.ndarray, "T-1 A"]
    rewards: Float32[np.ndarray, " T"] | None
    states: Float32[np.ndarray, "T X"]
    width: int
    height: int

    @property
    def kind(self) -> Kind:
        """What all episodes of a data set have in common."""
        return self.actions.shape[1], self.rewards is not None, self.states.shape[1]


def record(episode: Episode, options: Options) -> Recording:
    """Go through an episode and keep what is asked for.

    Raises:
        DataError: it cannot be read, its steps differ in kind, or it is shorter than a sequence.
        OSError: likewise, of a file.
    """
    kept = _Kept()
    acted: list[np.ndarray] = []
    received: list[float] = []
    for number, step in enumerate(episode.steps()):
        if step.action is not None:
            acted.append(step.action)
        if step.reward is not None:
            received.append(step.reward)
        if number % options.skip == 0:
            picture = to_rgb(step.picture())
            kept.size = kept.size or (picture.shape[1], picture.shape[0])
            kept.frames.append(fit_picture(picture, options.size, options.fit))
            kept.actions += [np.stack(acted).mean(axis=0, dtype=np.float32)] if acted else []
            kept.rewards += [sum(received)] if received else []
            kept.states += [step.state] if step.state is not None else []
            acted, received = [], []
    if len(kept.frames) < options.frames:
        counted = "" if options.skip == 1 else f" after --skip {options.skip}"
        raise DataError(
            f"it is too short: {len(kept.frames)} pictures{counted}, --frames asks for {options.frames}"
        )
    return kept.recording()


@dataclass
class _Kept:
    """What was kept of an episode so far."""

    frames: list[np.ndarray] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    size: tuple[int, int] | None = None

    def recording(self) -> Recording:
        """All of it, checked."""
        count = len(self.frames)
        assert self.size is not None
        if (
            len(self.actions) not in (0, count - 1)
            or len(self.rewards) not in (0, count)
            or len(self.states) not in (0, count)
        ):
            raise DataError("some of its steps lack an action, a reward or a state that others have")
        for array in (*self.actions, *self.states, np.array(self.rewards)):
            if not np.isfinite(array).all():
                raise DataError("its actions, rewards or states are not all finite numbers")
        return Recording(
            np.stack(self.frames),
            np.stack(self.actions) if self.actions else np.zeros((count - 1, 0), np.float32),
            np.array(self.rewards, np.float32) if self.rewards else None,
            np.stack(self.states) if self.states else np.zeros((count, 0), np.float32),
            *self.size,
        )


def starts(pictures: int, frames: int) -> list[int]:
    """Where the sequences of an episode begin; the last one ends with it."""
    whole = list(range(0, pictures - frames + 1, frames))
    return [*whole, pictures - frames] if pictures % frames else whole
