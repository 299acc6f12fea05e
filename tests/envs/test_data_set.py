"""A data set is one value: what declares itself in a file is collected after one line in the table."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from envs import collect, data_set
from envs.data_set import DataSet, Part, Shards
from world_models.data import DataError, Scalar, SequenceDataset, Sequences, read_attributes, write_shard


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


def test_what_was_made_with_more_or_with_less_is_not_taken_over(in_process, tmp_path):
    """What is there and what is asked for are compared both ways."""
    part = Part(tmp_path, {"environment": "ramps", "slope": 3}, draw_ramps)
    collect.draw(part, Ramps(out=tmp_path, workers=1))
    for origin, named in (({"environment": "ramps"}, "slope 3"), ({**part.origin, "noise": 1}, "noise -")):
        with pytest.raises(DataError, match=rf"was made with {named}, not with"):
            collect.draw(dataclasses.replace(part, origin=origin), Ramps(out=tmp_path, workers=1))
    data = SequenceDataset(tmp_path)
    write_shard(data.paths[0], data[:2], read_attributes(data.paths[0]))
    with pytest.raises(DataError, match="made by an older version"):
        collect.draw(part, Ramps(out=tmp_path, workers=1))


OTHER = {
    "rhythm": "pauses",
    "anywhere": 0.5,
    "split": "test",
    "digits": 1,
    "frames": 26,
    "shared": "path",
    "protocol": "srvp",
    "balls": (3,),
    "size": 49,
    "task": "reacher-easy",
    "seed": 7,
}
"""A value of every setting that is not its default."""


@pytest.mark.parametrize(
    "one", [d for d in collect.DATA_SETS if issubclass(d.settings, Shards)], ids=lambda d: d.name
)
def test_every_setting_is_part_of_what_a_shard_is_known_by(one, tmp_path):
    """All but where, how many and by which processes; a new setting has to say what else it can be."""
    mnist = tmp_path / "mnist"
    mnist.mkdir()
    (mnist / "train-images-idx3-ubyte").write_bytes(b"other digits")

    def known_by(settings):
        return [(part.out, part.identity(settings.seed)) for part in one.collect(settings)]

    standard = one.settings(out=tmp_path)
    for field in dataclasses.fields(standard):
        if field.name not in {"out", "sequences", "workers", "ray"}:
            value = mnist if field.name == "mnist" else OTHER[field.name]
            # That protocol is about the digits of these files alone.
            usual = dataclasses.replace(standard, mnist=mnist) if field.name == "protocol" else standard
            assert known_by(dataclasses.replace(usual, **{field.name: value})) != known_by(usual)


def test_every_data_set_has_a_name_and_settings_of_its_own():
    names = [one.name for one in collect.DATA_SETS]
    assert len(set(names)) == len(names) == len({one.settings for one in collect.DATA_SETS})
    assert names[:3] == ["push", "push-play", "brownian"]
