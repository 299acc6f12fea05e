"""From episodes to shards: cut, split, checked, and taken over where they are there already."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from tqdm import tqdm

from envs.owned.intake.contact_sheet import SHEET, draw_contact_sheet
from envs.owned.intake.options import Options, split
from envs.owned.intake.recording import EPISODES_IN, EPISODES_OUT, Kind, Recording, record, starts
from envs.owned.shards import Shard, write_missing
from envs.owned.sources.episode import Episode
from envs.owned.windows import Windows
from world_models.data import REWARDS, SHARD_PATTERN, DataError, Scalar, SequenceDataset, shard_path
from world_models.jobs.outputs import check_folder

EPISODES, PICTURES = 20, 20_000
"""At most so many episodes and, if there are several, about so many pictures make a shard."""
SAID = 20
"""Of so many episodes that were left out the command says why; the shards' attributes say it of all."""
LONGEST = 400
"""Letters of a reason that are kept."""

LeftOut = tuple[str, str]


@dataclass
class Reader:
    """Reads episodes for shards, and remembers what all of them must have in common."""

    options: Options
    kind: Kind | None = None
    lost: list[LeftOut] = field(default_factory=list)
    """Left out with the whole shard that they would have been in."""

    def read(self, episodes: Sequence[Episode]) -> Windows | None:
        """All sequences of some episodes; None if none of them can be used."""
        self._learn_kind()
        found: list[tuple[str, Recording]] = []
        left_out: list[LeftOut] = []
        for episode in episodes:
            try:
                recording = record(episode, self.options)
                self._check_kind(recording.kind)
            except (ValueError, OSError) as error:
                left_out.append((episode.name, " ".join(str(error).split())[:LONGEST]))
            else:
                found.append((episode.name, recording))
        if found:
            return _to_windows(found, left_out, self.options.frames)
        self.lost += left_out
        return None

    def _learn_kind(self) -> None:
        """What earlier shards have, those of an earlier run included."""
        if self.kind is None and any(self.options.out.glob(SHARD_PATTERN)):
            shapes = SequenceDataset(self.options.out).shapes
            self.kind = shapes["actions"][-1], REWARDS in shapes, shapes["states"][-1]

    def _check_kind(self, kind: Kind) -> None:
        self.kind = self.kind or kind
        if kind != self.kind:
            names = ("numbers an action", "with rewards", "numbers a state")
            mine, first = (
                ", ".join(f"{value} {name}" for value, name in zip(one, names, strict=True))
                for one in (kind, self.kind)
            )
            raise DataError(f"it differs from the episodes before it: {mine}, those have {first}")


def bring(environment: str, episodes: Sequence[Episode], options: Options) -> None:
    """Write every shard that is not there yet, draw the contact sheet, and say what came in and what did not.

    Args:
        environment: name of the source; it becomes an attribute.
        episodes: in the order in which they are stored; the last ones are for testing.
        options: how they are stored.

    Raises:
        ValueError: an option is out of range, or the folder cannot be written.
        DataError: nothing can be used, or ``options.out`` holds something else.
    """
    options.check()
    check_folder("--out", options.out)
    reader = Reader(options)
    shards = [
        Shard(
            {**options.identity(), "split": part, "source": group[0].name, "episodes": len(group)},
            partial(reader.read, group),
            [path for episode in group for path in episode.files],
        )
        for part, group in _groups(episodes, options)
    ]
    known = {shard_path(options.out, index) for index in range(len(shards))}
    if strangers := sorted(set(options.out.glob(SHARD_PATTERN)) - known):
        raise DataError(f"{strangers[0]} is of other data; choose another --out")
    made = write_missing(options.out, environment, options.frames, shards)
    left_out = [
        (str(name), str(why))
        for attributes in made
        for name, why in json.loads(str(attributes[EPISODES_OUT]))
    ]
    left_out += reader.lost
    if not made:
        first = {why: name for name, why in reversed(left_out)}
        reasons = "; ".join(f"{name}: {why}" for why, name in list(first.items())[::-1][:3])
        raise DataError(f"none of {len(episodes)} episodes can be used: {reasons}")
    draw_contact_sheet(options.out)
    _say(made, left_out, options)


def _groups(episodes: Sequence[Episode], options: Options) -> Iterator[tuple[str, list[Episode]]]:
    """The episodes of every shard; none is of training and testing episodes."""
    first_test = split(len(episodes), options.test)
    for part, some in (("train", episodes[:first_test]), ("test", episodes[first_test:])):
        group: list[Episode] = []
        for episode in some:
            pictures = sum(one.length for one in (*group, episode)) // options.skip
            if group and (len(group) == EPISODES or pictures > PICTURES):
                yield part, group
                group = []
            group.append(episode)
        if group:
            yield part, group


def _to_windows(found: Sequence[tuple[str, Recording]], left_out: list[LeftOut], frames: int) -> Windows:
    """Sequences of ``frames`` pictures of all recordings."""
    cuts = [(recording, first) for _, recording in found for first in starts(len(recording.frames), frames)]
    counts = tuple(len(starts(len(recording.frames), frames)) for _, recording in found)
    table = [
        (name, recording.width, recording.height, len(recording.frames), count)
        for (name, recording), count in zip(found, counts, strict=True)
    ]
    notes: dict[str, Scalar] = {EPISODES_IN: json.dumps(table), EPISODES_OUT: json.dumps(left_out)}
    rewards = [one.rewards[first : first + frames] for one, first in cuts if one.rewards is not None]
    return Windows(
        np.stack([one.frames[first : first + frames] for one, first in cuts]),
        np.stack([one.states[first : first + frames] for one, first in cuts])[..., None],
        tuple(f"state-{number}" for number in range(found[0][1].states.shape[1])),
        actions=np.stack([one.actions[first : first + frames - 1] for one, first in cuts]),
        recordings=counts,
        rewards=np.stack(rewards) if rewards else None,
        notes=notes,
    )


def _say(made: Sequence[dict[str, Scalar]], left_out: Sequence[LeftOut], options: Options) -> None:
    counts = {"train": 0, "test": 0}
    for attributes in made:
        counts[str(attributes["split"])] += int(attributes["sequences"])
    came = sum(len(json.loads(str(attributes[EPISODES_IN]))) for attributes in made)
    tqdm.write(
        f"{came} episodes came in as {sum(counts.values())} sequences in {options.out}, of which the last "
        f"{counts['test']} are for testing; {options.out / SHEET} shows them"
    )
    if options.test and not counts["test"]:
        tqdm.write("none is left for testing; choose a larger --test")
    if left_out:
        tqdm.write(f"{len(left_out)} episodes were left out:")
    for name, why in left_out[:SAID]:
        tqdm.write(f"  {name}: {why}")
    if len(left_out) > SAID:
        tqdm.write(
            f"  and {len(left_out) - SAID} more; `{EPISODES_OUT}` in the shards' attributes names them"
        )
