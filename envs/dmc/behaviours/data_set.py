"""Scripted behaviours of the humanoid as a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envs.data_set import DataSet, Part, Shards
from world_models.data import SEQUENCES_OF_EPISODES, Scalar, Sequences

ID, VERSION = "humanoid-actions", 1


@dataclass(frozen=True)
class Actions(Shards):
    """DM Control's humanoid in ten scripted behaviours, labelled: 20 frames, five sequences an episode."""

    out: Path = Path("data/actions")
    sequences: int = 8_000


def _draw(seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    # A simulator is imported by the process that needs one.
    from envs.dmc.behaviours.performer import BODIES, WINDOWS, Performer, draw_sequences
    from envs.dmc.behaviours.scripts import BEHAVIOURS

    performer = Performer()
    try:
        more: dict[str, Scalar] = {
            "classes": ",".join(BEHAVIOURS),
            "observation": 2,  # label and episode
            "bodies": ",".join(BODIES),
            SEQUENCES_OF_EPISODES: ",".join([str(WINDOWS)] * (count // WINDOWS)),
        }
        return draw_sequences(performer, seed, first, count), more
    finally:
        performer.close()


def _parts(settings: Actions) -> Sequence[Part]:
    return [Part(settings.out, {"environment": ID, "version": VERSION}, _draw)]


ACTIONS = DataSet("actions", Actions, _parts)
