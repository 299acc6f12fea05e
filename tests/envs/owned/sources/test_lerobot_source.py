"""Data sets of LeRobot of both versions, written here by the rules of their formats."""

import json
import sys
from io import BytesIO

import numpy as np
import pytest
from films_of_tests import save_film, shade
from PIL import Image

from envs import collect
from envs.owned.sources.data_sets import LeRobot
from world_models.data import DataError, SequenceDataset

TOP, HAND = "observation.images.top", "observation.images.hand"
COUNTS = (5, 7, 6)
"""Pictures of the episodes."""


def bring(source, out, **changes):
    collect.collect(LeRobot(source=source, out=out, **{"frames": 5, "test": 0.0, **changes}))
    return SequenceDataset(out)


def columns(number, count):
    """Action t of episode e is (t, e); the reward of row t is t + 1."""
    return {
        "action": [[float(t), float(number)] for t in range(count)],
        "observation.state": [[0.5 * t] * 3 for t in range(count)],
        "next.reward": [float(t + 1) for t in range(count)],
        "episode_index": [number] * count,
        "frame_index": list(range(count)),
        "timestamp": [t / 10 for t in range(count)],
    }


def write_info(folder, version, kind="video", **more):
    features = {name: {"dtype": kind, "shape": [64, 96, 3]} for name in (TOP, HAND)}
    features |= {name: {"dtype": "float32", "shape": [2]} for name in ("action", "observation.state")}
    info = {"codebase_version": version, "fps": 10, "features": features, **more}
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text(json.dumps(info))


def write_table(path, content):
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(content), path)


def write_version_2(folder):
    """Two episodes a chunk."""
    write_info(
        folder,
        "v2.1",
        chunks_size=2,
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )
    lines = [json.dumps({"episode_index": k, "tasks": ["t"], "length": n}) for k, n in enumerate(COUNTS)]
    (folder / "meta" / "episodes.jsonl").write_text("\n".join(lines) + "\n")
    for number, count in enumerate(COUNTS):
        chunk = f"chunk-{number // 2:03d}"
        write_table(folder / "data" / chunk / f"episode_{number:06d}.parquet", columns(number, count))
        for camera, first in ((TOP, 0), (HAND, 120)):
            save_film(
                folder / "videos" / chunk / camera / f"episode_{number:06d}.mp4", count, first + 20 * number
            )


def write_version_3(folder):
    """The first two episodes share a table and a film, the third has files of its own."""
    write_info(
        folder,
        "v3.0",
        data_path="data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        video_path="videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    )
    both = {name: column + columns(1, 7)[name] for name, column in columns(0, 5).items()}
    write_table(folder / "data" / "chunk-000" / "file-000.parquet", both)
    write_table(folder / "data" / "chunk-000" / "file-001.parquet", columns(2, 6))
    episodes = {"episode_index": [0, 1, 2], "length": [5, 7, 6]}
    episodes |= {"data/chunk_index": [0, 0, 0], "data/file_index": [0, 0, 1]}
    for camera, first in ((TOP, 0), (HAND, 120)):
        save_film(folder / "videos" / camera / "chunk-000" / "file-000.mp4", 12, first)
        save_film(folder / "videos" / camera / "chunk-000" / "file-001.mp4", 6, first + 40)
        episodes |= {f"videos/{camera}/chunk_index": [0, 0, 0], f"videos/{camera}/file_index": [0, 0, 1]}
        episodes |= {f"videos/{camera}/from_timestamp": [0.0, 0.5, 0.0]}
    write_table(folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet", episodes)


@pytest.mark.parametrize("write", [write_version_2, write_version_3])
def test_tables_and_films_belong_together(tmp_path, write):
    write(tmp_path / "in")
    data = bring(tmp_path / "in", tmp_path / "out", camera="hand")[:]
    starts = [(0, 0), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert data.actions[:, :, 0].tolist() == [[first + t for t in range(4)] for _, first in starts]
    assert data.actions[:, 0, 1].tolist() == [number for number, _ in starts]
    assert data.rewards.tolist() == [[first + t for t in range(5)] for _, first in starts]
    assert data.states[:, 4, 2].tolist() == [0.5 * (first + 4) for _, first in starts]
    begins = {0: 120, 1: 140, 2: 160} if write is write_version_2 else {0: 120, 1: shade(120, 5), 2: 160}
    wanted = [[shade(begins[number], first + t) for t in range(5)] for number, first in starts]
    assert np.abs(data.frames[:, :, 32, 32, 1].astype(int) - wanted).max() <= 3


def test_pictures_may_be_in_the_table(tmp_path):
    write_info(tmp_path / "in", "v2.0", "image", data_path="data/{episode_index}.parquet")
    (tmp_path / "in" / "meta" / "episodes.jsonl").write_text(json.dumps({"episode_index": 0, "length": 5}))
    files = []
    for number in range(5):
        content = BytesIO()
        Image.new("RGB", (70, 70), (number, 50, 60)).save(content, "png")
        files.append({"bytes": content.getvalue(), "path": f"{number}.png"})
    content = columns(0, 5) | {"action": [float(t) for t in range(5)], TOP: files}
    write_table(tmp_path / "in" / "data" / "0.parquet", content)
    data = bring(tmp_path / "in", tmp_path / "out", camera="top")
    assert data[0].frames[0, :, 5, 5].tolist() == [[t, 50, 60] for t in range(5)]
    assert data[0].actions[0].tolist() == [[0], [1], [2], [3]]  # one number an action


def test_a_broken_film_or_table_costs_its_episode_alone(tmp_path, capsys):
    write_version_2(tmp_path / "in")
    (tmp_path / "in" / "videos" / "chunk-000" / TOP / "episode_000001.mp4").write_bytes(b"none")
    (tmp_path / "in" / "data" / "chunk-001" / "episode_000002.parquet").write_bytes(b"none")
    assert len(bring(tmp_path / "in", tmp_path / "out", camera="top")) == 1
    said = capsys.readouterr().out
    assert "episode-000001: episode_000001.mp4 is no readable film" in said
    assert "episode-000002: episode_000002.parquet is no readable table" in said
    save_film(tmp_path / "in" / "videos" / "chunk-000" / TOP / "episode_000001.mp4", 6)
    (tmp_path / "in" / "data" / "chunk-001" / "episode_000002.parquet").unlink()
    assert len(bring(tmp_path / "in", tmp_path / "other", camera="top")) == 1
    said = capsys.readouterr().out
    assert (
        "episode-000001: it has 6 pictures for 7 rows" in said and "episode_000002.parquet is missing" in said
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, f"holds several cameras; choose --camera {TOP} or {HAND}"),
        ({"codebase_version": "v1.6"}, "is of version v1.6 .* understood are v2 and v3"),
        ({"features": {"action": {"dtype": "float32"}}}, "holds no pictures: it holds action"),
        ({"features": {TOP: {"dtype": "video"}}, "fps": "fast"}, "broken .could not convert"),
        ({"features": {TOP: {"dtype": "video"}}, "video_path": None}, "meta is broken"),
        ({"features": {TOP: {"dtype": "video"}}, "data_path": "{number}"}, "meta is broken"),
        ({"features": 3}, "is no data set of LeRobot: meta/info.json is missing or broken"),
    ],
)
def test_folders_of_another_kind_are_refused(tmp_path, monkeypatch, changes, message):
    write_version_2(tmp_path / "in")
    info = tmp_path / "in" / "meta" / "info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | changes))
    command = ["collect", "lerobot", "--source", str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match=message):
        collect.main()


def test_lists_of_episodes_that_are_missing_are_named(tmp_path):
    for write, path in (
        (write_version_2, "episodes.jsonl"),
        (write_version_3, "episodes/chunk-000/file-000.parquet"),
    ):
        write(tmp_path / write.__name__)
        (tmp_path / write.__name__ / "meta" / path).unlink()
        with pytest.raises(DataError, match="lacks meta/episodes"):
            bring(tmp_path / write.__name__, tmp_path / "out", camera="top")


def test_what_is_needed_is_said_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"needs pyarrow: pip install 'waymark\[formats\]'"):
        bring(tmp_path, tmp_path / "out")
