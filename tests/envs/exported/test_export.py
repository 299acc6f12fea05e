"""What is exported and brought back is the same; where films are in between, pictures are near."""

import json
import sys

import h5py
import numpy as np
import pytest

from envs import collect, export
from envs.owned.sources.data_sets import Films, LeRobot, Minari
from world_models.data import SequenceDataset, Sequences, shard_path, write_shard


def shards(folder, rewards=True, actions=2, states=3, size=64, channels=3):
    """Three shards' worth of three sequences: a soft blob that moves, shades of all colours."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:size, :size]
    frames = np.zeros((3, 6, size, size, channels), np.uint8)
    for k in range(3):
        for t in range(6):
            blob = np.exp(-((rows - 20 - 4 * k) ** 2 + (columns - 15 - 6 * t) ** 2) / 120)
            frames[k, t] = (40 + 30 * k + np.multiply.outer(blob, [150, 90, 20][:channels])).astype(np.uint8)
    write_shard(
        shard_path(folder, 0),
        Sequences(
            frames,
            rng.uniform(-1, 1, (3, 5, actions)).astype(np.float32),
            np.zeros((3, 6), bool),
            rng.normal(size=(3, 6, states)).astype(np.float32),
            rng.normal(size=(3, 6)).astype(np.float32) if rewards else None,
        ),
        {},
    )
    return SequenceDataset(folder)


def run(monkeypatch, form, *flags):
    monkeypatch.setattr(sys, "argv", ["export", form, *map(str, flags)])
    export.main()


def back(settings):
    collect.collect(settings)
    return SequenceDataset(settings.out)


def same(one, other):
    """Everything but the pictures."""
    assert one.shapes == other.shapes
    for name in set(one.shapes) - {"frames"}:
        assert np.array_equal(getattr(one[:], name), getattr(other[:], name)), name


@pytest.mark.parametrize(
    "kind",
    [{}, {"rewards": False}, {"actions": 0}, {"states": 0}, {"actions": 1, "states": 1}],
    ids=lambda kind: ",".join(kind) or "all",
)
def test_minari_comes_back_bit_for_bit(tmp_path, monkeypatch, kind):
    data = shards(tmp_path / "data", **kind)
    run(monkeypatch, "minari", "--data", data.folder, "--out", tmp_path / "out")
    found = back(Minari(source=tmp_path / "out", out=tmp_path / "back", frames=6, test=0.3))
    same(data, found)
    assert np.array_equal(data[:].frames, found[:].frames)


def test_minari_keeps_actions_beyond_the_usual_limits(tmp_path, monkeypatch):
    data = shards(tmp_path / "data")
    with h5py.File(data.paths[0], "a") as file:
        file["actions"][1, 1, 1] = 7.5
    run(monkeypatch, "minari", "--data", data.folder, "--out", tmp_path / "out")
    same(data, back(Minari(source=tmp_path / "out", out=tmp_path / "back", frames=6)))


def test_minari_itself_reads_what_was_exported(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    data = shards(tmp_path / "data")
    run(monkeypatch, "minari", "--data", data.folder, "--out", tmp_path / "pushing-v2")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    found = minari.load_dataset("pushing-v2")
    assert (found.total_episodes, found.total_steps) == (3, 15)
    for number, episode in enumerate(found.iterate_episodes()):
        sequence = data[number]
        assert np.array_equal(episode.observations["pixels"], sequence.frames[0])
        assert np.array_equal(episode.observations["state"], sequence.states[0])
        assert np.array_equal(episode.actions, sequence.actions[0])
        assert np.array_equal(episode.rewards, sequence.rewards[0, 1:])
        assert episode.truncations.tolist() == [False] * 4 + [True]
        assert found.observation_space["pixels"].contains(episode.observations["pixels"][0])
        assert all(found.action_space.contains(action) for action in episode.actions)


@pytest.mark.parametrize(
    "kind", [{}, {"rewards": False}, {"actions": 1, "states": 1}, {"actions": 0, "states": 0}]
)
def test_lerobot_comes_back_with_near_pictures(tmp_path, monkeypatch, kind):
    pytest.importorskip("pyarrow")
    data = shards(tmp_path / "data", **kind)
    run(monkeypatch, "lerobot", "--data", data.folder, "--out", tmp_path / "out", "--fps", 5)
    found = back(LeRobot(source=tmp_path / "out", out=tmp_path / "back", frames=6))
    same(data, found)
    difference = np.abs(data[:].frames.astype(int) - found[:].frames)
    assert difference.mean() < 1.5 and difference.max() <= 12


def test_lerobot_says_what_it_holds(tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    data = shards(tmp_path / "data")
    run(monkeypatch, "lerobot", "--data", data.folder, "--out", tmp_path / "out", "--fps", 5)
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v2.1", 5, 18)
    table = pq.read_table(tmp_path / "out" / "data" / "chunk-000" / "episode_000002.parquet")
    assert set(table.column_names) == set(info["features"]) - {"observation.images.camera"}
    assert table["index"].to_pylist() == list(range(12, 18))
    assert table["timestamp"].to_pylist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert table["action"].to_pylist()[-1] == table["action"].to_pylist()[-2]
    lines = (tmp_path / "out" / "meta" / "episodes_stats.jsonl").read_text().splitlines()
    stats = json.loads(lines[1])["stats"]
    assert stats["action"]["max"] == data[1].actions[0].max(0).tolist()
    assert np.ravel(stats["observation.images.camera"]["mean"]) == pytest.approx(
        data[1].frames.mean((0, 1, 2, 3)) / 255
    )


@pytest.mark.parametrize("channels", [3, 1])
def test_films_come_back_with_near_pictures(tmp_path, monkeypatch, channels):
    data = shards(tmp_path / "data", channels=channels)
    run(monkeypatch, "mp4", "--data", data.folder, "--out", tmp_path / "out")
    found = back(Films(source=tmp_path / "out", out=tmp_path / "back", frames=6))
    assert np.abs(data[:].frames.astype(int) - found[:].frames).max() <= 12


def test_films_are_of_whole_episodes_again(tmp_path, monkeypatch):
    data = shards(tmp_path / "data")
    run(monkeypatch, "mp4", "--data", data.folder, "--out", tmp_path / "out")
    cut = back(Films(source=tmp_path / "out", out=tmp_path / "cut", frames=4))
    assert len(cut) == 6
    run(monkeypatch, "mp4", "--data", cut.folder, "--out", tmp_path / "again")
    found = back(Films(source=tmp_path / "again", out=tmp_path / "back", frames=6))
    assert len(found) == 3
    assert np.abs(data[:].frames.astype(int) - found[:].frames).max() <= 16


def test_the_same_data_gives_the_same_bytes(tmp_path, monkeypatch):
    data = shards(tmp_path / "data")
    for form in ("mp4", "minari"):
        contents = []
        for name in ("a", "b"):
            run(monkeypatch, form, "--data", data.folder, "--out", tmp_path / form / name / "set")
            files = sorted(path for path in (tmp_path / form / name).rglob("*") if path.is_file())
            contents.append([path.read_bytes() for path in files])
        assert contents[0] == contents[1] and contents[0]


def test_nothing_is_overwritten_and_nothing_half_done_is_left(tmp_path, monkeypatch):
    data = shards(tmp_path / "data", size=33)
    with pytest.raises(SystemExit, match="holds something already; choose another --out"):
        run(monkeypatch, "minari", "--data", data.folder, "--out", data.folder)
    with pytest.raises(SystemExit, match="pictures of 33 x 33 make no film"):
        run(monkeypatch, "mp4", "--data", data.folder, "--out", tmp_path / "out")
    with pytest.raises(SystemExit, match="--fps must be greater than 0"):
        run(monkeypatch, "mp4", "--data", data.folder, "--out", tmp_path / "out", "--fps", 0)
    with pytest.raises(SystemExit, match="no data folder at"):
        run(monkeypatch, "mp4", "--data", tmp_path / "none", "--out", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
