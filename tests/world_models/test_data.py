from dataclasses import replace

import h5py
import numpy as np
import pytest

from world_models.data import (
    DataError,
    SequenceDataset,
    Sequences,
    read_attributes,
    read_identity,
    read_shard,
    shard_path,
    write_shard,
)


def sequences(n=3, steps=4, seed=0, size=8):
    rng = np.random.default_rng(seed)
    return Sequences(
        frames=rng.integers(0, 256, (n, steps, size, size, 3), dtype=np.uint8),
        actions=rng.standard_normal((n, steps - 1, 2)).astype(np.float32),
        keyframes=rng.random((n, steps)) < 0.3,
        states=rng.standard_normal((n, steps, 5)).astype(np.float32),
    )


def same(a, b):
    return all(
        np.array_equal(getattr(a, f), getattr(b, f)) for f in ("frames", "actions", "keyframes", "states")
    )


def test_shard_round_trip_with_attributes(tmp_path):
    data = sequences()
    attributes = {"env": "waymark/Push-v0", "seed": 3, "first": 0, "share": 0.5, "final": True}
    write_shard(tmp_path / "shard-00000.h5", data, attributes)
    assert same(read_shard(tmp_path / "shard-00000.h5"), data)
    assert read_attributes(tmp_path / "shard-00000.h5") == attributes
    assert [p.name for p in tmp_path.iterdir()] == ["shard-00000.h5"]


def rewarded(n=3, steps=4):
    rewards = np.random.default_rng(n).standard_normal((n, steps)).astype(np.float32)
    return replace(sequences(n, steps), rewards=rewards)


def test_rewards_are_kept_where_there_are_some(tmp_path):
    parts = [rewarded(3), rewarded(2)]
    for index, part in enumerate(parts):
        write_shard(shard_path(tmp_path, index), part, {})
    assert np.array_equal(read_shard(shard_path(tmp_path, 0)).rewards, parts[0].rewards)
    dataset = SequenceDataset(tmp_path)
    assert np.array_equal(dataset[2:4].rewards, [parts[0].rewards[2], parts[1].rewards[0]])
    assert dataset[1:1].rewards.shape == (0, 4)
    write_shard(tmp_path / "plain.h5", sequences(), {})
    assert read_shard(tmp_path / "plain.h5").rewards is None


def test_shards_with_and_without_rewards_do_not_mix(tmp_path):
    write_shard(shard_path(tmp_path, 0), rewarded(), {})
    write_shard(shard_path(tmp_path, 1), sequences(), {})
    with pytest.raises(DataError, match="shard-00001"):
        SequenceDataset(tmp_path)


@pytest.mark.usefixtures("unchecked")
def test_rewards_must_be_one_number_per_frame():
    with pytest.raises(DataError, match="rewards must begin with"):
        replace(sequences(), rewards=np.zeros((3, 3), np.float32))
    with pytest.raises(DataError, match="rewards must be float32"):
        replace(sequences(), rewards=np.zeros((3, 4)))


def test_same_content_gives_same_bytes(tmp_path):
    write_shard(tmp_path / "a.h5", sequences(), {"b": 1, "a": 2})
    write_shard(tmp_path / "b.h5", sequences(), {"a": 2, "b": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_frames_are_stored_one_sequence_per_compressed_chunk(tmp_path):
    write_shard(tmp_path / "a.h5", sequences(), {})
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["frames"].chunks == (1, 4, 8, 8, 3)
        assert (file["frames"].compression, file["frames"].compression_opts) == ("gzip", 1)


def test_dataset_joins_shards_in_order(tmp_path):
    parts = [sequences(n, seed=n) for n in (3, 1, 4)]
    for index, part in enumerate(parts):
        write_shard(shard_path(tmp_path, index), part, {})
    dataset = SequenceDataset(tmp_path)
    everything = np.concatenate([part.frames for part in parts])
    assert len(dataset) == 8
    for start in range(9):
        for stop in range(start, 9):
            assert np.array_equal(dataset[start:stop].frames, everything[start:stop])
    assert np.array_equal(dataset[-1].frames[0], everything[-1])
    assert [len(batch) for batch in dataset.batches(3, start=1)] == [3, 3, 1]
    assert dataset[5:2].states.shape == (0, 4, 5)
    with pytest.raises(IndexError):
        dataset[8]
    with pytest.raises(DataError, match="step"):
        dataset[::2]


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        SequenceDataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="shard"):
        SequenceDataset(tmp_path)


def test_shards_of_different_shapes_are_refused(tmp_path):
    write_shard(shard_path(tmp_path, 0), sequences(), {})
    write_shard(shard_path(tmp_path, 1), sequences(steps=5), {})
    with pytest.raises(DataError, match="shard-00001"):
        SequenceDataset(tmp_path)


def test_truncated_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "broken.h5").write_bytes(b"not a shard")
    with pytest.raises(DataError, match="HDF5"):
        read_shard(tmp_path / "broken.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["frames"] = np.zeros(3)
    with pytest.raises(DataError, match="lacks actions"):
        read_shard(tmp_path / "foreign.h5")


@pytest.mark.usefixtures("unchecked")
def test_arrays_that_do_not_fit_are_refused():
    good = sequences()
    with pytest.raises(DataError, match="actions"):
        Sequences(good.frames, good.actions[:, :-1], good.keyframes, good.states)
    with pytest.raises(DataError, match="frames must be uint8"):
        Sequences(good.frames.astype(np.float32), good.actions, good.keyframes, good.states)


@pytest.mark.usefixtures("unchecked")
def test_attributes_must_be_scalars(tmp_path):
    with pytest.raises(DataError, match="list"):
        write_shard(tmp_path / "a.h5", sequences(), {"bad": [1, 2]})
    assert not list(tmp_path.iterdir())


def known(folder, *counts, held_out, per_shard=6):
    for index, text in enumerate(counts):
        attributes = {} if text is None else {"sequences_of_episodes": text}
        write_shard(shard_path(folder, index), sequences(n=per_shard), attributes)
    return SequenceDataset(folder).known(held_out)


@pytest.mark.parametrize(
    ("counts", "held_out", "expected"),
    [
        ((None,), 2, 4),
        ((None, None), 6, 6),
        (("3,3",), 3, 3),
        (("3,3",), 1, 3),
        (("3,3",), 2, 3),
        (("3,3", "2,2,2"), 3, 8),
        (("3,3", "2,2,2"), 6, 6),
        (("3,3", "2,2,2"), 7, 3),
        ((None, "6"), 1, 6),
        (("1,0,5", None), 8, 1),
        (("3,3",), 0, 6),
    ],
)
def test_no_episode_is_on_both_sides_of_a_split(tmp_path, counts, held_out, expected):
    assert known(tmp_path, *counts, held_out=held_out) == expected


@pytest.mark.parametrize(("counts", "held_out"), [(("6",), 1), (("3,3",), 4), ((None,), 6)])
def test_a_split_that_leaves_nothing_to_learn_from_is_refused(tmp_path, counts, held_out):
    with pytest.raises(DataError, match="hold out fewer"):
        known(tmp_path, *counts, held_out=held_out)


def test_a_shard_knows_what_it_depends_on(tmp_path):
    write_shard(tmp_path / "a.h5", sequences(), {"b": 1}, {"seed": 3, "split": "train"})
    write_shard(tmp_path / "b.h5", sequences(), {"b": 1})
    assert read_attributes(tmp_path / "a.h5") == {"b": 1, "seed": 3, "split": "train"}
    assert read_identity(tmp_path / "a.h5") == {"seed": 3, "split": "train"}
    assert read_identity(tmp_path / "b.h5") is None
