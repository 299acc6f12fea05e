"""Data sets of Minari: written by Minari itself where it is installed, by hand where it is not."""

import json
import sys

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from envs import collect
from envs.owned.sources.data_sets import Minari
from world_models.data import DataError, SequenceDataset

PICTURE = spaces.Box(0, 255, (40, 50, 3), np.uint8)
VECTOR = spaces.Box(-np.inf, np.inf, (2,), np.float64)
REACH = spaces.Box(np.array([0.0, -1.0], np.float32), np.array([10.0, 1.0], np.float32))


def bring(source, out, **changes):
    collect.collect(Minari(source=source, out=out, **{"frames": 4, "test": 0.0, **changes}))
    return SequenceDataset(out)


def pictures(count, first):
    """Picture t is as grey as first + 10 t."""
    shades = first + 10 * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(shades[:, None, None, None], (count, *PICTURE.shape)).copy()


def observe(space, count, first):
    if isinstance(space, spaces.Dict):
        return {name: observe(part, count, first) for name, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(observe(part, count, first) for part in space)
    if space == PICTURE:
        return pictures(count, first)
    return np.arange(2.0 * count).reshape(count, 2)


def write(folder, observations, action_space, actions, form="hdf5", jpeg=True):
    """Twelve episodes of four observations."""
    pytest.importorskip("minari")
    if form != "hdf5":
        pytest.importorskip("pyarrow")
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(folder, observations, action_space, data_format=form, jpeg_encoding=jpeg)
    storage.update_episodes(
        EpisodeBuffer(
            id=number,
            observations=observe(observations, 4, 10 * number),
            actions=actions,
            rewards=[1.0, 2.0, 3.0 + number],
            terminations=[False] * 3,
            truncations=[False, False, True],
            infos={},
        )
        for number in range(12)
    )


@pytest.mark.parametrize("jpeg", [True, False])
@pytest.mark.parametrize("form", ["hdf5", "arrow", "parquet"])
@pytest.mark.parametrize("parts", ["alone", "dict", "tuple"])
def test_what_minari_writes_comes_in(tmp_path, form, jpeg, parts):
    whole = {
        "alone": PICTURE,
        "dict": spaces.Dict(view=spaces.Dict(pixels=PICTURE), joints=VECTOR),
        "tuple": spaces.Tuple((VECTOR, PICTURE)),
    }
    actions = np.array([[0.0, 0.5], [5.0, -0.25], [10.0, 1.0]], np.float32)
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "data", whole[parts], REACH, actions, form, jpeg)
    data = bring(tmp_path / "in", tmp_path / "out")[:]
    wanted = 10 * np.arange(12)[:, None] + 10 * np.arange(4)
    assert np.abs(data.frames[:, :, 32, 32, 2].astype(int) - wanted).max() <= 2 * jpeg
    assert data.actions[11].tolist() == [[-1, 0.5], [0, -0.25], [1, 1]]
    assert data.rewards[2].tolist() == [0, 1, 2, 5]
    assert data.states.shape[-1] == (0 if parts == "alone" else 2)
    assert parts == "alone" or data.states[0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("form", ["hdf5", "arrow"])
@pytest.mark.parametrize(
    ("space", "actions", "wanted"),
    [
        (spaces.Discrete(3), np.array([0, 2, 1]), [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        (spaces.Discrete(2, start=1), np.array([1, 2, 1]), [[1, 0], [0, 1], [1, 0]]),
        (spaces.MultiDiscrete([2, 1]), np.array([[0, 0], [1, 0], [0, 0]]), [[1, 0, 1], [0, 1, 1], [1, 0, 1]]),
        (spaces.MultiBinary(2), np.array([[0, 1], [1, 1], [0, 0]], np.int8), [[0, 1], [1, 1], [0, 0]]),
    ],
)
def test_choices_are_one_hot(tmp_path, form, space, actions, wanted):
    write(tmp_path / "in", PICTURE, space, actions, form)
    assert bring(tmp_path / "in", tmp_path / "out")[3].actions[0].tolist() == wanted


def test_observations_without_pictures_and_several_pictures_are_said(tmp_path, monkeypatch):
    actions = np.zeros((3, 2), np.float32)
    write(tmp_path / "blind", spaces.Dict(joints=VECTOR), REACH, actions)
    write(tmp_path / "both", spaces.Dict(left=PICTURE, right=PICTURE), REACH, actions)
    for name, message in (
        ("blind", r"blind's observations holds no pictures: it holds observations/joints Box \[2\]"),
        ("both", "choose --camera observations/left or observations/right"),
    ):
        command = ["collect", "minari", "--source", str(tmp_path / name), "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit, match=message):
            collect.main()
    assert len(bring(tmp_path / "both", tmp_path / "right", camera="right")) == 12


def by_hand(folder, **changes):
    """One episode of raw pictures."""
    box = {"type": "Box", "dtype": "uint8", "shape": [40, 50, 3], "low": 0, "high": 255}
    metadata = {"data_format": "hdf5", "observation_space": json.dumps(box)}
    metadata["action_space"] = json.dumps({"type": "Discrete", "n": 2})
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps(metadata | changes))
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        for number in range(2):
            group = file.create_group(f"episode_{number}")
            group.attrs["total_steps"] = 3
            group["observations"], group["actions"] = pictures(4, 0), np.array([0, 1, 0])
            group["rewards"] = np.ones(3)


def test_a_broken_episode_is_left_out(tmp_path, capsys):
    by_hand(tmp_path / "in")
    with h5py.File(tmp_path / "in" / "main_data.hdf5", "a") as file:
        del file["episode_0/rewards"]
    assert bring(tmp_path / "in", tmp_path / "out")[:].actions.tolist() == [[[1, 0], [0, 1], [1, 0]]]
    assert "episode_0: it has no rewards" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_format": "zarr"}, "is in the format zarr; understood are hdf5, arrow, parquet"),
        ({"action_space": '{"type": "Text"}'}, "actions of the kind Text cannot be written as numbers"),
        ({"observation_space": "no JSON"}, "is no data set of Minari: metadata.json is missing or broken"),
    ],
)
def test_other_kinds_are_refused(tmp_path, changes, message):
    by_hand(tmp_path / "in", **changes)
    with pytest.raises(DataError, match=message):
        bring(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="is no data set of Minari"):
        bring(tmp_path, tmp_path / "out")
