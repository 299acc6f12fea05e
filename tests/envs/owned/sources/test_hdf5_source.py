"""Episodes in HDF5 files of several layouts."""

import sys

import h5py
import numpy as np
import pytest

from envs import collect
from envs.owned.sources.data_sets import Hdf5
from world_models.data import DataError, SequenceDataset


def pictures(count, first):
    """Picture t is as grey as first + t."""
    return np.broadcast_to(
        (first + np.arange(count, dtype=np.uint8))[:, None, None, None], (count, 40, 50, 3)
    )


def bring(source, out, **changes):
    collect.collect(Hdf5(source=source, out=out, **{"frames": 5, "test": 0.0, **changes}))
    return SequenceDataset(out)


@pytest.fixture
def robomimic(tmp_path):
    """Eleven demonstrations of five steps each, two cameras, and the following pictures once more."""
    with h5py.File(tmp_path / "demos.hdf5", "w") as file:
        for number in range(11):
            group = file.create_group(f"data/demo_{number}")
            for name, first in (
                ("obs/agentview_image", 10),
                ("obs/hand_image", 100),
                ("next_obs/hand_image", 0),
            ):
                group[name] = pictures(5, first + 5 * number)
            group["obs/joints"] = np.zeros((5, 7))
            group["actions"] = np.arange(10.0).reshape(5, 2) + number
            group["rewards"] = np.array([0, 0, 0, 1, 2]) + number
            group["states"] = np.arange(15.0).reshape(5, 3)
        file["mask/train"] = np.array([b"demo_0"])
    return tmp_path / "demos.hdf5"


def test_groups_are_episodes_in_the_order_of_their_numbers(robomimic, tmp_path):
    data = bring(robomimic, tmp_path / "out", camera="hand_image")[:]
    assert data.frames[:, 0, 9, 9, 0].tolist() == [100 + 5 * number for number in range(11)]
    assert data.frames[2, :, 9, 9, 0].tolist() == [110, 111, 112, 113, 114]
    assert data.actions[10].tolist() == [[10, 11], [12, 13], [14, 15], [16, 17]]
    assert data.rewards[1].tolist() == [0, 1, 1, 1, 2]  # the last action leads to no picture
    assert data.states[0, 4].tolist() == [12, 13, 14]


def test_data_sets_can_be_named(robomimic, tmp_path):
    data = bring(
        robomimic, tmp_path / "out", camera="obs/agentview_image", actions="obs/joints", states="actions"
    )
    assert data.shapes["actions"] == (4, 7) and data.shapes["states"] == (5, 2)
    assert data[0].frames[0, 0, 0, 0, 0] == 10


def test_long_arrays_are_cut_where_episodes_end(tmp_path):
    with h5py.File(tmp_path / "flat.h5", "w") as file:
        file.create_dataset("frames", data=pictures(200, 0), chunks=(50, 40, 50, 3), compression="gzip")
        file["actions"] = np.arange(200, dtype=np.float32)[:, None]
        file["episode_ends"] = np.array([7, 190, 200])
    data = bring(tmp_path / "flat.h5", tmp_path / "out", frames=10)
    assert len(data) == 20 and data.shapes["states"] == (10, 0) and "rewards" not in data.shapes
    starts = [*range(7, 190 - 9, 10), 180, 190]
    assert data[:].frames[:, 0, 0, 0, 0].tolist() == starts
    assert data[:].actions[:, 8, 0].tolist() == [start + 8 for start in starts]


def test_a_file_may_be_an_episode_and_broken_ones_are_named(tmp_path, capsys):
    """Pictures of floats, channels first, in grey."""
    for number in (2, 10):
        with h5py.File(tmp_path / f"episode{number}.hdf5", "w") as file:
            file["observations/images/top"] = pictures(5, number).transpose(0, 3, 1, 2)[:, :1] / np.float32(
                255
            )
            file["action"] = np.full((4, 3), number)
    (tmp_path / "episode3.hdf5").write_text("no HDF5")
    data = bring(tmp_path, tmp_path / "out")[:]
    assert data.frames[:, 1, 20, 20].tolist() == [[3, 3, 3], [11, 11, 11]]
    assert data.actions[:, 0, 0].tolist() == [2, 10]
    assert "episode3: no readable HDF5 file" in capsys.readouterr().out


def test_episodes_of_another_kind_are_left_out(robomimic, tmp_path, capsys):
    with h5py.File(robomimic, "a") as file:
        del file["data/demo_3/rewards"], file["data/demo_4/obs/hand_image"], file["data/demo_5/actions"]
        file["data/demo_5/actions"] = np.zeros((5, 9))
        del file["data/demo_6/actions"]
        file["data/demo_6/actions"] = np.zeros((2, 2))
        file["data/demo_7/states"][2] = np.nan
    assert len(bring(robomimic, tmp_path / "out", camera="hand_image")) == 6
    said = capsys.readouterr().out
    assert "data/demo_3: it has no rewards" in said and "data/demo_4: it has no obs/hand_image" in said
    assert "data/demo_5: it differs from the episodes before it: 9 numbers an action" in said
    assert (
        "data/demo_6: actions must have 4 or 5 rows" in said and "data/demo_7: its actions, rewards" in said
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "holds several cameras; choose --camera obs/agentview_image or obs/hand_image"),
        (["--camera", "top"], "has no top; choose --camera obs/agentview_image or obs/hand_image"),
        (
            ["--camera", "hand_image", "--actions", "moves"],
            r"has no moves for --actions: it holds actions \[5, 2\] float64, next_obs",
        ),
        (["--episode-ends", "ends"], "has no ends: it holds data/demo_0/actions"),
    ],
)
def test_what_is_missing_is_said_with_what_there_is(robomimic, tmp_path, monkeypatch, flags, message):
    command = ["collect", "hdf5", "--source", str(robomimic), "--out", str(tmp_path / "out"), *flags]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=message):
        collect.main()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"actions": np.zeros((3, 2))}, r"holds no pictures: it holds actions \[3, 2\]"),
        ({"frames": pictures(4, 0), "episode_ends": np.array([3, 2])}, "whole numbers that grow"),
        ({"frames": pictures(4, 0), "episode_ends": np.array([5])}, "has 4 pictures for 5 rows"),
        ({}, "holds no pictures: it holds nothing"),
    ],
)
def test_files_without_episodes_are_refused(tmp_path, content, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in content.items():
            file[name] = array
    with pytest.raises(DataError, match=message):
        bring(tmp_path / "a.h5", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \*\.h5 or \*\.hdf5"):
        bring(tmp_path / "empty", tmp_path / "out")
