"""A data set is one value: what declares itself in a file is collected after one line in the table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from envs import collect, data_set
from envs.data_set import DataSet, Part, Shards
from world_models.data import Scalar, SequenceDataset, Sequences, read_attributes


@dataclass(frozen=True)
class Ramps(Shards):
    """Pictures that grow lighter, from a seed of their own."""

    out: Path = Path("data/ramps")
    sequences: int = 4
    slope: int = 3
    """Grey values from a frame to the next."""


def draw_ramps(seed: int, first: int, count: int) -> tuple[Sequences, dict[str, Scalar]]:
    starts = np.arange(first, first + count) + seed
    frames = (starts[:, None] + 3 * np.arange(4)).astype(np.uint8)
    shape = (count, 4, 8, 8, 1)
    return Sequences(
        frames=np.broadcast_to(frames[:, :, None, None, None], shape).copy(),
        actions=np.zeros((count, 3, 0), np.float32),
        keyframes=np.zeros((count, 4), np.bool_),
        states=np.zeros((count, 4, 1), np.float32),
    ), {"drawn_by": "a test"}


def ramps(settings: Ramps) -> Sequence[Part]:
    return [Part(settings.out, {"environment": "ramps", "slope": settings.slope}, draw_ramps)]


@pytest.fixture
def in_process(jobs_here, monkeypatch):
    monkeypatch.setattr(data_set, "SIZE", 2)
    monkeypatch.setattr(collect, "DATA_SETS", (*collect.DATA_SETS, DataSet("ramps", Ramps, ramps)))


def test_a_new_data_set_is_collected_and_refuses_other_settings(in_process, tmp_path):
    settings = Ramps(out=tmp_path, seed=10, workers=1)
    collect.collect(settings)
    data = SequenceDataset(tmp_path)
    assert len(data) == 4 and data[:].frames[:, 0, 0, 0, 0].tolist() == [10, 11, 12, 13]
    attributes = read_attributes(data.paths[1])
    assert (attributes["slope"], attributes["first_index"], attributes["drawn_by"]) == (3, 2, "a test")
    before = [path.read_bytes() for path in data.paths]
    data.paths[0].unlink()
    collect.collect(settings)
    assert [path.read_bytes() for path in data.paths] == before
    with pytest.raises(ValueError, match=r"slope 3.*not with .*slope 4.*; choose another --out"):
        collect.collect(replace(settings, slope=4))


def test_every_data_set_has_a_name_and_settings_of_its_own():
    names = [one.name for one in collect.DATA_SETS]
    assert len(set(names)) == len(names) == len({one.settings for one in collect.DATA_SETS})
    assert names[:3] == ["push", "push-play", "brownian"]
